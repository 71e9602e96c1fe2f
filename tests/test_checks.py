"""The checks of the exercises: typical wrong answers are caught, each with the right words, and nothing is raised."""

import linecache

import pytest
import torch
import wrong_data
import wrong_encoder
import wrong_losses
import wrong_mask
import wrong_play
import wrong_scores
import wrong_speed

from maskdepth_utils.course import checks
from maskdepth_utils.course.checks.verdict import RESULTS

WRONG = (
    wrong_data.WRONG
    | wrong_mask.WRONG
    | wrong_encoder.WRONG
    | wrong_losses.WRONG
    | wrong_scores.WRONG
    | wrong_speed.WRONG
    | wrong_play.WRONG
)
CHECKS = [name for name in checks.__all__ if name.startswith("check_")]
CASES = [(name, answer, words) for name, cases in WRONG.items() for answer, words in cases]


def ask(name, answer):
    """The check's verdict on an answer, or on a tuple of answers."""
    return getattr(checks, name)(*(answer if isinstance(answer, tuple) else (answer,)))


@pytest.mark.parametrize("name, answer, words", CASES, ids=[f"{name}: {words}" for name, _, words in CASES])
def test_a_wrong_answer_is_told_in_words(name, answer, words, capsys):
    assert ask(name, answer) is False
    printed = capsys.readouterr().out
    assert printed.startswith("Not right yet. ")
    assert words in printed


def test_every_check_has_four_wrong_answers():
    assert set(WRONG) == set(CHECKS)
    assert {name: len(cases) for name, cases in WRONG.items() if len(cases) < 4} == {}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("answer", [..., None])
def test_no_answer_is_not_solved_yet(name, answer, capsys):
    count = len(WRONG[name][0][0]) if isinstance(WRONG[name][0][0], tuple) else 1
    assert ask(name, (answer,) * count) is False
    assert capsys.readouterr().out.startswith(("Not solved yet. my_", "Not solved yet. My"))


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("answer", ["text", 1e400, -3, [], {}, torch.zeros(2), object(), int, Exception])
def test_nonsense_gets_a_verdict(name, answer, capsys):
    count = len(WRONG[name][0][0]) if isinstance(WRONG[name][0][0], tuple) else 1
    assert ask(name, (answer,) * count) is False
    assert capsys.readouterr().out.startswith("Not ")


def test_a_function_not_yet_written(capsys):
    def my_iou(probability, coverage):
        raise NotImplementedError

    for answer in (my_iou, lambda probability, coverage: None):
        assert checks.check_iou(answer) is False
        assert capsys.readouterr().out.startswith("Not solved yet. It ")


def test_an_exception_is_told_with_the_readers_line(capsys):
    source = "def my_iou(probability, coverage):\n    both = probability & coverage\n    return both\n"
    linecache.cache["cell 7"] = len(source), None, source.splitlines(keepends=True), "cell 7"
    names = {}
    exec(compile(source, "cell 7", "exec"), names)
    assert checks.check_iou(names["my_iou"]) is False
    assert "in your line `both = probability & coverage`" in capsys.readouterr().out


def test_too_few_answers(capsys):
    assert checks.check_painting(4) is False
    assert "expected 2 (my_kernel, my_padding), found 1" in capsys.readouterr().out


def test_checks_leave_the_random_numbers_and_the_tally_counts():
    RESULTS.clear()
    state = torch.get_rng_state()
    checks.check_painting(4, 1)
    checks.check_block(lambda inputs, outputs: ...)
    assert torch.equal(state, torch.get_rng_state())
    assert checks.tally() == "1 of 2 exercises solved; open: check_block"
