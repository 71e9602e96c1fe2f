"""How a check asks an answer, and says in words what is wrong with it. The checks themselves: checks.py lists them.

A check is a function of a reader's answers. It raises `Wrong` at the first thing that is wrong, and otherwise returns,
in words, what it has tried. `verdict` turns that into one printed line or two, and into True or False.
"""

import functools
import inspect
import numbers
import re
import traceback
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

PACKAGE = str(Path(__file__).resolve().parents[2])
LIBRARY = re.compile(r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3|^<frozen")
RESULTS: dict[str, bool] = {}  # each check's last verdict, for `tally`


class Wrong(Exception):
    """Where something is wrong; what, with found and expected; and a hint that does not give the solution away."""

    def __init__(self, where: str, words: str, hint: str = ""):
        if "_" not in where.split(" ")[0]:  # a name in the code keeps its small letter
            where = where[:1].upper() + where[1:]
        super().__init__(f"{where}: {words}")
        self.hint = hint


class Unsolved(Exception):
    """There is no answer yet; the text says what to write."""


def verdict(check):
    """Decorator: a check that prints its verdict and returns whether the answer is right, whatever it is given.

    An answer may be wrong in ways that nobody thought of, and raise wherever it is used: that is a verdict, too.
    """
    names = list(inspect.signature(check).parameters)

    @functools.wraps(check)
    def checked(*answers) -> bool:
        solved = False
        try:
            if len(answers) != len(names):
                raise Wrong(check.__name__, f"expected {len(names)} ({', '.join(names)}), found {len(answers)}")
            blanks = [name for name, answer in zip(names, answers) if answer is None or answer is ...]
            if blanks:
                raise Unsolved(f"{' and '.join(blanks)}: write your answer in place of the `...`.")
            with torch.random.fork_rng(devices=[]), torch.enable_grad():  # the reader's random numbers go on as before
                torch.manual_seed(0)
                tried = check(*answers)
            solved, text = True, f"Solved. {tried}."
        except Unsolved as unsolved:
            text = f"Not solved yet. {unsolved}"
        except Wrong as wrong:
            text = f"Not right yet. {wrong}." + (f"\nHint: {wrong.hint}" if wrong.hint else "")
        except Exception as error:
            text = f"Not right yet. The check broke off: {explain(error)}."
        RESULTS[check.__name__] = solved
        print(text)
        return solved

    return checked


def tally() -> str:
    """How many of the exercises tried so far are solved: "4 of 5 exercises solved; open: check_iou"."""
    open_ = [name for name, solved in RESULTS.items() if not solved]
    text = f"{len(RESULTS) - len(open_)} of {len(RESULTS)} exercises solved"
    return text + (f"; open: {', '.join(open_)}" if open_ else "")


# ------------------------------------------------------------------------------------------------ asking


def ask(answer, *inputs, where: str, hint: str = ""):
    """answer(*inputs). Raises Unsolved where nothing comes back, Wrong where it raises or changes its inputs."""
    if not callable(answer):
        raise Wrong(
            where,
            f"expected a function, found {describe(answer)}",
            "Hand over the function itself, without calling it: my_function and not my_function(...).",
        )
    before = [x.detach().clone() if isinstance(x, Tensor) else np.copy(x) for x in inputs if is_array(x)]
    try:
        result = answer(*inputs)
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:  # PyTorch raises it, too, but says more
            raise Unsolved("It raises NotImplementedError.") from error
        raise Wrong(where, f"it raises {explain(error)}", hint or hint_for(error)) from error
    after = [x for x in inputs if is_array(x)]
    if not all(np.array_equal(to_numpy(a), to_numpy(b), equal_nan=True) for a, b in zip(before, after)):
        raise Wrong(
            where,
            "it changes its input in place",
            "x -= y, x[...] = y and methods that end in _ write into the caller's array: make a new one.",
        )
    if result is None or result is ... or result is NotImplemented:
        raise Unsolved(f"It gives back {result}: write your code in place of the `...`, and `return` the result.")
    return result


def build(answer, *arguments, where: str) -> nn.Module:
    """A module from the reader's function or class; Wrong if it is none."""
    module = ask(answer, *arguments, where=where)
    if isinstance(module, list | tuple):
        raise Wrong(
            where,
            f"expected one nn.Module, found {describe(module)}",
            "nn.Sequential(*layers) makes one module of a list of layers.",
        )
    if not isinstance(module, nn.Module):
        raise Wrong(where, f"expected an nn.Module, found {describe(module)}")
    return module


def explain(error: Exception) -> str:
    """An exception in words, with the reader's own line in which it happened."""
    message = " ".join(str(error).split()).rstrip(".")
    message = message if len(message) <= 300 else message[:300] + " ..."
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith(PACKAGE) and not LIBRARY.search(f.filename)]
    line = own[-1].line if own else None
    return f"{type(error).__name__}: {message}" + (f", in your line `{line}`" if line else "")


def hint_for(error: Exception) -> str:
    """What to try after an error that a student's code often raises."""
    if isinstance(error, NameError):
        return "A name that exists only above, in the notebook? An exercise starts from its own set-up cell."
    if isinstance(error, NotImplementedError):  # PyTorch's, of an operation that has no version for floats, say
        return "Print the types on the way: does that operation take bools, whole numbers or floats?"
    if isinstance(error, RuntimeError | ValueError | IndexError):
        return "Print the shapes on the way: which two of them do not fit?"
    return ""


# --------------------------------------------------------------------------------------------- comparing


def same(found, expected, where: str, hint: str = "", mistakes=(), tolerance: float = 1e-4) -> None:
    """Raise Wrong unless `found` is what was expected: a tensor, an array or a number, within the tolerance.

    mistakes: (what a usual mistake gives, its words, its hint), ...; the first that `found` equals is named.
    """
    for value, words, its_hint in mistakes:
        told_apart = np.isfinite(to_numpy(value)).all() and not close(value, expected, tolerance)
        if told_apart and is_array(found) == is_array(value) and close(found, value, tolerance):
            raise Wrong(where, f"{words} (expected {show(expected)}, found {show(found)})", its_hint)
    alike(found, expected, where, hint)
    if close(found, expected, tolerance):
        return
    a, b = to_numpy(found), to_numpy(expected)
    if not np.isfinite(a).all() and np.isfinite(b).all():
        bad = "nan" if np.isnan(a).any() else "infinite"
        words = f"expected {show(expected)}, found {show(found)}" if a.size <= 6 else f"some values are {bad}"
        raise Wrong(where, words, hint or "Which division or logarithm meets a zero?")
    if close(a, -b, tolerance):
        raise Wrong(where, f"the sign is wrong: {difference(a, b)}", hint)
    factor = (a * b).sum() / (b * b).sum() if (b * b).sum() else 1.0
    if b.size > 1 and abs(factor) > 1e-3 and close(a, factor * b, tolerance):
        raise Wrong(where, f"all values are {factor:.3g} times what is expected: {difference(a, b)}", hint)
    raise Wrong(where, difference(a, b), hint)


def alike(found, expected, where: str, hint: str = "") -> None:
    """Raise Wrong unless `found` is of the kind and shape of `expected`, and floating if that is."""
    if is_array(expected) and type(found) is not type(expected):
        kind = "a tensor" if isinstance(expected, Tensor) else "a NumPy array"
        raise Wrong(where, f"expected {kind} of shape {tuple(expected.shape)}, found {describe(found)}", hint)
    if not is_array(expected):
        if not is_number(found):
            raise Wrong(where, f"expected one number, found {describe(found)}", hint)
        return
    if tuple(found.shape) != tuple(expected.shape):
        shapes = f"expected shape {tuple(expected.shape)}, found {tuple(found.shape)}"
        raise Wrong(where, shapes, hint or "Over which dimensions do you sum or average, and which stay?")
    if is_floating(expected) and not is_floating(found):
        kind = str(found.dtype).removeprefix("torch.")
        raise Wrong(where, f"expected float values, found {kind}", "tensor.float() makes floats of it.")


def number(answer, name: str, hint: str = "") -> float:
    """The answer as a number; Wrong if it is none."""
    if is_array(answer) and answer.ndim == 0:
        answer = answer.item()
    if not is_number(answer):
        raise Wrong(name, f"expected one number, found {describe(answer)}", hint)
    if not np.isfinite(float(answer)):
        raise Wrong(name, f"expected a finite number, found {answer}", hint)
    return float(answer)


def whole(answer, name: str, least: int = 1, hint: str = "") -> int:
    """The answer as a whole number of at least `least`; Wrong if it is none."""
    value = number(answer, name, hint)
    if value != int(value) or value < least:
        raise Wrong(name, f"expected a whole number of at least {least}, found {answer}", hint)
    return int(value)


def close(found, expected, tolerance: float) -> bool:
    """Equal within the tolerance, absolute and relative, and of one shape."""
    a, b = to_numpy(found), to_numpy(expected)
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def difference(found: np.ndarray, expected: np.ndarray) -> str:
    """Expected and found: all of it if there is little, else where they differ most."""
    if expected.size <= 6:
        return f"expected {show(expected)}, found {show(found)}"
    place = np.unravel_index(np.argmax(np.abs(found - expected)), expected.shape)
    at = ", ".join(str(int(i)) for i in place)
    return f"at index ({at}) expected {expected[place]:.4g}, found {found[place]:.4g}"


# ------------------------------------------------------------------------------------------------- words


def describe(value) -> str:
    """What a value is, in words: kind, shape, type."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}, {value.dtype}"
    if is_number(value) or isinstance(value, str | bool):
        return f"{type(value).__name__} {value!r}" if isinstance(value, str | bool) else f"the number {value:g}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if inspect.isroutine(value):
        return f"the function {value.__name__}"
    return f"{'an' if type(value).__name__[:1] in 'AEIOUaeiou' else 'a'} {type(value).__name__}"


def show(value) -> str:
    """A value to be read: a number, a short list, or what it is."""
    array = to_numpy(value)
    if array.size > 6:
        return describe(value)
    if array.ndim == 0:
        return f"{array:.4g}"
    return "[" + ", ".join(f"{x:.4g}" for x in array.ravel()) + "]"


def is_array(value) -> bool:
    """A tensor or a NumPy array?"""
    return isinstance(value, Tensor | np.ndarray)


def is_number(value) -> bool:
    """A single real number, and no bool?"""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def is_floating(value) -> bool:
    """Does a tensor or an array hold floats?"""
    return value.is_floating_point() if isinstance(value, Tensor) else np.issubdtype(value.dtype, np.floating)


def to_numpy(value) -> np.ndarray:
    """Any number, tensor or array in float64; what is no number becomes nan, which equals nothing expected."""
    if isinstance(value, Tensor):
        return value.detach().double().cpu().numpy()
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return np.asarray(np.nan)
