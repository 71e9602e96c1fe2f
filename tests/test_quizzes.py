"""The quizzes: in jupyterquiz's format, every choice explained, and right answers that are right."""

import html
import json
import re
from html.parser import HTMLParser

import nbclient
import numpy as np
import pytest
import torch
from lab import Sheet
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_checks import ABSOLUTE_PATH
from notebook_files import KERNEL, NOTEBOOKS, QUIET_KERNEL, write
from quiz_answers import COMPUTED

from maskdepth_utils.course import quiz
from maskdepth_utils.files import AssetError

NAMES = [f"{number:02}" for number in range(1, 8)]


def plain(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", text))


def find_question(name, identity):
    return next(question for question in quiz.load(name) if question["id"] == identity)


def accepted(question, number) -> list:
    """What jupyterquiz says of a number: the `correct` of each answer that fits, the first of which counts."""
    fits = []
    for answer in question["answers"]:
        low, high = answer.get("range", (np.inf, np.inf))
        if low <= number < high or np.isclose(answer.get("value", np.inf), number, rtol=1e-6, atol=1e-9):
            fits.append(answer["correct"])
    return fits


@pytest.mark.parametrize("name, identity", COMPUTED)
def test_the_right_answers_are_those_that_are_computed(name, identity, tmp_path):
    question, function = find_question(name, identity), COMPUTED[name, identity]
    torch.manual_seed(0)
    result = function(*[tmp_path] * function.__code__.co_argcount)
    if question["type"] == "numeric":
        assert accepted(question, result) == [True], result
        return
    texts = [plain(answer["answer"]) for answer in question["answers"]]
    wanted = result if isinstance(result, set) else {result if result in texts else next(
        (text for text in texts if result and text.startswith(result)), result)}  # fmt: skip
    assert wanted <= set(texts), f"computed {wanted}, expected among {texts}"
    assert {text for text, answer in zip(texts, question["answers"]) if answer["correct"]} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_most_answers_are_computed(name):
    assert sum(key[0] == name for key in COMPUTED) >= 4


class Tags(HTMLParser):
    """Collects the tags of a text; fails where one is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], set()
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open} in {text}"

    def handle_starttag(self, tag, attributes):
        assert not attributes, f"{tag} with attributes"
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def texts_of(question):
    yield from (question["question"], question.get("code", ""))
    for answer in question["answers"]:
        yield from (answer.get("answer", ""), answer["feedback"])


@pytest.mark.parametrize("name", NAMES)
def test_questions_are_in_jupyterquiz_format_and_every_choice_is_explained(name):
    questions = json.loads((NOTEBOOKS / "quizzes" / f"{name}.json").read_text(encoding="utf8"))
    assert 5 <= len(questions) <= 8
    for key in ("id", "question"):
        assert len({question[key] for question in questions}) == len(questions)
    for question in questions:
        answers, fields = question["answers"], set(question) - {"code"}
        assert fields == {"id", "type", "question", "answers"}, question["id"]
        assert all(len(answer["feedback"]) > 10 for answer in answers), question["id"]
        assert len({answer["feedback"] for answer in answers}) == len(answers)
        check_answers(question["type"], answers)
        for text in texts_of(question):
            assert Tags(text).seen <= {"code", "i"}, text
            assert "$" not in text and "](" not in text  # jupyterquiz makes mathematics and links of these


def check_answers(kind, answers):
    if kind == "numeric":
        assert answers[-1].keys() == {"type", "feedback"} and answers[-1]["type"] == "default"
        for answer in answers[:-1]:
            assert answer.keys() == {"type", "correct", "feedback", answer["type"]}
            assert answer["type"] == "value" or answer["type"] == "range" and answer["range"][0] < answer["range"][1]
        assert sum(answer["correct"] for answer in answers[:-1]) == 1 and len(answers) >= 3
        return
    assert all(answer.keys() == {"answer", "correct", "feedback"} for answer in answers)
    assert len({answer["answer"] for answer in answers}) == len(answers) >= 3
    right = sum(answer["correct"] for answer in answers)
    assert right == 1 if kind == "multiple_choice" else kind == "many_choice" and 2 <= right < len(answers)


def test_the_right_choice_stands_anywhere():
    places = [[answer["correct"] for answer in question["answers"]].index(True)
              for name in NAMES for question in quiz.load(name) if question["type"] == "multiple_choice"]  # fmt: skip
    assert max(np.bincount(places)) < 0.45 * len(places) and set(places) == {0, 1, 2, 3}


def test_plain_html_folds_the_answers():
    question = {"type": "multiple_choice", "question": "What is <code>1 + 1</code>?", "answers": [
        {"answer": "1", "correct": False, "feedback": "Count again."},
        {"answer": "2", "correct": True, "feedback": "As always."},
    ]}  # fmt: skip
    shown, folded = quiz.static_html([question]).split("<details")
    assert "<code>1 + 1</code>" in shown and "<li>2</li>" in shown and "As always." not in shown
    assert "<b>Right.</b> As always." in folded and "<b>Wrong.</b> Count again." in folded


def test_errors_say_which_quiz_and_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(AssetError, match="'09'.*expected one of 01, 02"):
        quiz.show("09")
    folder = tmp_path / "notebooks" / "quizzes"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MASKDEPTH_DATA", str(tmp_path / "data"))  # of another clone
    for spoiled in ("[{", '[{"type": "riddle"}]', '[{"type": "numeric", "question": "?", "answers": [{}]}]'):
        (folder / "spoiled.json").write_text(spoiled)
        with pytest.raises(AssetError, match="spoiled.json is damaged"):
            quiz.load("spoiled")
    monkeypatch.setattr(quiz, "__file__", str(tmp_path / "elsewhere" / "maskdepth_utils" / "quiz.py"))
    (folder / "spoiled.json").unlink()
    with pytest.raises(AssetError, match="clone the course's whole repository"):
        quiz.load("01")


def quiz_notebook(*sources):
    # The mathematics: where a page has MathJax, jupyterquiz would load another one from the internet.
    cells = [new_markdown_cell("The area is $x^2$."), *map(new_code_cell, sources)]
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


@pytest.fixture(scope="module")
def pages():
    """The output of each quiz; of 01 shown again; and of 01 where jupyterquiz is not installed."""
    show = [f'quiz.show("{name}")' for name in (*NAMES, "01")]
    without = 'import sys\nsys.modules["jupyterquiz"] = None\nquiz.show("01")'
    nb = quiz_notebook("from maskdepth_utils import quiz", *show, without)
    nbclient.NotebookClient(nb, timeout=300, extra_arguments=QUIET_KERNEL).execute()
    return [output.data["text/html"] for cell in nb.cells[2:] for output in cell.outputs]


@pytest.mark.slow
def test_outputs_are_small_equal_and_name_no_place(pages):
    assert len(pages) == 9 and pages[0] == pages[7]
    for page in pages:
        assert len(page.encode()) < 60_000 and not ABSOLUTE_PATH.search(page)
        assert page.count("<details") >= 5 and page.count("<div") == page.count("</div>")
    assert "<script>" in pages[0]
    assert "<script>" not in pages[8] and "pip install jupyterquiz" in pages[8] and "pip install" not in pages[0]


@pytest.mark.browser
def test_without_scripts_the_questions_can_be_read_and_their_answers_unfolded(browser, pages):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.set_content(pages[1])
    answer = page.locator("details").nth(1)
    assert page.locator(".md-static > ol > li").count() == len(quiz.load("02"))
    assert not answer.get_by_text("This is the checkerboard.").is_visible()
    answer.locator("summary").click()
    assert answer.get_by_text("This is the checkerboard.").is_visible()
    page.close()


@pytest.mark.browser
def test_a_quiz_in_jupyterlab_answers_by_mouse_and_by_keyboard(lab, browser):
    write(quiz_notebook('from maskdepth_utils import quiz\n\nquiz.show("02")'), lab.folder / "quiz.ipynb")
    page, addresses, thrown = browser.new_page(viewport={"width": 1000, "height": 1400}), [], []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.add_locator_handler(  # on a busy machine JupyterLab asks if it shall start a kernel
        page.locator('dialog:has-text("Select Kernel")'), lambda dialog: dialog.locator(".jp-mod-accept").click()
    )
    Sheet(lab, page, "quiz.ipynb")
    page.wait_for_selector(".md-quiz .Quiz")
    page.wait_for_selector(".md-static", state="hidden")

    def question(identity):
        number = [one["id"] for one in quiz.load("02")].index(identity)
        return page.locator(".Quiz").nth(number)

    def feedback(box):
        return box.locator(".Feedback").inner_text(), "incorrect" not in box.locator(".Feedback").get_attribute("class")

    choice = question("sure-and-wrong")
    for answer in find_question("02", "sure-and-wrong")["answers"]:
        choice.locator("label").get_by_text(answer["answer"], exact=True).click()
        assert feedback(choice) == (plain(answer["feedback"]), answer["correct"])

    number = question("from-2020-to-iou")
    number.locator("input").focus()
    page.keyboard.type("0.8")
    page.keyboard.press("Enter")
    assert "proportional" in feedback(number)[0] and not feedback(number)[1]
    number.locator("input").focus()
    page.keyboard.type("2/3")
    page.keyboard.press("Enter")
    assert "0.4 / (1 - 0.4)" in feedback(number)[0] and feedback(number)[1]

    number.locator("input").focus()
    page.keyboard.press("Tab")  # to the first choice of the next question
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert "This is the checkerboard." in feedback(question("painted-evenly"))[0]
    page.keyboard.press("a")  # in JupyterLab's command mode: a new cell
    assert page.locator(".jp-CodeCell").count() == 1
    assert not [url for url in addresses if not url.startswith((lab.address, "data:", "blob:"))]
    assert not thrown, thrown
    page.close()
