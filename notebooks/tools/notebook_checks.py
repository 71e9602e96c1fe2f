"""What a committed notebook must be.    python notebooks/tools/notebook_checks.py [01 03 ...]"""

import json
import re
import sys

import nbformat
import notebook_files as files

LONGEST_CELL = 35
ABSOLUTE_PATH = re.compile(
    r"""(?:^|[\s"'`(=,:\[])(/(?:work|root|home|tmp|Users|opt|usr|var|mnt)/[\w.-]+|[A-Z]:\\Users\\)"""
)
PICTURE_WITHOUT_ALT = re.compile(r"""!\[\s*\]\(|<img(?![^>]*\balt=["'][^"'])""")


def problems(nb):
    """List of sentences, empty when the notebook is ready to be committed."""
    return _structure(nb) + _freshness(nb) + _outputs(nb)


def _structure(nb):
    found = []
    try:
        nbformat.validate(nb)
    except nbformat.ValidationError as error:
        found.append(f"not a valid notebook: {str(error).splitlines()[0]}")
    if nb.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel is not python3")
    parameters = files.tagged(nb, "parameters")
    if len(parameters) != 1:
        found.append(f"{len(parameters)} cells are tagged `parameters`, expected one")
    elif not re.search(r'^profile = "full"', parameters[0].source, re.MULTILINE):
        found.append('its `parameters` cell does not say profile = "full"')
    if files.tagged(nb, "injected-parameters") or "papermill" in json.dumps(nb.metadata):
        found.append("papermill's traces are stored in it")
    for number, cell in enumerate(nb.cells):
        if cell.cell_type == "code" and len(cell.source.splitlines()) > LONGEST_CELL:
            found.append(f"cell {number} has more than {LONGEST_CELL} lines")
        if cell.cell_type == "markdown" and PICTURE_WITHOUT_ALT.search(cell.source):
            found.append(f"cell {number} has a picture without alt text")
        if ABSOLUTE_PATH.search(cell.source):
            found.append(f"cell {number} names an absolute path: {ABSOLUTE_PATH.search(cell.source)[1]}")
    return found


def _freshness(nb):
    found = []
    if files.stored_hash(nb) is None:
        found.append("no hash of its code cells: it was never executed by execute_notebooks.py")
    elif files.stored_hash(nb) != files.source_hash(nb):
        found.append("its code changed after its outputs were made: execute it again")
    code = files.code_cells(nb)
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not one clean run from top to bottom (execution counts)")
    if not files.headline(nb):
        found.append("no cell tagged `headline` printed a line for the table of `make course`")
    return found


def _outputs(nb):
    found = []
    if "widgets" in nb.metadata:
        found.append("metadata.widgets is stored: GitHub may not render it")
    for number, cell in enumerate(nb.cells):
        for output in cell.get("outputs", []):
            text = _text(output)
            if output.output_type == "error":
                found.append(f"cell {number} stores an error: {output.ename}")
            if output.get("name") == "stderr" and "warn" in text.lower():
                found.append(f"cell {number} stores a warning: {text.strip().splitlines()[0]}")
            if ABSOLUTE_PATH.search(text):
                found.append(f"cell {number} printed an absolute path: {ABSOLUTE_PATH.search(text)[1]}")
            if PICTURE_WITHOUT_ALT.search("".join(output.get("data", {}).get("text/html", ""))):
                found.append(f"cell {number} shows a picture without alt text")
    return found


def _text(output):
    """All of an output that is text; pictures are left out."""
    kinds = [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join([output.get("text", ""), *output.get("traceback", []), *map("".join, kinds)])


def main():
    bad = 0
    for path in files.find_notebooks(sys.argv[1:], solutions=True):
        for problem in problems(files.read(path)):
            bad += 1
            print(f"{files.label(path)}: {problem}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
