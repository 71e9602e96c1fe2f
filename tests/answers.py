"""What the tests of the checks know of an exercise: right answers in several styles, inputs, and wrong answers."""

import functools
import linecache
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from notebook_files import find_notebooks, is_lesson, label, read, tagged

from maskdepth_utils.course.checks.compare import LOSS, TOLERANCE, call_loss
from maskdepth_utils.course.checks.verdict import copied


@dataclass(frozen=True)
class Exercise:
    right: list  # answers that must pass; the first is mutated, and tried in more styles, if `draw` is given
    wrong: list  # (an answer, words of the verdict)
    draw: Callable | None = None  # a random generator -> inputs anywhere in the exercise's domain
    names: tuple = ("",)  # of the values that the function returns; LOSS: a loss
    tolerance: float = TOLERANCE  # what the check accepts
    allowed: tuple = ()  # changes of the first right answer that leave it right


@functools.cache
def solutions() -> dict:
    """{check: its answer} of the notebooks' solutions, whose source can be read like that of any function."""
    found = {}
    for path in find_notebooks(solutions=True):
        if is_lesson(path):
            continue
        module = sys.modules[label(path)] = types.ModuleType(label(path))
        for cell in tagged(read(path), "exercise"):
            check = re.match(r"checks\.(\w+)\((\w+)", cell.source)
            if check:
                found[check[1]] = getattr(module, check[2])
            elif cell.cell_type == "code":
                name = f"<{label(path)}, cell {cell.id}>"
                linecache.cache[name] = len(cell.source), None, cell.source.splitlines(keepends=True), name
                exec(compile(cell.source, name, "exec"), vars(module))
    return found


def outcome(function, inputs, names):
    """Kind and values of what a function returns, or the kind of error that it raises."""
    try:
        if names == LOSS:
            return call_loss(function, *inputs, where="")
        values = function(*copied(list(inputs)))
        return [np.asarray(value) for value in (values if len(names) > 1 else [values])]
    except Exception as error:
        return type(error)


def same(a, b, tolerance) -> bool:
    """Whether two outcomes have the same values."""
    if isinstance(a, type) or isinstance(b, type) or len(a) != len(b):
        return False
    return all(
        x.dtype.kind == y.dtype.kind and x.shape == y.shape and np.allclose(x, y, 1e-4, tolerance, equal_nan=True)
        for x, y in zip(a, b)
    )


def changed(function, change):
    """A function whose values are changed, each by itself."""

    @functools.wraps(function)
    def wrapped(*inputs):
        values = function(*inputs)
        return type(values)(map(change, values)) if isinstance(values, tuple) else change(values)

    return wrapped


def styles(right, names):
    """Yield the same function in other styles, all of which must pass."""

    def greedy(*inputs):
        found = right(*inputs)
        for value in inputs:
            if isinstance(value, list):
                value.clear()
            elif isinstance(value, np.ndarray | torch.Tensor) and names != LOSS:
                value[...] = 0
        return found

    yield from (functools.partial(right), greedy)  # no function needs a name
    yield changed(right, lambda x: x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x)
    if names != LOSS:
        yield changed(right, lambda x: x.numpy() if isinstance(x, torch.Tensor) else torch.as_tensor(x))
        yield changed(right, lambda x: x.tolist() if np.ndim(x) == 1 else x)
    if len(names) > 1 and names != LOSS:
        yield lambda *inputs: list(right(*inputs))


def spoiled(right, names, first):
    """Yield (what is wrong, a function, whether it is wrong for certain) from a right one and the first inputs."""
    value, last = right(*copied(list(first))), []

    def late(*inputs):
        last.append(right(*inputs))
        return last[-2] if len(last) > 1 else last[0]

    yield "the same value always", lambda *inputs: value, False
    yield "the value before", late, False
    yield "twice", changed(right, lambda x: 2 * x), False
    yield "a little more", changed(right, lambda x: x + 0.02), False
    yield "a dimension more", changed(right, lambda x: torch.as_tensor(x)[None]), True
    yield "yes or no", changed(right, lambda x: x > 0), True
    yield "the first sample", lambda *inputs: of_first(right, inputs), False
    if names == LOSS:
        yield "no gradient", lambda *inputs: right(*inputs).detach(), True
        yield "the gradient of a half", lambda x, y: right((x + x.detach()) / 2, y), False
        yield "a number", lambda *inputs: right(*inputs).item(), True


def of_first(right, inputs):
    """The result of the first sample for all samples, if there are samples."""
    if not all(isinstance(x, torch.Tensor) and x.dim() == 4 for x in inputs):
        return right(*inputs)
    found = right(*(x[:1] for x in inputs))
    return found.repeat(len(inputs[0]), *[1] * (found.dim() - 1)) if found.dim() else found
