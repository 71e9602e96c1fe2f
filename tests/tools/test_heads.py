"""What heads.py makes: the same kind of head for every notebook, an alt text for every picture."""

import base64
import io

import heads
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_files import NOTEBOOKS, find_notebooks, source_hash, tidy
from PIL import Image
from write_address import slug

HERE = NOTEBOOKS / "09_x.ipynb"  # it need not exist
SOLUTION = NOTEBOOKS / "solutions" / "09_x.ipynb"
WORDS = ["Two lines\nof an *introduction*.", "**You will learn**\n- this;\n- that."]
RUN = {"date": "2026-11-03", "seconds": 171.3, "peak_mb": 1343, "cores": 2}
RUN |= {"processor": "AMD EPYC 7B13 64-Core Processor", "python": "3.11.7", "torch": "2.14.1+cu130"}
TIME = "**Time**: about 4 minutes to read, exercises included."
RUN_TIME = "**Time**: about 4 minutes to read, exercises included, and 3 minutes to run."
LINE = (
    "*Run for these pages on 3 November 2026 on 2 CPU cores (AMD EPYC 7B13), with 1.4 GB of memory at its peak; "
    "Python 3.11, PyTorch 2.14. Not timed on a GPU yet.*"
)


def figure(shade=0):
    """A PNG of 1000 x 400 pixels, as base64: transparent except for a square."""
    pixels = np.zeros((400, 1000, 4), np.uint8)
    pixels[100:200, 100:200] = (shade, 90, 180, 255)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def notebook(caption="*Figure: a blue square on white, [left].* More.", tag="goal"):
    drawing = new_code_cell("draw()", metadata={"tags": [tag]})
    drawing.outputs = [new_output("display_data", {"image/png": figure(), "text/plain": "x"})]
    first = new_markdown_cell("\n\n".join(["# 9 · X", *WORDS, "**Time**: an older one."]))
    exercise = new_markdown_cell("**A · One (4 min).** Do it.", metadata={"tags": ["exercise"]})
    return tidy(new_notebook(cells=[first, new_code_cell("1"), drawing, new_markdown_cell(caption), exercise]))


def stored_picture(nb):
    """The base64 text of the picture that the head has."""
    return nb.cells[0].source.partition(heads.DATA)[2].partition("\n")[0]


def shown(nb):
    return Image.open(io.BytesIO(base64.b64decode(stored_picture(nb))))


@pytest.mark.parametrize("name", ["09_x.ipynb", "extras/x.ipynb"])
def test_a_head_is_title_badge_picture_the_authors_words_and_the_run(name):
    nb = notebook()
    nb.metadata.maskdepth.executed = RUN
    before = source_hash(nb)
    title, badge, picture, *words, time, run, data = heads.finish(nb, NOTEBOOKS / name).cells[0].source.split("\n\n")
    assert (title, words, time, run) == ("# 9 · X", WORDS, RUN_TIME, LINE)
    assert badge.startswith("[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](")
    assert badge.endswith(f"(https://colab.research.google.com/github/{slug()}/blob/main/notebooks/{name})")
    assert picture == "![A blue square on white, (left).][goal]" and data.startswith("[goal]: data:image/jpeg;")
    assert source_hash(nb) == before
    nbformat.validate(nb)
    assert shown(nb).size == (700, 280) and shown(nb).format == "JPEG"
    assert min(shown(nb).getpixel((5, 5))) > 250 and shown(nb).getpixel((105, 105))[2] > 150  # on white


def test_another_run_changes_two_lines_and_no_id():
    nb = heads.finish(notebook(), HERE)
    words, name = nb.cells[0].source, nb.cells[0].id
    nb.metadata.maskdepth.executed = RUN
    again = heads.finish(tidy(nb), HERE)  # tidy keeps what is stored of the run
    assert again.cells[0].source == words.replace(TIME, f"{RUN_TIME}\n\n{LINE}") and again.cells[0].id == name
    assert heads.problems(again, HERE) == []
    assert nbformat.writes(heads.finish(again, HERE)) == nbformat.writes(again)


def test_the_picture_follows_the_figure_and_not_the_jpeg_library():
    nb = heads.finish(notebook(), HERE)
    first, file = stored_picture(nb), io.BytesIO()
    shown(nb).save(file, "JPEG", quality=70)
    other = base64.b64encode(file.getvalue()).decode()
    nb.cells[0].source = nb.cells[0].source.replace(first, other)
    assert heads.problems(nb, HERE) == [] and stored_picture(heads.finish(nb, HERE)) == other
    nb.cells[2].outputs[0].data["image/png"] = figure(shade=9)  # even a small difference counts
    assert "run heads.py" in "".join(heads.problems(nb, HERE))
    assert heads.problems(heads.finish(tidy(nb), HERE), HERE) == []


@pytest.mark.parametrize(
    "below, alt",
    [
        ("*Figure: the loss over\nsteps.* It falls.", "The loss over steps."),
        ("*Left: `a`. Right: b.*\n\nMore.", "Left: a. Right: b."),
        ("The **truth** and [a guess](x.md). Bright is near.\n\nMore.", "The truth and a guess. Bright is near."),
        ("*Only* the object moves. Watch it while you\n\n1. slide", "Only"),  # its author has to write an alt text
        ("The four layers. They are:\n- one", "The four layers."),
        (f"One sentence. {'Long ' * 60}. Short.", "One sentence."),
        ("<!-- alt: A hill of\nIoU. -->\n\nWhy is this so?", "A hill of IoU."),
        ("<details><summary>Answer</summary>\n\nYes.</details>", ""),
        ("## The next section", ""),
    ],
)
def test_the_alt_text_is_the_caption(below, alt):
    nb = notebook(below)
    head = nb.cells[0].source
    heads.finish(nb, SOLUTION)
    assert heads.alt_texts(nb.cells[2]) == {alt}
    assert nb.cells[0].source == head  # a solution keeps its own
    assert len(heads.problems(nb, SOLUTION)) == (len(alt.split()) < 3)


def test_problems_name_what_is_missing():
    nb = heads.finish(notebook(tag="other"), HERE)
    assert heads.problems(nb, HERE) == ["no cell tagged `goal` has a picture for its head"]
    nb = heads.finish(notebook(), HERE)
    nb.cells[2].outputs[0].metadata = {}  # as after a run
    assert "run heads.py" in "".join(heads.problems(nb, HERE))
    del nb.cells[3:]
    assert "does not describe" in "".join(heads.problems(nb, HERE))
    nb.cells[0].source = "No title"
    with pytest.raises(ValueError, match="expected a title.*'No title'"):
        heads.finish(nb, HERE)


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"peak_mb": 700}, "with 734 MB of memory"),
        ({"peak_mb": 2861}, "with 3.0 GB of memory"),
        ({"processor": "Intel(R) Xeon(R) CPU @ 2.20GHz", "gpu": "Tesla T4"},
         "on Tesla T4 and 2 CPU cores (Intel Xeon), with 1.4 GB of memory at its peak; Python 3.11, PyTorch 2.14.*"),
    ],
)  # fmt: skip
def test_the_run_in_words(changed, words):
    assert words in heads.about_the_run(RUN | changed)


@pytest.mark.parametrize("tag, name", [("hide-output", "outputs_hidden"), ("hide-input", "source_hidden")])
def test_tagged_cells_are_folded(tag, name):
    nb = notebook(tag=tag)
    assert "folded cell" in "".join(heads.problems(nb, SOLUTION))
    assert heads.finish(nb, SOLUTION).cells[2].metadata.jupyter == {name: True}
    nb.cells[2].metadata.tags = ["goal"]
    assert "jupyter" not in heads.finish(nb, SOLUTION).cells[2].metadata
    nbformat.validate(nb)


def test_a_stored_quiz_follows_its_file():
    cell = new_code_cell('quiz.show("02")', outputs=[new_output("display_data", {"text/html": "", "text/plain": "x"})])
    nb = new_notebook(cells=[new_markdown_cell(""), cell])
    assert "its quiz" in "".join(heads.problems(nb, SOLUTION))
    assert "md-quiz" in heads.finish(nb, SOLUTION).cells[1].outputs[0].data["text/html"]


def test_the_readme_says_how_long_each_notebook_takes():
    readme = heads.README.read_text(encoding="utf8")
    assert len(heads.ROW.findall(readme)) == len(find_notebooks(extras=False))
    assert heads.with_times(readme) == readme
    row = f"| [A](notebooks/{find_notebooks()[0].name}) | what | ... | ... | [Colab](x) |"
    assert "..." not in heads.with_times(row) and heads.with_times("| a | b |") == "| a | b |"
