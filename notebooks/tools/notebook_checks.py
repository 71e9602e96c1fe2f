"""Check that notebooks are fit to commit: outputs, heads, alt texts, exercises.

    python notebooks/tools/notebook_checks.py          # all, and their solutions
    python notebooks/tools/notebook_checks.py 01 03
"""

import json
import re
import sys

import exercises
import heads
import nbformat
from notebook_files import (
    code_cells,
    find_notebooks,
    headline,
    label,
    read,
    source_hash,
    stored_hash,
    tagged,
    tool_parser,
)

LONGEST_CELL = 35
ABSOLUTE_PATH = re.compile(
    r"""(?:^|[\s"'`(=,:\[])(/(?:work|root|home|tmp|Users|opt|usr|var|mnt)/[\w.-]+|[A-Z]:\\Users\\)"""
)
PICTURE_WITHOUT_ALT = re.compile(r"""!\[\s*\]\(|<img(?![^>]*\balt=["'][^"'])""")


def problems(nb):
    """List, in sentences, what keeps a notebook from being committed."""
    found = ["metadata.widgets is stored: GitHub may not render it"] if "widgets" in nb.metadata else []
    try:
        nbformat.validate(nb)
    except nbformat.ValidationError as error:
        found.append(f"not a valid notebook: {str(error).splitlines()[0]}")
    if nb.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel is not python3")
    parameters = tagged(nb, "parameters")
    if len(parameters) != 1 or not re.search(r'^profile = "full"', parameters[0].source, re.MULTILINE):
        found.append('expected one cell tagged `parameters` that says profile = "full"')
    if tagged(nb, "injected-parameters") or "papermill" in json.dumps(nb.metadata):
        found.append("papermill's traces are stored in it")
    if stored_hash(nb) is None:
        found.append("no hash of its code cells: it was never executed by execute_notebooks.py")
    elif stored_hash(nb) != source_hash(nb):
        found.append("its code changed after its outputs were made: execute it again")
    code = code_cells(nb)
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not one clean run from top to bottom (execution counts)")
    if not headline(nb):
        found.append("no cell tagged `headline` printed a line for the table of `make course`")
    for number, cell in enumerate(nb.cells):
        found += [f"cell {number} {problem}" for problem in cell_problems(cell)]
    return found


def cell_problems(cell):
    """Check a cell and its stored outputs."""
    found = []
    if cell.cell_type == "code" and len(cell.source.splitlines()) > LONGEST_CELL:
        found.append(f"has more than {LONGEST_CELL} lines")
    if cell.cell_type == "markdown" and PICTURE_WITHOUT_ALT.search(cell.source):
        found.append("has a picture without alt text")
    if ABSOLUTE_PATH.search(cell.source):
        found.append(f"names an absolute path: {ABSOLUTE_PATH.search(cell.source)[1]}")
    for output in cell.get("outputs", []):
        data = {kind: "".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")}
        text = "\n".join([output.get("text", ""), *output.get("traceback", []), *data.values()])
        if output.output_type == "error":
            found.append(f"stores an error: {output.ename}")
        if output.get("name") == "stderr" and "warn" in text.lower():
            found.append(f"stores a warning: {text.strip().splitlines()[0]}")
        if ABSOLUTE_PATH.search(text):
            found.append(f"printed an absolute path: {ABSOLUTE_PATH.search(text)[1]}")
        if PICTURE_WITHOUT_ALT.search(data.get("text/html", "")):
            found.append("shows a picture without alt text")
    return found


def main():
    found = []
    for path in find_notebooks(tool_parser(__doc__, names=True).parse_args().names, solutions=True):
        nb = read(path)
        listed = [*problems(nb), *heads.problems(nb, path), *exercises.problems(nb, path)]
        found += [f"{label(path)}: {problem}" for problem in listed]
    print("\n".join(found), end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
