"""The tool that writes a notebook's exercises from its solutions."""

import exercises
import notebook_files as files
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

SOLVED = """def my(x):
    a = 1
    # SOLUTION
    if x:

        a = 2


my_number = 4  # SOLUTION"""
OPEN = """def my(x):
    a = 1
    ...  # your code


my_number = ..."""


def code(source):
    return new_code_cell(source, metadata={"tags": ["exercise"]})


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """A folder with one notebook and its solutions, in which the tools work."""
    (tmp_path / "solutions").mkdir()
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path)
    place = new_markdown_cell("", metadata={"tags": ["exercise"]})
    cells = [new_markdown_cell("# One"), new_markdown_cell("## Exercises"), place, new_code_cell("print(1)")]
    files.write(files.tidy(new_notebook(cells=cells)), tmp_path / "01_one.ipynb")
    task = new_markdown_cell("**A** Double.", metadata={"tags": ["exercise"]})
    solution = new_notebook(cells=[task, code(SOLVED), new_markdown_cell("Because.")])
    files.write(solution, tmp_path / "solutions" / "01_one.ipynb")
    return tmp_path


@pytest.fixture
def write(copies, monkeypatch):
    """Call the tool, for all notebooks or some; returns the notebook, in which nothing is to be done any more."""

    def call(*arguments):
        path = copies / "01_one.ipynb"
        assert len(exercises.problems(files.read(path), path)) == 1
        monkeypatch.setattr("sys.argv", ["exercises", *arguments])
        exercises.main()
        nb = files.read(path)
        assert exercises.problems(nb, path) == []
        return nb

    return call


def test_written_where_a_cell_is_tagged_and_nowhere_else(write):
    sources = [cell.source for cell in write().cells]
    assert sources[1] == "## Exercises"
    assert "(solutions/01_one.ipynb)" in sources[2]
    assert sources[3:] == ["**A** Double.", OPEN, "print(1)"]
    assert "Because." not in sources


def test_written_again_only_what_changed(copies, write):
    nb = write("01")
    files.tagged(nb, "exercise")[2].execution_count = 5
    files.write(nb, copies / "01_one.ipynb")
    solution = files.read(copies / "solutions" / "01_one.ipynb")
    solution.cells[0].source = "**A** Twice as much."
    solution.cells.insert(2, code("my_more = 1  # SOLUTION"))
    files.write(solution, copies / "solutions" / "01_one.ipynb")
    cells = write("01").cells
    assert [cell.source for cell in cells[3:6]] == ["**A** Twice as much.", OPEN, "my_more = ..."]
    assert cells[4].execution_count == 5  # the code is the same, so its outputs are still true
    assert len({cell.id for cell in cells}) == len(cells)


def test_an_extra_finds_its_solutions(copies):
    (copies / "solutions" / "extras").mkdir()
    (copies / "solutions" / "01_one.ipynb").rename(copies / "solutions" / "extras" / "one.ipynb")
    cells = exercises.exercise_cells(copies / "extras" / "one.ipynb")
    assert "(../solutions/extras/one.ipynb)" in cells[0].source


def test_a_notebook_without_the_section():
    with pytest.raises(ValueError, match="tagged `exercise`"):
        exercises.put(new_notebook(), [])
