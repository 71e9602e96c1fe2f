"""The checks of the exercises: right answers pass in every style, wrong ones get words, and nothing is raised."""

import importlib
import linecache
import re
import sys
import threading
import time

import measure_exercises
import numpy as np
import pytest
import torch
import write_results
from answers import Exercise, outcome, same, spoiled, styles
from mutants import mutants, random_answer
from notebook_files import read_json

from maskdepth_utils.course import checks
from maskdepth_utils.course.checks import verdict

CHECKS = [name for name in checks.__all__ if name.startswith("check_")]
EXERCISES: dict[str, Exercise] = {}
for number in range(1, 8):
    EXERCISES |= importlib.import_module(f"answers_nb{number:02}").EXERCISES
FUNCTIONS = [name for name, exercise in EXERCISES.items() if callable(exercise.right[0])]
DRAWN = [name for name, exercise in EXERCISES.items() if exercise.draw]
pytestmark = pytest.mark.filterwarnings("ignore")
DRAWS = 150  # random inputs on which an accepted mutant must agree with the right answer


def faults_of(name) -> dict:
    """The table {what is wrong: a function with that fault} of a check."""
    return getattr(sys.modules[getattr(checks, name).__module__], name.upper().removeprefix("CHECK_") + "_FAULTS", {})


WRONG = [(name, *case) for name, exercise in EXERCISES.items() for case in exercise.wrong]
WRONG += [(name, fault, words) for name in CHECKS for words, fault in faults_of(name).items()]


def verdict_on(name, answer, capsys) -> tuple[bool, str]:
    """A check's verdict and its words, which are well-formed."""
    capsys.readouterr()
    accepted = getattr(checks, name)(answer)
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert len(lines) <= 2 and lines[0].startswith(("Solved. ", "Not solved yet. ", "Not right yet. ")), printed
    assert accepted == lines[0].startswith("Solved. ")
    assert "could not finish" not in printed, printed
    for expected, found in re.findall(r"expected (.*?), found (.*?)[.)]?$", lines[0]):
        assert expected != found, printed
    return accepted, printed


@pytest.mark.parametrize("name, answer, words", WRONG, ids=[f"{name}: {words}" for name, _, words in WRONG])
def test_wrong_answers_get_the_right_words(name, answer, words, capsys):
    accepted, printed = verdict_on(name, answer, capsys)
    assert not accepted and words in printed


@pytest.mark.parametrize("name", CHECKS)
def test_right_answers_pass_in_every_style(name, capsys):
    exercise = EXERCISES[name]
    answers = exercise.right + (list(styles(exercise.right[0], exercise.names)) if exercise.draw else [])
    for answer in answers:
        accepted, printed = verdict_on(name, answer, capsys)
        assert accepted, (answer, printed)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_mutants_are_refused_if_and_only_if_they_change_a_result(name, capsys):
    exercise = EXERCISES[name]
    right, names = exercise.right[0], exercise.names
    draws = [exercise.draw(np.random.default_rng(seed)) for seed in range(DRAWS)] if exercise.draw else []

    def agree(function, other, tolerance):
        return all(same(*(outcome(f, inputs, names) for f in (function, other)), tolerance) for inputs in draws)

    answers = [(words, answer, False) for words, answer in mutants(right)]
    answers += spoiled(right, names, draws[0]) if draws else []
    problems = []
    for words, answer, certain in answers:
        accepted, printed = verdict_on(name, answer, capsys)
        if accepted:
            allowed = any(part in words for part in exercise.allowed)
            equivalent = agree(answer, right, 10 * exercise.tolerance) if draws else allowed
            problems += [f"accepted: {words}"] * (certain or not equivalent)
        elif draws and not certain:
            problems += [f"refused: {words}: {printed}"] * agree(answer, right, exercise.tolerance / 10)
            named = [fault for words, fault in faults_of(name).items() if f": {words} (" in printed]
            explained = all(agree(answer, fault, 10 * exercise.tolerance) for fault in named)
            problems += [f"misleading: {words}: {printed}"] * (not explained)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", CHECKS)
def test_answers_of_any_kind_get_words(name, capsys):
    generator = np.random.default_rng(0)
    for _ in range(200):
        accepted, printed = verdict_on(name, random_answer(generator), capsys)
        assert not accepted, printed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_endless_loop_is_stopped(name, monkeypatch, capsys):
    monkeypatch.setattr(verdict, "TIME_LIMIT", 0.05)

    def wait(*inputs):
        while True:
            try:
                pass
            except Exception:
                pass

    accepted, printed = verdict_on(name, wait, capsys)
    assert not accepted and "it was stopped after 0.05 seconds" in printed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_not_yet_written(name, capsys):
    def raise_it(*inputs):
        raise NotImplementedError

    for answer in (None, ..., raise_it, lambda *inputs: None, lambda *inputs: ...):
        assert verdict_on(name, answer, capsys)[1].startswith("Not solved yet. ")


def wrong_line(line: str, name="my_iou", arguments="probability, coverage"):
    """A function with a line that raises, as if it stood in a notebook's cell."""
    source = f"import torch\nimport numpy as np\ndef {name}({arguments}):\n    {line}\n    return probability\n"
    linecache.cache["cell 7"] = len(source), None, source.splitlines(keepends=True), "cell 7"
    names = {}
    exec(compile(source, "cell 7", "exec"), names)
    return names[name]


@pytest.mark.parametrize(
    "line, words",
    {
        "if probability > 0.5: pass": "`if`, `and` and `or` decide once",
        "probability & coverage": "Print the dtypes along the way",
        "torch.nn.functional.conv2d(probability, coverage.double())": "Print the dtypes along the way",
        "probability.requires_grad_().__iadd__(1)": "overwrite what the gradient needs",
        "np.add(probability.requires_grad_(), np.ones(1))": "NumPy has no gradients",
        "for x in probability.sum(): pass": "used like a list of several",
        "a, b = 3": "used like a list of several",
        "threshold + 1": "A name that exists only above",
        "len(7)": "used like a list of several",
        "probability.sums()": "Print the types along the way",
        "1 / 0": "Which of the inputs named above is 0 there?",
        "probability @ torch.zeros(9, 9)": "Print the shapes along the way",
        "my_iou()": "Which arguments does the function in that line take?",
        "my_iou(probability, coverage)": "It calls itself without end",
        "raise SystemExit": "SystemExit",
    }.items(),
)
def test_usual_errors_have_their_own_hint_and_show_the_readers_line(line, words, capsys):
    accepted, printed = verdict_on("check_iou", wrong_line(line), capsys)
    assert not accepted and words in printed and f"in your line `{line}`" in printed


def test_arguments_are_compared(capsys):
    assert "Compare your `def` line" in verdict_on("check_iou", lambda p: p, capsys)[1]
    assert checks.check_iou() is False
    assert "missing a required argument: 'my_iou'" in capsys.readouterr().out


def test_the_time_limit_reaches_a_thread_and_leaves_nothing_behind():
    def run():
        with pytest.raises(verdict.TimeIsUp), verdict.time_limit(0.02):
            while True:
                pass
        with verdict.time_limit(2.0):
            pass
        time.sleep(0.05)
        ended.append(True)

    ended = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    run()
    assert ended == [True, True]


def test_checks_leave_the_random_numbers_and_the_tally_counts():
    verdict.RESULTS.clear()
    state = torch.get_rng_state()
    checks.check_side(37)
    checks.check_iou(lambda probability, coverage: ...)
    assert torch.equal(state, torch.get_rng_state())
    assert checks.tally() == "1 of 2 exercises solved; open: check_iou"


def test_what_exercises_rest_on_was_measured_with_the_shipped_network():
    stored = read_json(measure_exercises.STORED)
    assert stored["network"] == write_results.checksum("maskdepthnet"), "run measure_exercises.py"
    assert len(stored["rooms"]) >= 90 and len(stored["told_apart"]) >= 4
