"""Write the exercises of notebooks: the cells of their solutions that are tagged `exercise`, minus the blanks.

    python notebooks/tools/exercises.py 02 05    # into these notebooks (none named: all)

In the code of such a cell, the reader finds `...` for

    # SOLUTION            alone on a line: the rest of its block
    kernel = 4  # SOLUTION    at a line's end: what follows the =

A notebook whose exercises were rewritten has to be executed again, unless only their prose changed.
"""

import os
import re
from itertools import zip_longest
from pathlib import Path

from nbformat.v4 import new_code_cell, new_markdown_cell
from notebook_files import find_notebooks, is_lesson, label, read, solutions_of, tagged, tool_parser, write

TAG = "exercise"
MARK = "# SOLUTION"
INTRO = """**These exercises check themselves.** Write your code where the `...` is, run the cell, and then the check
below it: it says what is wrong and gives a hint. An unsolved exercise says so, and the notebook keeps running.
The exercises use no variable from above: you can start at the next cell. The solutions, with explanations, are in
[solutions/{name}]({link})."""


def blank(source):
    """Return a solution's code as the reader gets it, with `...` for what is to be written."""
    source = re.sub(rf"(?m)^( *){MARK}$(?:\n+\1.*\S.*)*", r"\1...  # your code", source)
    return re.sub(rf"(?m)^([^=\n]*)=.*{MARK}$", r"\1= ...", source)


def exercise_cells(path):
    """Return the cells that belong in a notebook: an introduction, and its solutions' exercises with blanks."""
    tags = {"tags": [TAG]}
    solutions = solutions_of(path)
    link = Path(os.path.relpath(solutions, path.parent)).as_posix()
    cells = [new_markdown_cell(INTRO.format(name=path.name, link=link), metadata=tags)]
    for cell in tagged(read(solutions), TAG):
        make = new_code_cell if cell.cell_type == "code" else new_markdown_cell
        cells.append(make(blank(cell.source), metadata=tags))
    return cells


def put(nb, cells):
    """Replace the cells of a notebook that are tagged `exercise`; what has not changed keeps its outputs."""
    old = {(cell.cell_type, cell.source): cell for cell in tagged(nb, TAG)}
    if not old:
        raise ValueError(f"expected a cell tagged `{TAG}` where the exercises belong, found none")
    place = nb.cells.index(tagged(nb, TAG)[0])
    others = [cell for cell in nb.cells if TAG not in cell.metadata.get("tags", [])]
    nb.cells = others[:place] + [old.get((cell.cell_type, cell.source), cell) for cell in cells] + others[place:]
    return nb


def problems(nb, path):
    """Say, in a sentence, where the exercises of the notebook at `path` differ from its solutions, if they do."""
    if not is_lesson(path) or not solutions_of(path).is_file():
        return []
    pairs = zip_longest(exercise_cells(path), tagged(nb, TAG), fillvalue=new_markdown_cell())
    same = [(a.cell_type, a.source) == (b.cell_type, b.source) for a, b in pairs]
    return [] if all(same) else [f"exercise cell {same.index(False)} differs from its solution"]


def main():
    for path in find_notebooks(tool_parser(__doc__, names=True).parse_args().names):
        nb = read(path)
        if problems(nb, path):
            write(put(nb, exercise_cells(path)), path)
            print(f"{label(path)}: written; execute it again if the code of an exercise changed")


if __name__ == "__main__":
    main()
