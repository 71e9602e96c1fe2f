"""Exercises and solutions: twins, solutions pass, and open exercises say so."""

import re
import symtable

import exercises
import notebook_files as files
import pytest

from maskdepth_utils.course import checks
from maskdepth_utils.course.checks.verdict import RESULTS

LESSONS = [path for path in files.find_notebooks() if files.solutions_of(path).is_file()]
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=files.label)


def without_shell(cell):
    """A code cell's source with `pass` in place of its shell commands."""
    return re.sub(r"^( *)!.*", r"\1pass", cell.source, flags=re.MULTILINE)


def run_cells(cells):
    """Run code cells as a reader would; {check cell's source: its verdict}."""
    names, verdicts = {}, {}
    for source in (without_shell(cell) for cell in cells if cell.cell_type == "code"):
        if source.startswith("checks."):
            verdicts[source] = eval(source.rstrip(";"), names)  # the ; keeps a notebook from printing True
        else:
            exec(compile(source, "<exercise>", "exec"), names)
    return verdicts


@each_lesson
def test_solutions_pass_and_open_exercises_say_so(path, capsys):
    RESULTS.clear()
    solved = run_cells(files.read(files.solutions_of(path)).cells)  # all of them, the set-up included
    printed = capsys.readouterr().out
    assert 1 <= len(solved) <= 6
    assert printed.splitlines()[-1] == f"{len(solved)} of {len(solved)} exercises solved", printed
    open_ = run_cells(exercises.exercise_cells(path))
    assert open_ == dict.fromkeys(solved, False)
    assert re.findall("^Not .*? yet", capsys.readouterr().out, re.MULTILINE) == ["Not solved yet"] * len(open_)


def test_every_check_belongs_to_an_exercise():
    sources = [cell.source for path in LESSONS for cell in files.tagged(files.read(path), "exercise")]
    used = [source.split("(")[0].removeprefix("checks.") for source in sources if source.startswith("checks.")]
    assert sorted(used) == sorted(name for name in checks.__all__ if name.startswith("check_"))


@each_lesson
def test_exercises_take_no_name_away_from_the_rest_of_the_notebook(path):
    mine = find_names(files.tagged(files.read(path), "exercise"))
    cells = files.read(path).cells
    assert not mine & find_names(cell for cell in cells if "exercise" not in cell.metadata.get("tags", []))


def find_names(cells):
    """Names that cells define at their top level; imports, which agree, left out."""
    sources = [without_shell(cell) for cell in cells if cell.cell_type == "code"]
    symbols = [symbol for source in sources for symbol in symtable.symtable(source, "cell", "exec").get_symbols()]
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() and not symbol.is_imported()}
