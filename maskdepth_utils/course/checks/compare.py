"""How the checks of all exercises compare an answer with what is expected, and recognise the usual faults."""

import numpy as np
import torch
from torch import Tensor, nn

from .verdict import ARRAYS, Wrong, as_number, call_answer, describe_value, require, to_numpy

USUAL_FAULTS = {  # as functions of what is expected
    "the sign is wrong": lambda x: -x,
    "the root is missing": lambda x: x**2,
    "this is 1 divided by what is expected": lambda x: 1 / x,
    "this is 1 minus what is expected": lambda x: 1 - x,
}


def compare_on_cases(answer, right, cases, faults, hint, names=(), gradients=False) -> str:
    """Compare a reader's function with the right one on all cases, and return a sentence about what was tried.

    Args:
        cases: ``{description of the case: inputs}``.
        faults: ``{what is wrong: a function with that fault}``.
        names: Names of the values, if the function returns several.
        gradients: Whether the gradients with respect to the first input must be equal, too.
    """
    for where, inputs in cases.items():
        found, expected = call_answer(answer, *inputs, where=where), right(*inputs)
        wrong = {words: fault(*inputs) for words, fault in faults.items()}
        if names:
            require_parts(found, names, where)
            for place, name in enumerate(names):
                part = {words: values[place] for words, values in wrong.items()}
                require_equal(found[place], expected[place], f"{where}, {name}", hint, part)
        else:
            require_equal(found, expected, where, hint, wrong)
        if gradients:
            (_, found), (_, expected) = (call_loss(loss, *inputs, where) for loss in (answer, right))
            require_equal(found, expected, f"{where}, gradient", hint)
    return "Tried: " + ", ".join(cases)


def call_loss(loss, prediction: Tensor, truth: Tensor, where: str) -> tuple[Tensor, Tensor]:
    """Return a loss and its gradient with respect to the prediction; raise Wrong unless both exist and are finite."""
    prediction = prediction.clone().requires_grad_()
    found = call_answer(loss, prediction, truth, where=where)
    require_same_kind(found, torch.tensor(0.0), where)
    gradient = torch.autograd.grad(found, prediction, allow_unused=True)[0] if found.requires_grad else None
    hint = "Use tensors only: no .item(), .detach() or NumPy."
    require(gradient is not None, where, "no gradient reaches the prediction", hint)
    hint = "Which division, root or logarithm meets a zero? A root is infinitely steep there."
    require(torch.isfinite(found), where, "the loss is not finite", hint)
    require(torch.isfinite(gradient).all(), where, "the gradient is not finite", hint)
    return found.detach(), gradient


def require_equal(found, expected, where, hint="", faults=None) -> None:
    """Raise Wrong, naming the first fault that explains the value found, unless it is within 1e-4 of the expected."""
    if isinstance(expected, np.ndarray) and isinstance(found, list | tuple | np.floating):
        found = np.asarray(found, float)
    if isinstance(expected, ARRAYS):
        require_same_kind(found, expected, where)
    a, b = to_numpy(found if isinstance(expected, ARRAYS) else as_number(found, where)), to_numpy(expected)
    if is_close(a, b):
        return
    difference = describe_difference(a, b)
    if np.isfinite(b).all() and not np.isfinite(a).all():
        raise Wrong(where, difference, "Which division or logarithm meets a zero?")
    with np.errstate(all="ignore"):  # whole numbers would agree by chance
        usual = {words: fault(b) for words, fault in USUAL_FAULTS.items() if (b % 1).any()}
    for words, wrong in ((faults or {}) | usual).items():
        if not is_close(wrong, b) and is_close(wrong, a):
            raise Wrong(where, f"{words} ({difference})", hint)
    factor = (a * b).sum() / (b * b).sum() if b.size > 1 and b.any() else 0
    if abs(factor) > 1e-3 and is_close(a, factor * b):
        raise Wrong(where, f"all values are {factor:.3g} times what is expected ({difference})", hint)
    raise Wrong(where, difference, hint)


def require_same_kind(found, expected, where: str, hint: str = "") -> None:
    """Raise Wrong unless `found` is a tensor or array like `expected`, of its shape, and floating if `expected` is."""
    kind, name = (Tensor, "a tensor") if isinstance(expected, Tensor) else (np.ndarray, "a NumPy array")
    shape = tuple(expected.shape)
    require(isinstance(found, kind), where, f"expected {name} of shape {shape}, found {describe_value(found)}")
    usual = {0: "A loss is one number: average over all.", 1: "One value per image: sum over all dimensions but 0."}
    hint = hint or usual.get(len(shape), "Print the shapes on the way: which step changes this one?")
    require(found.shape == shape, where, f"expected shape {shape}, found {tuple(found.shape)}", hint)
    right = "float" in str(found.dtype) or "float" not in str(expected.dtype)
    require(right, where, f"expected float values, found {describe_value(found)}", "tensor.float() converts them.")


def require_parts(found, names, where: str) -> None:
    """Raise Wrong unless `found` holds as many values as there are names."""
    right = isinstance(found, tuple | list | np.ndarray) and len(found) == len(names)
    require(right, where, f"expected {len(names)} values ({', '.join(names)}), found {describe_value(found)}")


def require_nonlinear(block: nn.Module, sizes, where: str) -> None:
    """Raise Wrong if a block is linear in inputs of these sizes: then f(0) is halfway between f(x) and f(-x)."""
    block.eval()
    inputs = [torch.randn(size) for size in sizes]
    with torch.no_grad():
        found, opposite, zero = (block(*(sign * x for x in inputs)) for sign in (1, -1, 0))
    nonlinear = not torch.allclose(found + opposite, 2 * zero, atol=1e-4)
    hint = "Without a ReLU between them, two convolutions are only one convolution."
    require(nonlinear, where, "it is linear: no nonlinearity is in it", hint)


def is_close(found, expected) -> bool:
    a, b = to_numpy(found), to_numpy(expected)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-4, equal_nan=True)


def describe_difference(found: np.ndarray, expected: np.ndarray) -> str:
    """Expected and found values: all of them if there are few, else the pair that differs most."""
    place = ""
    if expected.size > 6:
        errors = np.nan_to_num(np.abs(found - expected), nan=np.inf)
        index = np.unravel_index(np.argmax(errors), errors.shape)
        place, found, expected = f"at index {tuple(map(int, index))} ", found[index], expected[index]
    style = {"float": "{:.5g}".format}  # enough digits to show a difference
    words = [np.array2string(np.asarray(x), formatter=style, separator=", ") for x in (expected, found)]
    return f"{place}expected {words[0]}, found {words[1]}"
