"""The quizzes: every choice is explained, the right answers are those that are computed, and pages show them."""

import html
import math
import re

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from maskdepth_utils import losses
from maskdepth_utils.camera import FOCAL, IMAGE_SIZE
from maskdepth_utils.course import quiz
from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.files import AssetError
from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.blocks import UpProjection
from maskdepth_utils.models.networks import count_parameters

NAMES = [f"{number:02}" for number in range(1, 8)]
QUESTIONS = {(name, question["id"]): question for name in NAMES for question in quiz.load(name)}


def plain(text):
    return html.unescape(re.sub(r"<[^>]+>", "", text))


# ---------------------------------------------------------------------------------------- answers that can be computed
# A number, the text of the right choice or its beginning, or a set of texts where several choices are right. Choices
# that depend neither on the question's numbers nor on the package are not computed.
COMPUTED = {
    ("01", "wall-in-two-depths"): "z-depth 4.00 m at both, ray distance 4.00 m and "
    f"{4 * math.hypot(1, IMAGE_SIZE / 2 / FOCAL):.2f} m",
    ("01", "twice-as-far"): 800 * (3 / 6) ** 2,
    ("01", "is-the-random-split-fair"): "Each room" if 10_000 * (0.7**40 + 0.3**40) < 0.01 else "",  # pairs on one side
    ("01", "a-lot-of-right-pixels"): f"{100 - 8} % right, IoU {0 / 8:g}",
    ("02", "half-found"): 20 / (30 + 30 - 20),
    ("05", "one-pixel-fat"): 10**2 / 12**2,
    ("05", "a-wider-lens"): 5 * math.tan(math.radians(30)) / math.tan(math.radians(45)),
    ("06", "twice-the-batch"): f"The loader: it delivers {64 / 0.8:.0f} samples" if 64 / 0.8 == 128 / 1.6 else "",
    ("06", "where-the-time-goes"): 1 / (0.6 + 0.3 / 2 + 0.1),
    ("07", "two-of-forty"): 2 * (0.95 - 0.35) / 40,
    ("07", "three-false-pixels"): 0 / 3,
}


def computed(function):
    """Add a function as the answer of a question: `quiz_02_forgot_eval` answers "forgot-eval" of quiz 02."""
    COMPUTED[function.__name__[5:7], function.__name__[8:].replace("_", "-")] = function


@computed
def quiz_01_what_a_gap_changes():
    first, second = (MaskDepthDataset("val", gap=gap)[73] for gap in ("none", "tripod"))
    return {f"the {name}" for name in first if not torch.equal(first[name], second[name])}


@computed
def quiz_02_sure_and_wrong():
    logit = torch.full((1, 1, 1, 1), -120.0)
    in_two_steps, from_logit = -logit.sigmoid().log().item(), losses.bce(logit, torch.ones_like(logit)).item()
    return " and ".join("infinite" if np.isinf(loss) else f"{loss:g}" for loss in (in_two_steps, from_logit))


@computed
def quiz_02_forgot_eval():
    network, pictures = MaskNet(width=4).train(), torch.rand(3, 3, 32, 32)
    first, other = (network(pictures[pair], pictures[pair].flip(3))[0] for pair in ([0, 1], [0, 2]))
    return "" if torch.allclose(first, other) else "It depends on which other pictures"


@computed
def quiz_03_only_its_size():
    block, x = UpProjection(8, 4, skip_channels=0).eval(), torch.rand(1, 8, 5, 5)
    a, b = (block(x, torch.rand(1, 6, 10, 10)) for _ in range(2))
    return "Nothing: any other values" if torch.equal(a, b) else "Their outlines"


@computed
def quiz_03_five_halvings():
    return float(MaskDepthNet(width=0.125).encoder(torch.zeros(1, 6, 100, 100))[-1].shape[-1])


@computed
def quiz_03_half_as_wide():
    ratio = count_parameters(MaskDepthNet(width=0.5)) / count_parameters(MaskDepthNet())
    words = {1: "just as many", 1 / 2: "half as many", 1 / 4: "a quarter", 1 / 8: "an eighth"}
    return words[min(words, key=lambda share: abs(share - ratio))]


@computed
def quiz_04_free_of_charge():
    true = avg_pool2d(torch.rand(1, 1, 44, 44), 5, 1)
    predictions = {
        "the truth": true,
        "the truth, everywhere 1 m too far": true + 0.1,
        "the truth, everywhere 10 % too far": 1.1 * true,
        "the truth, blurred": avg_pool2d(true, 3, 1, 1),
        "one gray for all pixels": true.mean().expand_as(true),
    }
    return {name for name, depth in predictions.items() if losses.edge(depth, true) < 1e-6}


@computed
def quiz_04_an_edge_in_the_wrong_place():
    column = torch.arange(80).expand(1, 1, 80, 80)
    true, moved = (0.3 + 0.4 * (column >= at) for at in (30, 50))
    return (losses.edge(moved, true) / losses.edge(true.mean().expand_as(true), true)).item()


def fits(answer, number):
    low, high = answer.get("range", (np.inf, np.inf))
    return low <= number < high or np.isclose(answer.get("value", np.inf), number, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", COMPUTED, ids="-".join)
@torch.no_grad()
def test_the_right_answers_are_those_that_are_computed(name):
    question, result = QUESTIONS[name], COMPUTED[name]
    if callable(result):
        torch.manual_seed(0)
        result = result()
    if question["type"] == "numeric":
        assert [answer["correct"] for answer in question["answers"] if fits(answer, result)] == [True], result
        return
    right = {plain(answer["answer"]) for answer in question["answers"] if answer["correct"]}
    if isinstance(result, set):
        assert right == result
    else:
        assert len(right) == 1 and result and right.pop().startswith(result)


# ------------------------------------------------------------------------------------------------------------ its form
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=map("-".join, QUESTIONS))
def test_every_choice_is_explained(question):
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
        tags = re.findall(r"</?\w[^>]*>", text)
        assert set(tags) <= {"<code>", "</code>", "<i>", "</i>"} and "$" not in text and "](" not in text
        assert all(tags.count(f"<{tag}>") == tags.count(f"</{tag}>") for tag in ("code", "i")), text


def test_the_right_choice_may_be_anywhere():
    choices = [question["answers"] for question in QUESTIONS.values() if question["type"] == "multiple_choice"]
    places = [[answer["correct"] for answer in answers].index(True) for answers in choices]
    assert max(np.bincount(places)) < 0.45 * len(places) and set(places) == {0, 1, 2, 3}


def test_questions_of_a_quiz_differ():
    for name in NAMES:
        questions = quiz.load(name)
        assert 5 <= len(questions) <= 6
        assert all(len({question[key] for question in questions}) == len(questions) for key in ("id", "question"))


def test_errors_name_the_quiz_and_a_remedy(tmp_path, monkeypatch):
    with pytest.raises(AssetError, match="'09'.*expected one of 01, 02"):
        quiz.show("09")
    folder = tmp_path / "notebooks" / "quizzes"
    folder.mkdir(parents=True)
    (tmp_path / "data" / "rooms").mkdir(parents=True)
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
