"""What stands at the foot of each page: when its source was last verified, and with which versions.

Only facts that can be looked up: the last commit of the page's source, what a notebook printed when it ran, and what
was installed when the site was built.
"""

import functools
import html
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from gather import ROOT, source_of
from notebook_files import read

INSTALLED = {"maskdepth_utils": "maskdepth_utils", "PyTorch": "torch", "NumPy": "numpy", "Sphinx": "sphinx"}


def git(*arguments: str) -> str:
    """What git prints about this repository; "" where there is no git or no repository."""
    try:
        command = ["git", "-C", str(ROOT), "-c", "core.quotePath=false", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@functools.cache
def last_commits() -> dict[str, tuple[str, str]]:
    """The date and the short hash of the last commit of each file."""
    commits = {}
    for entry in git("log", "--format=%x00%cs %h", "--name-only").split("\0")[1:]:
        head, *names = entry.split("\n")
        date, number = head.split()
        for name in filter(None, names):
            commits.setdefault(name, (date, number))
    return commits


@functools.cache
def changed_since() -> set[str]:
    """Files that differ from the last commit, or are in none."""
    return {line[3:] for line in git("status", "--porcelain", "--untracked-files=all").splitlines()}


@functools.cache
def is_shallow() -> bool:
    """Whether older commits are missing, as in clones of many CI services: a file may be older than it then seems."""
    return git("rev-parse", "--is-shallow-repository") == "true"


def printed_versions(path: Path) -> str:
    """The first line in which a notebook printed versions of libraries; "" if it did not."""
    outputs = (output for cell in read(path).cells for output in cell.get("outputs", []))
    lines = (line for output in outputs if output.get("name") == "stdout" for line in output.text.splitlines())
    return next((line for line in lines if re.search(r"[A-Za-z] \d+\.\d+\.\d", line)), "")


@functools.cache
def installed_versions() -> str:
    found = [f"{name} {version(package)}" for name, package in INSTALLED.items()]
    return ", ".join([*found, f"Python {platform.python_version()}"])


def foot(page: str) -> str:
    """The HTML for a page, by Sphinx's name for it."""
    source = source_of(page)
    sentences = [f"<strong>Last verified</strong>: {when(source)}."]
    printed = printed_versions(source) if source and source.suffix == ".ipynb" else ""
    if printed:
        sentences.append(f"Its outputs come from a run with {html.escape(printed)}.")
    sentences.append(f"Page built with {html.escape(installed_versions())}.")
    return " ".join(sentences)


def when(source: Path | None) -> str:
    """The last commit of a file in words; of the whole course, for an index that is made from many files."""
    if not last_commits():
        return "unknown, as this copy of the course comes without its history"
    if source is None:
        date, number = git("log", "-1", "--format=%cs %h").split()
        return f"{date}, the date of the last commit ({number})"
    name = source.relative_to(ROOT).as_posix()
    code = f"<code>{html.escape(name)}</code>"
    if name not in last_commits():
        return f"not yet, as {code} is in no commit"
    date, number = last_commits()[name]
    changed = "; it has changed since" if name in changed_since() else ""
    if is_shallow():
        return f"{date} at the latest, with {code} as it was in commit {number}{changed}"
    return f"{date}, when {code} was last committed ({number}){changed}"
