"""Exercises and solutions are twins: a notebook's exercises are made from notebooks/solutions/, minus the blanks.

    python notebooks/tools/exercises.py --check          # are they? exit 1 if not
    python notebooks/tools/exercises.py --write 02 05    # write them into these notebooks (none named: all)

The cells of a solution notebook that are tagged `exercise` belong to both. In their code, the reader finds `...` for

    # SOLUTION            alone on a line: the rest of its block
    kernel = 4  # SOLUTION    at a line's end: what follows the =

A notebook whose exercises were rewritten has to be executed again, unless only their prose changed.
"""

import re
import sys

from nbformat.v4 import new_markdown_cell
from notebook_files import NOTEBOOKS, find_notebooks, read, tagged, tool_parser, write

TAG = "exercise"
MARK = "# SOLUTION"
INTRO = """**These exercises check themselves.** Write your code where the `...` is, run the cell, and then the check
below it: it says what is wrong, in words, and gives a hint. An exercise left open says so, and the notebook runs on.
They need nothing from above: you can start at the next cell. The solutions, with the reasons, are in
[solutions/{name}](solutions/{name})."""


def blank(source):
    """Return a solution's code as the reader gets it, with `...` for what is to be written."""
    source = re.sub(rf"(?m)^( *){MARK}$(?:\n+\1.*\S.*)*", r"\1...  # your code", source)
    return re.sub(rf"(?m)^([^=\n]*)=.*{MARK}$", r"\1= ...", source)


def exercise_cells(solution, name):
    """Return the cells that belong in notebook `name`: an introduction, and the solution's exercises with blanks."""
    cells = [new_markdown_cell(INTRO.format(name=name), metadata={"tags": [TAG]})]
    for cell in tagged(solution, TAG):
        twin = cell.copy()
        twin.metadata = {"tags": [TAG]}
        if cell.cell_type == "code":
            twin.source, twin.outputs, twin.execution_count = blank(cell.source), [], None
        cells.append(twin)
    return cells


def put(nb, cells):
    """Replace the cells of a notebook that are tagged `exercise`; what has not changed keeps its outputs."""
    old = {(cell.cell_type, cell.source): cell for cell in tagged(nb, TAG)}
    if not old:
        raise ValueError(f"expected a cell tagged `{TAG}` where the exercises belong, found none")
    place = nb.cells.index(tagged(nb, TAG)[0])
    others = [cell for cell in nb.cells if TAG not in cell.metadata.get("tags", [])]
    nb.cells = others[:place] + [old.get((cell.cell_type, cell.source), cell) for cell in cells] + others[place:]
    seen = set()
    for cell in nb.cells:  # ids have to be unique; executing the notebook makes lasting ones
        while cell.id in seen:
            cell.id += "x"
        seen.add(cell.id)
    return nb


def problems(nb, solution, name):
    """List, in sentences, where a notebook's exercises differ from its solutions."""
    expected, found = exercise_cells(solution, name), tagged(nb, TAG)
    for number, (a, b) in enumerate(zip(expected, found)):
        if (a.cell_type, a.source) != (b.cell_type, b.source):
            return [f"exercise cell {number} differs from its solution: {b.source.splitlines()[:1]}"]
    unequal = len(expected) != len(found)
    return [f"{len(found)} exercise cells, its solutions have {len(expected)}"] if unequal else []


def pairs(names=()):
    """Return the paths (notebook, its solutions) of each notebook that has solutions."""
    solutions = {path.name: path for path in (NOTEBOOKS / "solutions").glob("[0-9]*.ipynb")}
    missing = sorted(set(solutions) - {path.name for path in find_notebooks()})
    if missing:
        raise FileNotFoundError(f"solutions without a notebook: {', '.join(missing)}")
    return [(path, solutions[path.name]) for path in find_notebooks(names) if path.name in solutions]


def main():
    parser = tool_parser(__doc__, names=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="make the notebooks' exercises from their solutions")
    what.add_argument("--check", action="store_true", help="say which notebooks' exercises differ from their solutions")
    args = parser.parse_args()
    bad = False
    for path, solution in pairs(args.names):
        nb = read(path)
        solved = read(solution)
        found = problems(nb, solved, path.name)
        if args.write and found:
            write(put(nb, exercise_cells(solved, path.name)), path)
            print(f"{path.stem}: written; execute it again if the code of an exercise changed")
        elif found:
            bad = True
            print(f"{path.stem}: {found[0]}")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
