"""Check that notebooks are fit to commit: outputs, heads, alt texts, exercises, length.

    python notebooks/tools/notebook_checks.py          # all, and their solutions
    python notebooks/tools/notebook_checks.py 01 03
"""

import re
import string
import sys

import exercises
import heads
import notebook_files as files
from nbformat.validator import iter_validate

LONGEST_CELL = 35
MOST = {"words": 3000, "cells": 80, "minutes to read": 45, "exercises": 4}  # in a numbered notebook
MOST_IN_EXTRA = {"words": 2500}
ABSOLUTE_PATH = re.compile(
    r"""(?:^|[\s"'`(=,:\[])(/(?:work|root|home|tmp|Users|opt|usr|var|mnt)/[\w.-]+|[A-Z]:\\Users\\)"""
)
PICTURE_WITHOUT_ALT = re.compile(r"""!\[\s*\]\(|<img(?![^>]*\balt=["'][^"'])""")


def problems(nb):
    """List, in sentences, what keeps a notebook from being committed."""
    parameters, code = files.tagged(nb, "parameters"), files.code_cells(nb)
    full = len(parameters) == 1 and re.search(r'^profile = "full"', parameters[0].source, re.MULTILINE)
    is_wrong = {
        "metadata.widgets is stored: GitHub may not render it": "widgets" in nb.metadata,
        "its kernel is not python3": nb.metadata.get("kernelspec", {}).get("name") != "python3",
        'expected one cell tagged `parameters` that says profile = "full"': not full,
        "papermill's traces are stored in it":
            files.tagged(nb, "injected-parameters") or "papermill" in str(nb.metadata),
        "no hash of its code cells: it was never executed by execute_notebooks.py": files.stored_hash(nb) is None,
        "its code changed after its outputs were made: execute it again":
            files.stored_hash(nb) not in (None, files.source_hash(nb)),
        "not one clean run from top to bottom (execution counts)":
            [cell.execution_count for cell in code] != list(range(1, len(code) + 1)),
        "no cell tagged `headline` printed a line for the table of `make course`": not files.headline(nb),
    }  # fmt: skip
    found = [f"not a valid notebook: {str(error).splitlines()[0]}" for error in iter_validate(nb)]
    found += [sentence for sentence, wrong in is_wrong.items() if wrong]
    return found + [f"cell {n} {problem}" for n, cell in enumerate(nb.cells) for problem in cell_problems(cell)]


def cell_problems(cell):
    """List what is wrong with a cell and its stored outputs."""
    found = []
    if cell.cell_type == "code" and len(cell.source.splitlines()) > LONGEST_CELL:
        found.append(f"has more than {LONGEST_CELL} lines")
    pages = [cell.source] if cell.cell_type == "markdown" else []
    texts = [cell.source]
    for output in cell.get("outputs", []):
        data = {kind: "".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")}
        text = "\n".join([output.get("text", ""), *output.get("traceback", []), *data.values()])
        if output.output_type == "error":
            found.append(f"stores an error: {output.ename}")
        if output.get("name") == "stderr" and "warn" in text.lower():
            found.append(f"stores a warning: {text.strip().splitlines()[0]}")
        pages.append(data.get("text/html", ""))
        texts.append(text)
    found += [f"names an absolute path: {path[1]}" for path in map(ABSOLUTE_PATH.search, texts) if path]
    return found + ["has a picture without alt text" for page in pages if PICTURE_WITHOUT_ALT.search(page)]


def shape_problems(nb, path):
    """List what makes a lesson too long, and exercises that say no minutes or whose letters leave a gap."""
    if not files.is_lesson(path):
        return []
    exercises = files.exercise_minutes(nb)
    counts = {
        "words": files.count_words(nb), "cells": len(nb.cells), "minutes to read": round(files.reading_minutes(nb)),
        "exercises": len(exercises),
    }  # fmt: skip
    limits = MOST if path.parent == files.NOTEBOOKS else MOST_IN_EXTRA
    found = [f"{counts[name]} {name}, expected at most {most}" for name, most in limits.items() if counts[name] > most]
    if list(exercises) != list(string.ascii_uppercase[: len(exercises)]):
        found.append(f"expected exercises A, B, C ..., found {', '.join(exercises)}")
    no_time = [letter for letter, minutes in exercises.items() if not minutes]
    return found + [f"exercise {letter}: expected a first line such as **A · Sizes (4 min).**" for letter in no_time]


def main():
    found = []
    for path in files.find_notebooks(files.tool_parser(__doc__, names=True).parse_args().names, solutions=True):
        nb = files.read(path)
        listed = [*problems(nb), *heads.problems(nb, path), *exercises.problems(nb, path), *shape_problems(nb, path)]
        found += [f"{files.label(path)}: {problem}" for problem in listed]
    print("\n".join(found), end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
