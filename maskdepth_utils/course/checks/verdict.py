"""How the checks of all exercises call an answer, and describe what is wrong with it.

A check is a function of a reader's answers. It raises `Wrong` at the first fault, and otherwise returns a sentence
about what it has tried. The decorator `report_verdict` prints the verdict and returns True or False.
"""

import functools
import inspect
import numbers
import re
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

PACKAGE = str(Path(__file__).resolve().parents[2])
LIBRARY = re.compile(r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3|^<frozen")
RESULTS: dict[str, bool] = {}  # the last verdict of each check, for `tally`
ARRAYS = (Tensor, np.ndarray)
HINTS = {  # a pattern in an error's message: what to try
    "is not defined": "A name that exists only above, in the notebook? An exercise starts from its own set-up cell.",
    "not implemented for": "Print the types on the way: does that operation take bools, whole numbers or floats?",
    "shape|size|dimension|broadcast|index": "Print the shapes on the way: which two of them do not fit?",
}


class Wrong(Exception):
    """A fault: where it shows, what was expected and found, and a hint that does not give the solution away."""

    def __init__(self, where: str, words: str, hint: str = ""):
        if "_" not in where.split(" ")[0]:  # a name in the code keeps its lower case
            where = where[:1].upper() + where[1:]
        super().__init__(f"{where}: {words}")
        self.hint = hint


class Unsolved(Exception):
    """There is no answer yet; the text says what to write."""


def report_verdict(check: Callable) -> Callable[..., bool]:
    """Decorate a check: it prints its verdict, returns whether the answer is right, and never raises."""

    @functools.wraps(check)
    def checked(*answers) -> bool:
        solved = False
        try:
            given = inspect.signature(check).bind(*answers).arguments
            blanks = [name for name, answer in given.items() if answer is None or answer is ...]
            if blanks:
                raise Unsolved(f"{' and '.join(blanks)}: write your answer in place of the `...`.")
            with torch.random.fork_rng(devices=[]), torch.enable_grad():  # the reader's random state is kept
                torch.manual_seed(0)
                tried = check(*answers)
            solved, text = True, f"Solved. {tried}."
        except Unsolved as unsolved:
            text = f"Not solved yet. {unsolved}"
        except Wrong as wrong:
            text = f"Not right yet. {wrong}." + (f"\nHint: {wrong.hint}" if wrong.hint else "")
        except Exception as error:  # answers may be wrong in unforeseen ways
            text = f"Not right yet. The check broke off: {describe_error(error)}."
        RESULTS[check.__name__] = solved
        print(text)
        return solved

    return checked


def tally() -> str:
    """How many of the exercises tried so far are solved: "4 of 5 exercises solved; open: check_iou"."""
    open_ = [name for name, solved in RESULTS.items() if not solved]
    text = f"{len(RESULTS) - len(open_)} of {len(RESULTS)} exercises solved"
    return text + (f"; open: {', '.join(open_)}" if open_ else "")


def require(right, where: str, words: str, hint: str = "") -> None:
    if not right:
        raise Wrong(where, words, hint)


def call_answer(answer, *inputs, where: str):
    """Return ``answer(*inputs)``; raise Unsolved if it returns nothing, Wrong if it raises or changes its inputs."""
    hint = "Pass the function itself, without calling it: my_function and not my_function(...)."
    require(callable(answer), where, f"expected a function, found {describe_value(answer)}", hint)
    before = [np.array(to_numpy(value)) for value in inputs]
    try:
        result = answer(*inputs)
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:  # PyTorch also raises it, with a message
            raise Unsolved("It raises NotImplementedError.") from error
        hint = next((hint for pattern, hint in HINTS.items() if re.search(pattern, str(error))), "")
        raise Wrong(where, f"it raises {describe_error(error)}", hint) from error
    kept = all(np.array_equal(to_numpy(value), old, equal_nan=True) for value, old in zip(inputs, before))
    hint = "x -= y, x[...] = y, x.pop() and methods that end in _ change the caller's object: make a new one."
    require(kept, where, "it changes its input in place", hint)
    if result is None or result is ... or result is NotImplemented:
        raise Unsolved(f"It returns {result}: write your code in place of the `...`, and `return` the result.")
    return result


def build_module(answer, *arguments, where: str) -> nn.Module:
    """Return the module that a reader's function or class makes; raise Wrong if it is not one."""
    module = call_answer(answer, *arguments, where=where)
    hint = "nn.Sequential(*layers) makes one module of a list of layers."
    require(isinstance(module, nn.Module), where, f"expected an nn.Module, found {describe_value(module)}", hint)
    return module.cpu()


def as_number(answer, name: str) -> float:
    """Return the answer as a finite number; raise Wrong if it is not one."""
    value = answer.item() if isinstance(answer, ARRAYS) and answer.ndim == 0 else answer
    require(is_number(value), name, f"expected one number, found {describe_value(answer)}")
    require(np.isfinite(float(value)), name, f"expected a finite number, found {value}")
    return float(value)


def as_whole_number(answer, name: str, least: int = 1) -> int:
    """Return the answer as a whole number of at least `least`; raise Wrong if it is not one."""
    value = as_number(answer, name)
    right = value == int(value) and value >= least
    require(right, name, f"expected a whole number of at least {least}, found {answer}")
    return int(value)


def describe_value(value) -> str:
    if isinstance(value, ARRAYS):
        kind = "a tensor" if isinstance(value, Tensor) else "an array"
        return f"{kind} of shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    if is_number(value):
        return f"the number {value:g}"
    name = type(value).__name__
    if isinstance(value, str | bool):
        return f"{name} {value!r}"
    if isinstance(value, list | tuple):
        return f"a {name} of {len(value)}"
    return f"the class {value.__name__}" if isinstance(value, type) else f"an object of type {name}"


def describe_error(error: Exception) -> str:
    """Describe an exception, with the reader's own line that raised it."""
    message = textwrap.shorten(str(error), 300).rstrip(".")
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith(PACKAGE) and not LIBRARY.search(f.filename)]
    return f"{type(error).__name__}: {message}" + (f", in your line `{own[-1].line}`" if own and own[-1].line else "")


def is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def to_numpy(value) -> np.ndarray:
    """A number, tensor or array in float64; anything else becomes nan, which equals no expected value."""
    try:
        return value.detach().cpu().double().numpy() if isinstance(value, Tensor) else np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return np.asarray(np.nan)
