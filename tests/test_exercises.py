"""Exercises and solutions: twins, solved ones pass, open ones say so, and the tool that writes them."""

import ast
import re
import shutil
import sys

import exercises
import notebook_files as files
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from run_notebooks import run

from maskdepth_utils.course import checks

SOLUTIONS = sorted((files.NOTEBOOKS / "solutions").glob("[0-9]*.ipynb"))
INNER = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp  # they keep their names to themselves
each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


def play(cells):
    """Run exercise cells as a reader would; {check cell's source: its verdict}."""
    names, verdicts = {}, {}
    for source in (cell.source for cell in cells if cell.cell_type == "code"):
        if source.startswith("checks."):
            verdicts[source] = eval(source.rstrip(";"), names)  # the ; keeps a notebook from printing True
        else:
            exec(compile(source, "<exercise>", "exec"), names)
    return verdicts


@each_solution
def test_solutions_pass_and_stubs_do_not(path, capsys):
    solution = files.read(path)
    solved = play(files.tagged(solution, "exercise"))
    assert all(verdict is True for verdict in solved.values()), capsys.readouterr().out
    assert 3 <= len(solved) <= 6
    capsys.readouterr()
    open_ = play(exercises.exercise_cells(solution, path.name))
    assert list(open_) == list(solved)
    assert all(verdict is False for verdict in open_.values())
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Not ")]
    assert len(printed) == len(open_) and all(line.startswith("Not solved yet.") for line in printed)


def test_every_check_belongs_to_an_exercise():
    sources = [cell.source for path in SOLUTIONS for cell in files.tagged(files.read(path), "exercise")]
    used = [source.split("(")[0].removeprefix("checks.") for source in sources if source.startswith("checks.")]
    assert sorted(used) == sorted(name for name in checks.__all__ if name.startswith("check_"))


@pytest.mark.parametrize("path, solution", exercises.pairs(), ids=[path.stem for path, _ in exercises.pairs()])
def test_twins(path, solution):
    nb = files.read(path)
    found = exercises.problems(nb, files.read(solution), path.name)
    assert found == [], f"run python notebooks/tools/exercises.py --write {path.name[:2]}"


@each_solution
def test_exercises_take_no_name_away_from_the_rest_of_the_notebook(path):
    mine = bound(files.tagged(files.read(path), "exercise"))
    rest = [
        cell
        for cell in files.read(files.NOTEBOOKS / path.name).cells
        if "exercise" not in cell.metadata.get("tags", [])
    ]
    assert not mine & bound(rest)


def bound(cells):
    """Names that cells define at their top level; imports, which agree, left out."""
    found = set()
    for cell in cells:
        if cell.cell_type == "code":
            nodes = ast.parse(re.sub(r"^( *)!.*", r"\1pass", cell.source, flags=re.MULTILINE)).body
            while nodes:
                node = nodes.pop()
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    found.add(node.name)
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.add(node.id)
                elif not isinstance(node, INNER):
                    nodes += ast.iter_child_nodes(node)
    return found


# ------------------------------------------------------------------------------------------------ the tool


def code(source):
    return new_code_cell(source, metadata={"tags": ["exercise"]})


SOLVED = """def my_double(x):
    \"\"\"Twice x.\"\"\"
    # SOLUTION
    if x:

        return 2 * x
    return 0


class My:
    def __init__(self):
        self.a = 1
        # SOLUTION
        self.b = 2

    def forward(self, x):
        # SOLUTION
        return x


my_number = 4  # SOLUTION"""
OPEN = """def my_double(x):
    \"\"\"Twice x.\"\"\"
    ...  # your code


class My:
    def __init__(self):
        self.a = 1
        ...  # your code

    def forward(self, x):
        ...  # your code


my_number = ..."""


def test_blanks():
    assert exercises.blank(SOLVED) == OPEN


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """A folder with one notebook and its solutions, in which the tools work."""
    (tmp_path / "solutions").mkdir()
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(exercises, "NOTEBOOKS", tmp_path)
    section = "Last words.\n\n## Exercises\n\n**1.** By hand.\n\n## In one line\n\nHere it is."
    cells = [new_markdown_cell("# One"), new_markdown_cell(section), new_code_cell("print(1)")]
    files.write(files.tidy(new_notebook(cells=cells)), tmp_path / "01_one.ipynb")
    task = new_markdown_cell("**A** Double.", metadata={"tags": ["exercise"]})
    why = new_markdown_cell("Because.")
    files.write(new_notebook(cells=[task, code(SOLVED), why]), tmp_path / "solutions" / "01_one.ipynb")
    return tmp_path


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["exercises", *arguments])
    return exercises.main()


def test_written_into_their_section_and_nowhere_else(copies, monkeypatch, capsys):
    assert call(monkeypatch, "--check") == 1
    assert "not written yet" in capsys.readouterr().out
    assert call(monkeypatch, "--write") == 0
    assert call(monkeypatch, "--check") == 0
    sources = [cell.source for cell in files.read(copies / "01_one.ipynb").cells]
    assert sources[1].endswith("**1.** By hand.")
    assert "solutions/01_one.ipynb" in sources[2]
    assert sources[3:5] == ["**A** Double.", OPEN]
    assert sources[5] == "## In one line\n\nHere it is."
    assert "Because." not in sources


def test_written_again_only_what_changed(copies, monkeypatch):
    call(monkeypatch, "--write", "01")
    nb = files.read(copies / "01_one.ipynb")
    files.tagged(nb, "exercise")[2].execution_count = 5
    files.write(nb, copies / "01_one.ipynb")
    solution = files.read(copies / "solutions" / "01_one.ipynb")
    solution.cells[0].source = "**A** Twice as much."
    solution.cells.insert(2, code("my_more = 1  # SOLUTION"))
    files.write(solution, copies / "solutions" / "01_one.ipynb")
    assert call(monkeypatch, "--check", "01") == 1
    assert call(monkeypatch, "--write", "01") == 0
    cells = files.read(copies / "01_one.ipynb").cells
    assert [cell.source for cell in cells[3:6]] == ["**A** Twice as much.", OPEN, "my_more = ..."]
    assert cells[4].execution_count == 5  # the code is the same, so its outputs are still true
    assert len({cell.id for cell in cells}) == len(cells)


def test_a_notebook_without_the_section_or_solutions_without_a_notebook(copies, monkeypatch):
    nb = files.read(copies / "01_one.ipynb")
    with pytest.raises(ValueError, match="## Exercises"):
        exercises.put(new_notebook(cells=nb.cells[:1]), [])
    shutil.move(copies / "01_one.ipynb", copies / "02_two.ipynb")
    with pytest.raises(FileNotFoundError, match="01_one.ipynb"):
        call(monkeypatch, "--check")


# ---------------------------------------------------------------------------------------- whole notebooks


@pytest.mark.notebooks
@each_solution
def test_solution_notebooks_run(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    result = run(path, "fast", tmp_path, cwd=tmp_path / "elsewhere")
    assert result["error"] is None, result["error"]
    solved, _, count, *_ = result["headline"].split()
    assert solved == count
