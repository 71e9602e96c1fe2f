"""The checks of the exercises: wrong answers get the right words, right ones pass, and nothing is raised."""

import importlib
import linecache
import sys

import pytest
import torch
import torch.nn.functional as F

from maskdepth_utils.course import checks
from maskdepth_utils.course.checks import nb01
from maskdepth_utils.course.checks.verdict import RESULTS

CHECKS = [name for name in checks.__all__ if name.startswith("check_")]
WRONG = {}  # {check: [(wrong answer, words of the verdict), ...]}
for number in range(1, 8):
    WRONG |= importlib.import_module(f"wrong_nb{number:02}").WRONG
CASES = [(name, answer, words) for name, cases in WRONG.items() for answer, words in cases]
for name in CHECKS:  # the tables {what is wrong: a function with that fault} of the checks themselves
    table = name.upper().removeprefix("CHECK_") + "_FAULTS"
    faults = getattr(sys.modules[getattr(checks, name).__module__], table, {})
    CASES += [(name, answer, words) for words, answer in faults.items()]
NONSENSE = ["text", 1e400, -3, [], {}, torch.zeros(2), object(), int, Exception]


def call_check(name, answer):
    """The check's verdict on an answer, or on a tuple of answers."""
    return getattr(checks, name)(*(answer if isinstance(answer, tuple) else (answer,)))


def repeat(name, answer):
    """The same answer as often as the check takes one."""
    return (answer,) * (2 if name == "check_transposed_convolution" else 1)


@pytest.mark.parametrize("name, answer, words", CASES, ids=[f"{name}: {words}" for name, _, words in CASES])
def test_wrong_answers_get_the_right_words(name, answer, words, capsys):
    assert call_check(name, answer) is False
    printed = capsys.readouterr().out
    assert printed.startswith("Not right yet. ")
    assert words in printed


def test_every_check_has_wrong_answers():
    assert set(WRONG) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_nonsense_gets_a_verdict(name, capsys):
    for answer in (..., None, *NONSENSE):
        assert call_check(name, repeat(name, answer)) is False
        printed = capsys.readouterr().out
        assert printed.startswith("Not ")
        assert printed.startswith(("Not solved yet. my_", "Not solved yet. My")) == (answer is ... or answer is None)


def test_right_answers_in_other_types():
    assert checks.check_bce(lambda x, y: F.binary_cross_entropy_with_logits(x.double(), y.double()))
    assert checks.check_merge(
        lambda a, b: [part.tolist() if part.shape else part for part in map(nb01.np.asarray, nb01.merge(a, b))]
    )
    assert checks.check_inflation(lambda f: torch.nn.Parameter(torch.cat([f, f], 1) / 2))
    assert checks.check_order(("light", "noise", "compression", "motion"))  # compression and motion are close


def test_a_function_not_yet_written(capsys):
    def my_iou(probability, coverage):
        raise NotImplementedError

    for answer in (my_iou, lambda probability, coverage: None):
        assert checks.check_iou(answer) is False
        assert capsys.readouterr().out.startswith("Not solved yet. It ")


def test_an_exception_is_reported_with_the_readers_line(capsys):
    source = "def my_iou(probability, coverage):\n    both = probability & coverage\n    return both\n"
    linecache.cache["cell 7"] = len(source), None, source.splitlines(keepends=True), "cell 7"
    names = {}
    exec(compile(source, "cell 7", "exec"), names)
    assert checks.check_iou(names["my_iou"]) is False
    assert "in your line `both = probability & coverage`" in capsys.readouterr().out


def test_too_few_answers(capsys):
    assert checks.check_transposed_convolution(4) is False
    assert "missing a required argument: 'my_padding'" in capsys.readouterr().out


def test_checks_leave_the_random_numbers_and_the_tally_counts():
    RESULTS.clear()
    state = torch.get_rng_state()
    checks.check_transposed_convolution(4, 1)
    checks.check_block(lambda inputs, outputs: ...)
    assert torch.equal(state, torch.get_rng_state())
    assert checks.tally() == "1 of 2 exercises solved; open: check_block"
