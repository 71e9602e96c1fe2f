"""The checks of the exercises: wrong answers get the right words, right ones pass, and nothing is raised."""

import functools
import linecache
import operator

import pytest
import torch
import torch.nn.functional as F
import wrong_nb01
import wrong_nb02
import wrong_nb03
import wrong_nb04
import wrong_nb05
import wrong_nb06
import wrong_nb07

from maskdepth_utils.course import checks
from maskdepth_utils.course.checks import nb01, nb02, nb03, nb04, nb05, nb06
from maskdepth_utils.course.checks.verdict import RESULTS

MODULES = (wrong_nb01, wrong_nb02, wrong_nb03, wrong_nb04, wrong_nb05, wrong_nb06, wrong_nb07)
WRONG = functools.reduce(operator.or_, (module.WRONG for module in MODULES))
FAULTS = {  # the tables {what is wrong: a function with that fault} of the checks themselves
    "check_z_depth": nb01.Z_DEPTH_FAULTS,
    "check_merge": nb01.MERGE_FAULTS,
    "check_size": nb02.SIZE_FAULTS,
    "check_iou": nb02.IOU_FAULTS,
    "check_bce": nb02.BCE_FAULTS,
    "check_receptive_field": nb03.FIELD_FAULTS,
    "check_parameters": nb03.PARAMETER_FAULTS,
    "check_inflation": nb03.INFLATION_FAULTS,
    "check_steepness": nb04.STEEPNESS_FAULTS,
    "check_balanced_bce": nb04.BALANCED_FAULTS,
    "check_delta": nb05.DELTA_FAULTS,
    "check_report": nb05.REPORT_FAULTS,
    "check_scale_free": nb05.SCALE_FAULTS,
    "check_rate": nb06.RATE_FAULTS,
    "check_time": nb06.TIME_FAULTS,
}
CASES = [(name, answer, words) for name, cases in WRONG.items() for answer, words in cases]
CASES += [(name, answer, words) for name, faults in FAULTS.items() for words, answer in faults.items()]
CHECKS = [name for name in checks.__all__ if name.startswith("check_")]
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
    assert "expected 2 (my_kernel, my_padding), found 1" in capsys.readouterr().out


def test_checks_leave_the_random_numbers_and_the_tally_counts():
    RESULTS.clear()
    state = torch.get_rng_state()
    checks.check_transposed_convolution(4, 1)
    checks.check_block(lambda inputs, outputs: ...)
    assert torch.equal(state, torch.get_rng_state())
    assert checks.tally() == "1 of 2 exercises solved; open: check_block"
