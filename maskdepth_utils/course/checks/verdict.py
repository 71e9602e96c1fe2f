"""How the checks of all exercises call an answer, and describe what is wrong with it.

A check is a function of a reader's answers. It raises `Wrong` at the first fault, and otherwise returns a sentence
about what it has tried. The decorator `report_verdict` prints the verdict and returns True or False.
"""

import ctypes
import functools
import inspect
import math
import numbers
import re
import textwrap
import threading
import traceback
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

TIME_LIMIT = 10.0  # seconds for one call of an answer
PACKAGE = str(Path(__file__).resolve().parents[2])
LIBRARY = re.compile(r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3|^<frozen")
RESULTS: dict[str, bool] = {}  # the last verdict of each check, for `tally`
LIMITED = threading.local()  # .already: this thread is inside a `time_limit`
HINTS = {  # a pattern in an error's type and message: what to try
    "is not defined": "A name that exists only above, in the notebook? An exercise starts from its own set-up cell.",
    "argument(?!.*in your line)": "Compare your `def` line with the exercise's: which arguments differ?",
    "truth value|Boolean value": "`if`, `and` and `or` decide once, but a map has many values: try torch.where or &.",
    "leaf Variable|inplace operation": "x += y and names that end in _ overwrite what the gradient needs: x = x + y.",
    "on Tensor that requires grad": "NumPy has no gradients: stay with torch, or .detach() what needs none.",
    "not iterable|unpack|0-d|has no len": "One value is used like a list of several: print it, and its type.",
    "RecursionError": "It calls itself without end: in which case does it stop?",
    "division by zero": "Which of the inputs named above is 0 there?",
    "(d|scalar |put )type|implemented for|bool tensor|ufunc|be cast": "Print the dtypes along the way: all floats?",
    "positional argument|keyword argument": "Which arguments does the function in that line take?",
    "TypeError|AttributeError": "Print the types along the way: is it a number, a list, an array or a tensor?",
    "shape|size|dimension|broadcast|index|channels": "Print the shapes along the way: which two do not match?",
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


class TimeIsUp(BaseException):
    """A call has taken too long. It is not an `Exception`, so that a reader's `except Exception` does not catch it."""


def report_verdict(check: Callable) -> Callable[..., bool]:
    """Decorate a check: it prints its verdict, returns whether the answer is right, and never raises."""

    @functools.wraps(check)
    def checked(*answers) -> bool:
        solved = False
        try:
            try:
                given = inspect.signature(check).bind(*answers).arguments
            except TypeError as error:
                raise Wrong(check.__name__, str(error)) from error
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
            text = f"Not right yet. The check could not finish: {describe_error(error)}."
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


def call_answer(answer, *inputs, where: str, returns=True):
    """Call an answer with copies of the inputs; raise Unsolved if it returns nothing, Wrong if it raises or hangs."""
    hint = "Pass the function itself, without calling it: my_function and not my_function(...)."
    require(callable(answer), where, f"expected a function, found {describe_value(answer)}", hint)
    try:
        with time_limit(TIME_LIMIT):
            result = answer(*map(copied, inputs))
    except (Wrong, Unsolved):  # of a check's own, around the answer
        raise
    except TimeIsUp as error:
        hint = "Does a loop never end? (If it is only slow, work on whole arrays.)"
        raise Wrong(where, f"it was stopped after {TIME_LIMIT:g} seconds{own_line(error)}", hint) from error
    except (Exception, SystemExit, GeneratorExit) as error:
        if isinstance(error, NotImplementedError) and not error.args:  # PyTorch also raises it, with a message
            raise Unsolved("It raises NotImplementedError.") from error
        words = describe_error(error)
        hint = next((hint for pattern, hint in HINTS.items() if re.search(pattern, words)), "")
        raise Wrong(where, f"it raises {words}", hint) from error
    if returns and (result is None or result is ... or result is NotImplemented):
        raise Unsolved(f"It returns {result}: write your code in place of the `...`, and `return` the result.")
    return result


@contextmanager
def time_limit(seconds: float):
    """Raise TimeIsUp in the calling thread after so many seconds; inside another limit, only the outer one counts.

    It works on every system and in a notebook's kernel, where signals may not, but only between two steps of Python:
    one call that never returns, such as ``time.sleep``, is not stopped.
    """
    if getattr(LIMITED, "already", False):
        yield
        return
    thread, ended, switch = ctypes.c_ulong(threading.get_ident()), threading.Event(), threading.Lock()

    def watch():
        for wait in (seconds, seconds + 1, seconds + 1):  # a bare `except` may swallow it
            if ended.wait(wait):
                return
            with switch:
                if not ended.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeIsUp))

    LIMITED.already = True
    try:
        threading.Thread(target=watch, daemon=True).start()
        yield
    finally:
        for _ in range(2):  # TimeIsUp may arrive even here
            with suppress(TimeIsUp), switch:
                LIMITED.already = False
                ended.set()


def copied(value):
    """A copy of an input; inputs that need gradients, and objects without values, are passed on as they are."""
    if isinstance(value, Tensor):
        return value if value.requires_grad else value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    return type(value)(map(copied, value)) if type(value) in (list, tuple) else value


def build_module(answer, *arguments, where: str) -> nn.Module:
    """Return the module that a reader's function or class makes; raise Wrong if it is not one."""
    module = call_answer(answer, *arguments, where=where)
    hint = "nn.Sequential(*layers) makes one module of a list of layers."
    require(isinstance(module, nn.Module), where, f"expected an nn.Module, found {describe_value(module)}", hint)
    return module.cpu()


def call_module(module: nn.Module, *inputs, shape, where: str, hint: str) -> Tensor:
    """Return what a reader's module makes of the inputs; raise Wrong unless it is a float tensor of that shape."""
    found = call_answer(module, *inputs, where=where)
    words = f"expected a tensor of shape {tuple(shape)}, found {describe_value(found)}"
    require(isinstance(found, Tensor) and found.is_floating_point(), where, words)
    require(found.shape == torch.Size(shape), where, words, hint)
    return found


def as_number(answer, name: str, least=-math.inf, most=math.inf, unit="a number", whole=False) -> float:
    """Return the answer as a number (a whole one) within these limits; raise Wrong if it is not one."""
    value = answer.item() if isinstance(answer, Tensor | np.ndarray) and not answer.shape else answer
    limits = f" from {least:g} to {most:g}" if math.isfinite(most) else ""
    right = is_number(value) and math.isfinite(value) and least <= value <= most and not (whole and value % 1)
    require(right, name, f"expected {unit}{limits}, found {describe_value(value)}")
    return int(value) if whole else float(value)


def describe_value(value) -> str:
    if isinstance(value, Tensor | np.ndarray):
        kind = "a tensor" if isinstance(value, Tensor) else "an array"
        return f"{kind} of shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    if is_number(value):
        return f"{'the float ' if isinstance(value, float) and value % 1 == 0 else ''}{value}"
    if isinstance(value, str | bool | None):
        return textwrap.shorten(repr(value), 40, placeholder="...'")
    name = type(value).__name__
    if type(value) in (list, tuple, dict, set):
        return f"a {name} of {len(value)}"
    if inspect.isgenerator(value):
        return "a generator, from `yield`"
    return f"the class {value.__name__}" if isinstance(value, type) else f"an object of type {name}"


def describe_error(error: BaseException) -> str:
    """Describe an exception, with the reader's own line."""
    try:
        message = textwrap.shorten(str(error), 300).rstrip(".")
    except Exception:  # a reader's own exception may not even have a message
        message = "(no message)"
    return f"{type(error).__name__}: {message}{own_line(error)}"


def own_line(error: BaseException) -> str:
    """The reader's own line in which an exception was raised, if it is known."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith(PACKAGE) and not LIBRARY.search(f.filename)]
    return f", in your line `{own[-1].line}`" if own and own[-1].line else ""


def is_number(value) -> bool:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    with suppress(Exception):  # no float can hold it
        return real and isinstance(float(value), float)
    return False
