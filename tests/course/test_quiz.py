"""The quizzes: every choice is explained, the right answers are those that are computed, and pages show them."""

import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from lab import Sheet
from nbformat.v4 import new_code_cell, new_notebook
from notebook_files import KERNEL, write
from quiz_answers import COMPUTED

from maskdepth_utils.course import quiz
from maskdepth_utils.files import AssetError

NAMES = [f"{number:02}" for number in range(1, 8)]
QUESTIONS = [(name, question) for name in NAMES for question in quiz.load(name)]
CHOICE = {"multiple_choice", "many_choice"}


def plain(text):
    return html.unescape(re.sub(r"<[^>]+>", "", text))


def fits(answer, number):
    low, high = answer.get("range", (np.inf, np.inf))
    return low <= number < high or np.isclose(answer.get("value", np.inf), number, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name, identity", COMPUTED)
def test_the_right_answers_are_those_that_are_computed(name, identity, tmp_path):
    question = next(question for of, question in QUESTIONS if (of, question["id"]) == (name, identity))
    function = COMPUTED[name, identity]
    torch.manual_seed(0)
    result = function(*[tmp_path] * function.__code__.co_argcount)
    if question["type"] == "numeric":
        assert [answer["correct"] for answer in question["answers"] if fits(answer, result)] == [True], result
        return
    right = {plain(answer["answer"]) for answer in question["answers"] if answer["correct"]}
    if isinstance(result, set):
        assert right == result
    else:
        assert len(right) == 1 and result and right.pop().startswith(result)


class Tags(HTMLParser):
    """Collects the tags of a text, which must be closed and have no attributes."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.seen = set()
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open} in {text}"

    def handle_starttag(self, tag, attributes):
        assert not attributes, f"{tag} with attributes"
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name, question", QUESTIONS, ids=[f"{name}-{question['id']}" for name, question in QUESTIONS])
def test_every_choice_is_explained(name, question):
    answers, kind = question["answers"], question["type"]
    assert set(question) - {"code"} == {"id", "type", "question", "answers"}
    feedback = [answer["feedback"] for answer in answers]
    assert len(set(feedback)) == len(answers) >= 3 and min(map(len, feedback)) > 10
    texts = [question["question"], question.get("code", ""), *feedback]
    if kind == "numeric":
        assert answers[-1].keys() == {"type", "feedback"} and answers[-1]["type"] == "default"
        assert sum(answer["correct"] for answer in answers[:-1]) == 1
        assert all(("range" in answer) != ("value" in answer) for answer in answers[:-1])
    else:
        texts += [answer["answer"] for answer in answers]
        right = sum(answer["correct"] for answer in answers)
        assert right == 1 if kind == "multiple_choice" else 2 <= right < len(answers)
    for text in texts:
        assert Tags(text).seen <= {"code", "i"} and "$" not in text and "](" not in text


def test_the_right_choice_may_be_anywhere():
    choices = [question["answers"] for _, question in QUESTIONS if question["type"] == "multiple_choice"]
    places = [[answer["correct"] for answer in answers].index(True) for answers in choices]
    assert max(np.bincount(places)) < 0.45 * len(places) and set(places) == {0, 1, 2, 3}


def test_questions_of_a_quiz_differ():
    for name in NAMES:
        questions = quiz.load(name)
        assert 5 <= len(questions) <= 8
        assert all(len({question[key] for question in questions}) == len(questions) for key in ("id", "question"))


def test_errors_name_the_quiz_and_a_remedy(tmp_path, monkeypatch):
    with pytest.raises(AssetError, match="'09'.*expected one of 01, 02"):
        quiz.show("09")
    folder = tmp_path / "notebooks" / "quizzes"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MASKDEPTH_DATA", str(tmp_path / "data"))  # of another clone
    for damaged in ("[{", '[{"type": "riddle"}]', '[{"type": "numeric", "question": "?", "answers": [{}]}]'):
        (folder / "damaged.json").write_text(damaged)
        with pytest.raises(AssetError, match="damaged.json is damaged"):
            quiz.load("damaged")
    monkeypatch.setattr(quiz, "__file__", str(tmp_path / "elsewhere" / "maskdepth_utils" / "course" / "quiz.py"))
    (folder / "damaged.json").unlink()
    with pytest.raises(AssetError, match="clone the course's whole repository"):
        quiz.load("01")


def test_the_page_folds_the_explanations_and_runs_no_script():
    page = quiz.to_html(quiz.load("02"))
    assert page.count("<details") == page.count("</details>") > 15 and "<script" not in page
    shown = re.sub(r"<details.*?</details>", "", page)
    for question in quiz.load("02"):
        assert question["question"] in shown
        assert all(answer["feedback"] in page and answer["feedback"] not in shown for answer in question["answers"])


@pytest.mark.browser
def test_a_quiz_in_jupyterlab_explains_choices_by_mouse_and_by_keyboard(lab, browser):
    source = 'from maskdepth_utils.course import quiz\n\nquiz.show("02")'
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    write(new_notebook(cells=[new_code_cell(source)], metadata=metadata), lab.folder / "quiz.ipynb")
    page = browser.new_page(viewport={"width": 1000, "height": 1400})
    page.add_locator_handler(  # on a busy machine JupyterLab asks whether to start a kernel
        page.locator('dialog:has-text("Select Kernel")'), lambda dialog: dialog.locator(".jp-mod-accept").click()
    )
    Sheet(lab, page, "quiz.ipynb")
    page.wait_for_selector(".md-quiz")
    explanation = page.get_by_text("This is the checkerboard.")
    assert not explanation.is_visible()
    choice = page.locator("details", has=explanation).locator("summary")
    choice.click()
    assert explanation.is_visible()
    page.keyboard.press("Space")
    assert not explanation.is_visible()
    page.keyboard.press("Enter")
    assert explanation.is_visible()
    page.keyboard.press("a")  # in JupyterLab's command mode: a new cell
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.get_by_text("Twice each: every patch overlaps").is_visible()
    assert page.locator(".jp-CodeCell").count() == 1
    page.close()
