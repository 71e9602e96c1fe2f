"""Find, read, tidy and write the course's notebooks (the hash tells stale outputs from fresh ones), and JSON files."""

import argparse
import hashlib
import json
import os
import re
import sys
from pathlib import Path

import nbformat

from maskdepth_utils.files import write_file

# A kernel of another environment, installed for the user, must not take the place of this one.
os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")

# The kernel warns on the terminal that other users of the machine could read along; nothing secret runs here.
QUIET_KERNEL = ["--log-level=ERROR"]

NOTEBOOKS = Path(__file__).resolve().parents[1]
ROOT = NOTEBOOKS.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
PROGRESS = re.compile(r"^.*\d+%\|.*\|.*$\n?|^\s*\d+\S*it \[.*\]$\n?", re.MULTILINE)
NOT_PROSE = re.compile(  # hidden comments, HTML tags, pictures, links' addresses, and lines that heads.py writes
    r"<!--.*?-->|</?[a-z][^>\n]*>|!\[[^]]*\]|(?<=\])(?:\([^)]*\)|\[\w+\])"
    r"|^(?:\[\w+\]: |\*\*Time\*\*: |\*Run for these )[^\n]*",
    re.MULTILINE | re.DOTALL,
)
WIDGET, PLOTLY = "application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json"


def tool_parser(description, names=False):
    """Return a parser that shows a tool's docstring, and takes names of notebooks if `names` is true."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if names:
        parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="how its name begins, or its path")
    return parser


def find_notebooks(names=(), extras=True, solutions=False):
    """Return the paths of notebooks: the seven of the main line, the extras, and the solutions of both.

    Args:
        names: Select some by a path, or by the beginning of the file's name ("02") or of the label ("extras").
    """
    folders = ["", "extras"] if extras else [""]
    folders += [f"solutions/{folder}" for folder in folders] if solutions else []
    found = [path for folder in folders for path in sorted((NOTEBOOKS / folder).glob("*.ipynb"))]
    named = {one: (one.name, label(one), label(one).removeprefix("solutions/")) for one in found}
    selected = []
    for name in names:
        path = Path(name).resolve()
        begins = [one for one, texts in named.items() if any(text.startswith(name) for text in texts)]
        match = [path] if path.is_file() else begins
        if not match:
            sys.exit(f"expected a notebook of {', '.join(map(label, found))}; found {name!r}")
        selected += match
    return selected if names else found


def is_lesson(path):
    """Return whether a path is that of a numbered notebook or of an extra, and not of solutions."""
    return path.parent in (NOTEBOOKS, NOTEBOOKS / "extras")


def solutions_of(path):
    """Return where the solutions of a lesson are, which may have none."""
    return NOTEBOOKS / "solutions" / path.relative_to(NOTEBOOKS)


def label(path):
    """Return a notebook's name in messages, such as "02_mask_net" or "solutions/extras/design_lab"."""
    inside = path.is_relative_to(NOTEBOOKS)
    return path.relative_to(NOTEBOOKS).with_suffix("").as_posix() if inside else path.stem


def read(path):
    """Read a notebook."""
    return nbformat.read(path, as_version=4)


def write(nb, path):
    """Write a notebook entirely or not at all, and always in the same layout, so that diffs are small."""
    write_file(path, (nbformat.writes(nb) + "\n").encode())


def code_cells(nb):
    """Return the code cells that are not empty."""
    return [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]


def tagged(nb, tag):
    """Return the cells that have a tag."""
    return [cell for cell in nb.cells if tag in cell.metadata.get("tags", [])]


def source_hash(nb):
    """Return a hash of the code cells: it changes when the stored outputs may, and not when prose does."""
    code = "\0".join(cell.source.rstrip() for cell in code_cells(nb))
    return hashlib.sha256(code.encode("utf8")).hexdigest()[:16]


def stored_hash(nb):
    """Return the hash of the code that made the stored outputs; None if there is none."""
    return nb.metadata.get("maskdepth", {}).get("source_hash")


def count_words(nb):
    """Return the number of words in the Markdown cells, without what NOT_PROSE matches."""
    prose = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    return sum(bool(re.search(r"\w", word)) for word in NOT_PROSE.sub(" ", prose).split())


def exercise_minutes(nb):
    """Return {letter: minutes} of the exercises, as in "**B · Sizes (4 min).**"; 0 minutes for one that says none."""
    found = [re.match(r"\*\*([A-Z]) · (?:.*\((\d+) min\))?", cell.source) for cell in tagged(nb, "exercise")]
    return {match[1]: int(match[2] or 0) for match in found if match}


def reading_minutes(nb):
    """Return how long a reader takes: 200 words or 20 lines of code a minute, and the exercises."""
    lines = sum(bool(line.strip()) for cell in code_cells(nb) for line in cell.source.split("\n"))
    return count_words(nb) / 200 + lines / 20 + sum(exercise_minutes(nb).values())


def headline(nb):
    """Return what the cells tagged `headline` printed, on one line."""
    outputs = (out for cell in tagged(nb, "headline") for out in cell.get("outputs", []))
    lines = (line.strip() for out in outputs if out.get("name") == "stdout" for line in out.text.splitlines())
    return "; ".join(filter(None, lines))


def tidy(nb):
    """Drop what differs between two equal runs: widget state, timings, progress bars, random cell ids."""
    about = {name: value for name, value in nb.metadata.get("maskdepth", {}).items() if name in ("executed", "goal")}
    nb.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    nb.nbformat, nb.nbformat_minor = 4, 5
    seen = {}
    for cell in nb.cells:
        # An id made from the cell's own text stays the same, wherever the notebook was written.
        digest = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(tidy_output, cell.outputs) if output]
    nb.metadata["maskdepth"] = {"source_hash": source_hash(nb), **about}
    return nb


def tidy_output(output):
    """Drop the parts of an output that should not be stored; None if nothing is left."""
    data = output.get("data", {})
    data.pop(PLOTLY, None)  # a megabyte for what its still picture shows
    if data.pop(WIDGET, None) is not None and "image/png" not in data:
        return None  # without its state a widget shows as an error; its still picture, if it has one, does not
    if output.output_type == "stream":
        output.text = PROGRESS.sub("", output.text)
        return output if output.text.strip() else None
    return output


def read_json(path, default=None):
    """Read a stored result; `default` if there is none."""
    return json.loads(path.read_text(encoding="utf8")) if default is None or path.is_file() else default


def write_json(path, content):
    """Store a result."""
    write_file(path, (json.dumps(content, indent=1) + "\n").encode())
