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
from notebook_checks import problems


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


def test_hash_follows_code_and_not_prose():
    nb = stored(new_markdown_cell("Some prose."), cell("x = 1"))
    nb.cells[1].source = "Other prose."
    assert problems(nb) == []
    nb.cells[2].source = "x = 2"
    assert "code changed" in "".join(problems(nb))


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
        (lambda nb: nb.cells[1].outputs.append(new_output("error", ename="KeyError")), "KeyError"),
        (
            lambda nb: nb.cells[1].outputs.append(new_output("stream", name="stderr", text="UserWarning: x")),
            "warning",
        ),
        (
            lambda nb: nb.cells[1].outputs.append(new_output("stream", text="saved to /" + "home/me/x")),
            "absolute path",
        ),
    ],
)
def test_checks_find(spoil, word):
    nb = stored(cell("x = 1"))
    spoil(nb)
    assert word in "\n".join(problems(nb))


def test_pictures_with_alt_text_are_fine():
    pictures = '![A room](room.png) <img src="room.png" alt="A room"/>'
    assert problems(stored(new_markdown_cell(pictures))) == []


def test_a_failing_notebook_is_reported_and_the_others_run(save, tmp_path, monkeypatch, capsys):
    bad = save("bad", notebook(cell('raise ValueError("no such room")')))
    good = save("good", notebook(cell('print("IoU 0.9,", profile)', "headline")))
    monkeypatch.setattr(sys, "argv", ["run_notebooks", "--out", str(tmp_path / "out"), bad, good])
    assert run_notebooks.main() == 1
    printed = capsys.readouterr().out
    assert "ValueError: no such room" in printed
    assert "IoU 0.9, fast" in printed
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [bool(one["error"]) for one in results] == [True, False]
    assert results[1]["seconds"] > 0


def test_peak_memory_is_the_notebooks_own(save, tmp_path):
    code = "import time\nblock = bytearray(b'x') * 300_000_000\ntime.sleep(1.5)"
    result = run_notebooks.run(files.Path(save("large", notebook(cell(code)))), "fast", tmp_path / "out")
    assert result["error"] is None
    assert 300 < result["peak_mb"] < 900


@pytest.mark.parametrize("arguments", [["--profile", "slow"], ["no_such_notebook"]])
def test_unknown_profile_or_notebook(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run_notebooks", *arguments])
    with pytest.raises(SystemExit, match="2"):
        run_notebooks.main()
    assert arguments[-1] in capsys.readouterr().err


def test_storing_is_clean_and_repeatable(save, tmp_path, monkeypatch):
    bars = "for file in (sys.stdout, sys.stderr):\n    for _ in tqdm(range(2), file=file): pass\n"
    # A second, so that its memory, which is looked at every half second, is seen in full.
    code = f"import sys, time\nfrom tqdm import tqdm\n{bars}time.sleep(1)\nprint(profile)"
    path = save("one", notebook(new_markdown_cell("Prose."), cell(code, "headline")))
    monkeypatch.setattr(execute_notebooks, "OUT", tmp_path / "out")
    monkeypatch.setattr(sys, "argv", ["execute_notebooks", path])
    assert execute_notebooks.main() == 0
    first = files.Path(path).read_text()
    assert "papermill" not in first and "100%" not in first
    assert files.headline(files.read(path)) == "full"
    assert execute_notebooks.main() == 0
    runs = [nbformat.reads(text, 4) for text in (first, files.Path(path).read_text())]
    facts = [nb.metadata.maskdepth.pop("executed") for nb in runs]  # only these differ between two runs
    assert nbformat.writes(runs[0]) == nbformat.writes(runs[1])
    assert list(facts[0]) == ["cores", "date", "peak_mb", "processor", "python", "seconds", "torch"]
    assert facts[0].seconds > 0 and facts[0].peak_mb > 20 and facts[0].cores >= 1


def test_a_notebook_that_fails_stays_as_it_was(save, tmp_path, monkeypatch):
    path = save("bad", notebook(cell("1 / 0")))
    before = files.Path(path).read_bytes()
    monkeypatch.setattr(execute_notebooks, "OUT", tmp_path / "out")
    monkeypatch.setattr(sys, "argv", ["execute_notebooks", path])
    assert execute_notebooks.main() == 1
    assert files.Path(path).read_bytes() == before


def test_new_address_reaches_every_kind_of_place():
    text = (
        'ADDRESS="https://github.com/OWNER/maskdepth"  # comment\n'
        "https://colab.research.google.com/github/OWNER/maskdepth/blob/main/notebooks/01.ipynb\n"
        "https://raw.githubusercontent.com/OWNER/maskdepth/main/colab_setup.sh\n"
        "  url    = {https://github.com/OWNER/maskdepth}\n"
        "https://raw.githubusercontent.com/someone/else/master/data/bg/bg001.jpg\n"
    )
    new = write_address.with_address(text, "https://github.com/me/my-course")
    assert new.count("me/my-course") == 4 and "OWNER" not in new and "someone/else" in new


def test_of_a_widget_its_still_picture_is_stored_and_nothing_else():
    view, plotly = "application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json"
    one = cell("box = composer()")
    picture, bare, room = {"image/png": "iVBO", "text/plain": "x"}, {"text/plain": "x"}, {"image/jpeg": "/9j/"}
    shown = {view: {}} | picture, {view: {}} | bare, {plotly: {}} | room
    for data in shown:
        one.outputs.append(new_output("display_data", data))
    nb = files.tidy(notebook(one))
    kept = [set(output.data) for output in nb.cells[-1].outputs]
    assert kept == [{"image/png", "text/plain"}, {"image/jpeg"}]
