"""What an author relies on: the runner reports, the checks find, and storing twice changes nothing."""

import json
import sys

import execute_notebooks
import nbformat
import notebook_files as files
import pytest
import run_notebooks
import write_address
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_checks import problems, shape_problems


def cell(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def notebook(*cells):
    return new_notebook(cells=[cell('profile = "full"', "parameters"), *cells])


def stored(*cells):
    """A notebook as if execute_notebooks.py had stored it."""
    headline = cell("print(1)", "headline")
    headline.outputs = [new_output("stream", name="stdout", text="1\n")]
    nb = notebook(*cells, headline)
    for number, one in enumerate(files.code_cells(nb), 1):
        one.execution_count = number
    return files.tidy(nb)


@pytest.fixture
def save(tmp_path):
    def write(name, nb):
        nbformat.write(nb, tmp_path / f"{name}.ipynb")
        return str(tmp_path / f"{name}.ipynb")

    return write


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """execute_notebooks.py with arguments."""

    def call(*arguments):
        monkeypatch.setattr(execute_notebooks, "OUT", tmp_path / "out")
        monkeypatch.setattr(sys, "argv", ["execute_notebooks", *arguments])
        return execute_notebooks.main()

    return call


def test_hash_follows_code_and_not_prose():
    nb = stored(new_markdown_cell("Some prose."), cell("x = 1"))
    nb.cells[1].source = "Other prose."
    assert problems(nb) == []
    nb.cells[2].source = "x = 2"
    assert "code changed" in "".join(problems(nb))


def add_output(nb, kind, **content):
    nb.cells[1].outputs.append(new_output(kind, **content))


@pytest.mark.parametrize(
    "spoil, word",
    [
        (lambda nb: nb.metadata.update(widgets={}), "metadata.widgets"),
        (lambda nb: nb.metadata.pop("maskdepth"), "hash"),
        (lambda nb: nb.cells[1].update(execution_count=7), "execution counts"),
        (lambda nb: nb.cells[0].metadata.pop("tags"), "`parameters`"),
        (lambda nb: nb.cells[0].update(source='profile = "fast"'), 'profile = "full"'),
        (lambda nb: nb.cells[2].update(outputs=[]), "`headline`"),
        (lambda nb: nb.cells[1].update(source="x = 1\n" * 36), "more than 35 lines"),
        (lambda nb: nb.metadata.kernelspec.update(name="other"), "kernel"),
        (lambda nb: nb.cells.append(new_markdown_cell("![](room.png)")), "alt text"),
        (lambda nb: nb.cells.append(new_markdown_cell('<img src="room.png">')), "alt text"),
        (lambda nb: add_output(nb, "error", ename="KeyError"), "KeyError"),
        (lambda nb: add_output(nb, "stream", name="stderr", text="UserWarning: x"), "warning"),
        (lambda nb: add_output(nb, "stream", text="saved to /" + "home/me/x"), "absolute path"),
    ],
)
def test_checks_find(spoil, word):
    nb = stored(cell("x = 1"))
    spoil(nb)
    assert word in "\n".join(problems(nb))


def test_a_failing_notebook_is_reported_and_the_others_run(save, tmp_path, monkeypatch, capsys):
    bad = save("bad", notebook(cell('raise ValueError("no such room")')))
    code = "import time\nblock = bytearray(b'x') * 300_000_000\ntime.sleep(0.7)\nprint('IoU 0.9,', profile)"
    good = save("good", notebook(cell(code, "headline")))
    monkeypatch.setattr(sys, "argv", ["run_notebooks", "--out", str(tmp_path / "out"), bad, good])
    assert run_notebooks.main() == 1
    printed = capsys.readouterr().out
    assert "ValueError: no such room" in printed
    assert "IoU 0.9, fast" in printed
    report = tmp_path / "out" / "run_notebooks.json"
    results = json.loads(report.read_text())
    assert [bool(one["error"]) for one in results] == [True, False]
    assert results[1]["seconds"] > 0 and 300 < results[1]["peak_mb"] < 900
    report.unlink()  # without it, the notebooks in the folder could be a reader's own
    with pytest.raises(SystemExit, match="2"):
        run_notebooks.main()
    assert "OUT=FOLDER" in capsys.readouterr().err


READ = """# A title of five [words](address.md)

<!-- alt: hidden -->
![picture](a.png) <b>bold</b> [goal][goal]

**Time**: about a minute to read.

*Run for these pages on paper.*

[goal]: data:image/jpeg;base64,abc def"""


def test_how_long_a_reader_takes():
    task = new_markdown_cell(f"**A · Sizes (4 min).** {'word ' * 389}", metadata={"tags": ["exercise"]})
    nb = new_notebook(cells=[new_markdown_cell(READ), task, cell("x = 1\n\n" * 20)])
    assert files.count_words(new_notebook(cells=nb.cells[:1])) == 7
    assert files.count_words(nb) == 400 and files.reading_minutes(nb) == 2 + 4 + 1


def test_extras_and_solutions_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path)
    for name in ("02_b", "01_a", "extras/lab", "solutions/01_a", "solutions/extras/lab"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.ipynb").write_text("{}")
    found = {
        "all": files.find_notebooks(), "main line": files.find_notebooks(extras=False),
        "lab": files.find_notebooks(["lab"], solutions=True), "extras": files.find_notebooks(["extras"]),
        "extras and theirs": files.find_notebooks(["extras"], solutions=True),
        "a path": files.find_notebooks([str(tmp_path / "extras" / "lab.ipynb")]),
    }  # fmt: skip
    assert {name: [files.label(path) for path in paths] for name, paths in found.items()} == {
        "all": ["01_a", "02_b", "extras/lab"], "main line": ["01_a", "02_b"],
        "lab": ["extras/lab", "solutions/extras/lab"], "extras": ["extras/lab"], "a path": ["extras/lab"],
        "extras and theirs": ["extras/lab", "solutions/extras/lab"],
    }  # fmt: skip


def test_a_lesson_that_is_too_long():
    nb = new_notebook(cells=[cell("x\n" * 30) for _ in range(81)] + [new_markdown_cell("word " * 3001)])
    nb.cells += [new_markdown_cell("**B · No minutes.**", metadata={"tags": ["exercise"]})]
    found = "\n".join(shape_problems(nb, files.NOTEBOOKS / "09_x.ipynb"))
    for words in ("3004 words", "83 cells", "137 minutes", "found B", "exercise B: expected"):
        assert words in found
    assert shape_problems(nb, files.NOTEBOOKS / "solutions" / "09_x.ipynb") == []
    assert len(shape_problems(nb, files.NOTEBOOKS / "extras" / "x.ipynb")) == 3


def test_an_unknown_notebook():
    with pytest.raises(SystemExit, match="expected a notebook of 01_.*; found 'no_such'"):
        files.find_notebooks(["no_such"])


def test_a_folder_that_cannot_be_written(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run_notebooks", "--out", f"{__file__}/copies"])
    with pytest.raises(SystemExit, match="2"):
        run_notebooks.main()
    assert f"{__file__}/copies" in capsys.readouterr().err


def test_storing_is_clean_and_repeatable(save, execute):
    bars = "for file in (sys.stdout, sys.stderr):\n    for _ in tqdm(range(2), file=file): pass\n"
    code = f"import sys, time\nfrom tqdm import tqdm\n{bars}time.sleep(0.7)\nprint(profile)"
    path = files.Path(save("one", notebook(new_markdown_cell("Prose."), cell(code, "headline"))))
    assert execute(str(path)) == 0
    first = path.read_text()
    assert "papermill" not in first and "100%" not in first
    assert files.headline(files.read(path)) == "full"
    assert execute(str(path)) == 0
    runs = [nbformat.reads(text, 4) for text in (first, path.read_text())]
    facts = [nb.metadata.maskdepth.pop("executed") for nb in runs]  # only these differ between two runs
    assert nbformat.writes(runs[0]) == nbformat.writes(runs[1])
    assert list(facts[0]) == ["cores", "date", "peak_mb", "processor", "python", "seconds", "torch"]
    assert facts[0].seconds > 0 and facts[0].peak_mb > 20 and facts[0].cores >= 1


def test_a_notebook_that_fails_stays_as_it_was(save, execute):
    path = save("bad", notebook(cell("1 / 0")))
    before = files.Path(path).read_bytes()
    assert execute(path) == 1
    assert files.Path(path).read_bytes() == before


def test_new_address_reaches_every_kind_of_place():
    text = (
        'ADDRESS="https://github.com/OWNER/maskdepth"  # comment\n'
        "https://colab.research.google.com/github/OWNER/maskdepth/blob/main/notebooks/01.ipynb\n"
        'repository-code: "https://github.com/OWNER/maskdepth"\n'
        "https://raw.githubusercontent.com/someone/else/master/data/bg/bg001.jpg\n"
        "https://OWNER.github.io/maskdepth/demo/\n"
    )
    new = write_address.with_address(text, "me/my-course")
    assert "https://me.github.io/my-course/demo/" in new
    assert new.count("me/my-course") == 3 and "OWNER" not in new and "someone/else" in new
    cell = "import importlib.util\n!curl https://raw.githubusercontent.com/OWNER/maskdepth/main/colab_setup.sh | bash"
    assert write_address.with_address(cell, "me/my-course") == write_address.SETUP_CELL.replace("SLUG", "me/my-course")


def test_of_a_widget_only_its_still_picture_is_stored():
    one = cell("box = composer()")
    still, bare, room = {"image/png": "iVBO", "text/plain": "x"}, {"text/plain": "x"}, {"image/jpeg": "/9j/"}
    for data in ({files.WIDGET: {}} | still, {files.WIDGET: {}} | bare, {files.PLOTLY: {}} | room):
        one.outputs.append(new_output("display_data", data))
    kept = [set(output.data) for output in files.tidy(notebook(one)).cells[-1].outputs]
    assert kept == [{"image/png", "text/plain"}, {"image/jpeg"}]
