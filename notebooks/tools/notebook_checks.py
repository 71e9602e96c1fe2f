"""Check that notebooks are fit to commit.    python notebooks/tools/notebook_checks.py [01 03 ...]"""

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
    """List, in sentences, what keeps a notebook from being committed."""
    found = []
    try:
        nbformat.validate(nb)
    except nbformat.ValidationError as error:
        found.append(f"not a valid notebook: {str(error).splitlines()[0]}")
    if nb.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel is not python3")
    parameters = files.tagged(nb, "parameters")
    if len(parameters) != 1 or not re.search(r'^profile = "full"', parameters[0].source, re.MULTILINE):
        found.append('expected one cell tagged `parameters` that says profile = "full"')
    if files.tagged(nb, "injected-parameters") or "papermill" in json.dumps(nb.metadata):
        found.append("papermill's traces are stored in it")
    for number, cell in enumerate(nb.cells):
        if cell.cell_type == "code" and len(cell.source.splitlines()) > LONGEST_CELL:
            found.append(f"cell {number} has more than {LONGEST_CELL} lines")
        if cell.cell_type == "markdown" and PICTURE_WITHOUT_ALT.search(cell.source):
            found.append(f"cell {number} has a picture without alt text")
        if ABSOLUTE_PATH.search(cell.source):
            found.append(f"cell {number} names an absolute path: {ABSOLUTE_PATH.search(cell.source)[1]}")
    if files.stored_hash(nb) is None:
        found.append("no hash of its code cells: it was never executed by execute_notebooks.py")
    elif files.stored_hash(nb) != files.source_hash(nb):
        found.append("its code changed after its outputs were made: execute it again")
    code = files.code_cells(nb)
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not one clean run from top to bottom (execution counts)")
    if not files.headline(nb):
        found.append("no cell tagged `headline` printed a line for the table of `make course`")
    return found + output_problems(nb)


def output_problems(nb):
    """Check for errors, warnings and absolute paths in the stored outputs."""
    found = ["metadata.widgets is stored: GitHub may not render it"] if "widgets" in nb.metadata else []
    for number, cell in enumerate(nb.cells):
        for output in cell.get("outputs", []):
            kinds = [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
            text = "\n".join([output.get("text", ""), *output.get("traceback", []), *map("".join, kinds)])
            if output.output_type == "error":
                found.append(f"cell {number} stores an error: {output.ename}")
            if output.get("name") == "stderr" and "warn" in text.lower():
                found.append(f"cell {number} stores a warning: {text.strip().splitlines()[0]}")
            if ABSOLUTE_PATH.search(text):
                found.append(f"cell {number} printed an absolute path: {ABSOLUTE_PATH.search(text)[1]}")
            if PICTURE_WITHOUT_ALT.search("".join(output.get("data", {}).get("text/html", ""))):
                found.append(f"cell {number} shows a picture without alt text")
    return found


if __name__ == "__main__":
    paths = files.find_notebooks(sys.argv[1:], solutions=True)
    found = [f"{files.label(path)}: {problem}" for path in paths for problem in problems(files.read(path))]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))
