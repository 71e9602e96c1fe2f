"""The foot of each page: when its source was last committed, and with which versions it was made."""

import functools
import html
import platform
import subprocess
from importlib.metadata import version

from gather import ROOT, source_of

INSTALLED = {"maskdepth_utils": "maskdepth_utils", "PyTorch": "torch", "NumPy": "numpy", "Sphinx": "sphinx"}


@functools.cache
def git(*arguments):
    """Return what git prints about this repository; "" where there is no git or no repository."""
    try:
        command = ["git", "-C", str(ROOT), "-c", "core.quotePath=false", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@functools.cache
def last_commits():
    """Return the date and the short hash of the last commit of each file; None stands for all files."""
    commits = {}
    for entry in git("log", "--format=%x00%cs %h", "--name-only").split("\0")[1:]:
        head, *names = entry.split("\n")
        for name in (None, *filter(None, names)):
            commits.setdefault(name, tuple(head.split()))
    return commits


def when(source):
    """Write when a file was last committed; for None, a page made from many files, when anything was."""
    name = source and source.relative_to(ROOT).as_posix()
    if name not in last_commits():
        return "not yet, or in a copy of the course without its history"
    date, number = last_commits()[name]
    changed = {line[3:] for line in git("status", "--porcelain", "--untracked-files=all").splitlines()}
    since = "; changed since" if name in changed else ""
    at_latest = " at the latest" if git("rev-parse", "--is-shallow-repository") == "true" else ""  # as CI clones it
    return f"{date}{at_latest}, commit {number}{since}"


def foot(page):
    """Return the HTML for a page, by Sphinx's name for it."""
    source = source_of(page)
    sentences = [f"<strong>Last verified</strong>: {html.escape(when(source))}."]
    installed = ", ".join(f"{name} {version(package)}" for name, package in INSTALLED.items())
    sentences.append(f"Page built with {installed}, Python {platform.python_version()}.")
    return " ".join(sentences)
