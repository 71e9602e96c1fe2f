"""How the checks of all exercises compare an answer with what is expected, and recognise the usual faults."""

import numpy as np
import torch
from torch import Tensor, nn

from .verdict import Unsolved, Wrong, call_answer, copied, describe_value, require

TOLERANCE = 1e-4  # the accepted difference, absolute and as a share
LOSS = ("loss", "gradient")  # the parts of what a loss gives
USUAL_FAULTS = {  # as functions of what is expected
    "the sign is wrong": lambda x: -x,
    "the root is missing": lambda x: x**2,
    "this is 1 divided by what is expected": lambda x: 1 / x,
    "this is 1 minus what is expected": lambda x: 1 - x,
}
TENSORS_ONLY = "Use tensors only, from the first step to the last: no .item(), .detach() or NumPy."
NOT_FINITE = "Which step causes it? 0 / 0, the root or logarithm of 0 (their slope is infinite), or too large a number?"
SHAPE_HINTS = {0: "One number is expected: average them all.", 1: "One value per image: sum over all dimensions but 0."}


def compare_on_cases(
    answer, right, cases, faults, hint="", *, names=("",), whole=False, tolerance=TOLERANCE, adapt=None
) -> str:
    """Compare a reader's function with the right one on all cases, and return a sentence about what was tried.

    Args:
        cases: ``{description of the case: inputs}``.
        faults: ``{what is wrong: a function with that fault}``. One is named only if it explains all cases.
        names: Names of the values, if there are several. LOSS: a loss and its gradient with respect to the first input.
        whole: Whether whole numbers are expected.
        tolerance: The accepted absolute difference.
        adapt: Turns the answer, the right function and the faults into functions of a case's inputs.
    """
    if adapt:
        answer, right = adapt(answer) if callable(answer) else answer, adapt(right)
        faults = {words: adapt(fault) for words, fault in faults.items()}
    for where, inputs in cases.items():
        truth = evaluate(right, inputs, names)
        found = evaluate_answer(answer, inputs, truth, where, whole)
        for name, expected in truth.items():
            if is_close(found[name], expected, name, tolerance):
                continue
            place, difference = label(where, name), describe_difference(found[name], expected)
            if np.isfinite(expected).all() and not np.isfinite(found[name]).all():
                raise Wrong(place, difference, NOT_FINITE)
            fault = name_fault(answer, right, name, names, cases, faults, tolerance)
            raise Wrong(place, f"{fault} ({difference})" if fault else difference, hint)
    return "Tried: " + "; ".join(cases)


def evaluate(function, inputs, names) -> dict[str, np.ndarray]:
    """What a function of ours gives: ``{name: value}``."""
    if names == LOSS:
        return dict(zip(LOSS, call_loss(function, *inputs, where="")))
    values = function(*map(copied, inputs))
    return dict(zip(names, map(to_numpy, values if len(names) > 1 else (values,))))


def evaluate_answer(answer, inputs, expected: dict, where: str, whole=False) -> dict[str, np.ndarray]:
    """What a reader's function gives, ``{name: value}``; raise Wrong unless kinds and shapes are as expected."""
    names = tuple(expected)
    if names == LOSS:
        return dict(zip(LOSS, call_loss(answer, *inputs, where=where)))
    values = call_answer(answer, *inputs, where=where)
    values = take_parts(values, names, where) if len(names) > 1 else (values,)
    return {name: as_array(value, expected[name], label(where, name), whole) for name, value in zip(names, values)}


def name_fault(answer, right, name: str, names, cases: dict, faults: dict, tolerance) -> str:
    """The fault, in words, that explains what the answer gives on all cases; empty if none does."""
    truths = [evaluate(right, inputs, names) for inputs in cases.values()]
    try:
        found = [evaluate_answer(answer, inputs, truth, "") for inputs, truth in zip(cases.values(), truths)]
    except (Wrong, Unsolved):
        return ""
    for words, fault in faults.items():
        try:
            faulty = (evaluate(fault, inputs, names) for inputs in cases.values())
            if all(is_close(a[part], b[part], part, tolerance) for a, b in zip(found, faulty) for part in a):
                return words
        except Exception:  # a fault may break where the right function does not
            continue
    a, b = (np.concatenate([values[name].ravel() for values in each]) for each in (found, truths))
    with np.errstate(all="ignore"):
        for words, fault in USUAL_FAULTS.items():
            if is_close(a, fault(b)):
                return words
    known = np.isfinite(b)
    factor = (a * b)[known].sum() / (b * b)[known].sum() if b[known].any() else 0
    proportional = factor and len(np.unique(b[known].round(6))) > 1 and is_close(a, factor * b)
    return f"all values are {factor:.3g} times what is expected" if proportional else ""


def call_loss(loss, prediction: Tensor, *others, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a loss and its gradient with respect to the prediction; raise Wrong unless both exist."""
    prediction = prediction.clone().requires_grad_()
    found = call_answer(loss, prediction, *others, where=where)
    require(isinstance(found, Tensor), where, f"expected a tensor, found {describe_value(found)}", TENSORS_ONLY)
    as_array(found, np.zeros(()), where)
    (gradient,) = find_gradients(found, [prediction], where)
    return to_numpy(found), to_numpy(gradient)


def find_gradients(result: Tensor, sources, where: str) -> list[Tensor]:
    """The gradients of the sum of `result`, 0 for sources that it does not use; raise Wrong if it has none at all."""
    require(result.requires_grad, where, "no gradient reaches its input", TENSORS_ONLY)
    found = call_answer(lambda: torch.autograd.grad(result.sum(), sources, allow_unused=True), where=where)
    return [torch.zeros_like(source) if gradient is None else gradient for source, gradient in zip(sources, found)]


def as_array(found, expected: np.ndarray, where: str, whole=False) -> np.ndarray:
    """Return a tensor, array, number or list of numbers as an array like `expected`; otherwise raise Wrong."""
    one = "a whole number" if whole else "one number"
    kind = f"values of shape {expected.shape}" if expected.ndim else one
    words = f"expected {kind}, found {describe_value(found)}"
    try:
        array = found.detach().cpu().numpy() if isinstance(found, Tensor) else np.asarray(found)
    except Exception as error:  # whatever it is, NumPy cannot make an array of it
        raise Wrong(where, words) from error
    require(array.dtype.kind in "iuf", where, words)
    hint = SHAPE_HINTS.get(expected.ndim, "Print the shapes along the way.")
    require(array.shape == expected.shape, where, words, hint)
    floats = array.dtype.kind == "f"
    if whole:
        require(not floats, where, words, "// divides and rounds down." * bool(np.isfinite(array)))
    elif expected.ndim:
        require(floats, where, f"expected floats, found {describe_value(found)}", "x.float() makes floats of them.")
    return array.astype(np.float64)


def take_parts(found, names, where: str):
    """Return `found`; raise Wrong unless it holds as many values as there are names."""
    several = isinstance(found, tuple | list) or isinstance(found, Tensor | np.ndarray) and found.ndim > 0
    right = several and len(found) == len(names)
    require(right, where, f"expected {len(names)} values ({', '.join(names)}), found {describe_value(found)}")
    return found


def require_nonlinear(block: nn.Module, sizes, where: str) -> None:
    """Raise Wrong if a block is linear in inputs of these sizes: then f(0) is halfway between f(x) and f(-x)."""
    block.eval()
    inputs = [torch.randn(size) for size in sizes]
    with torch.no_grad():
        found, opposite, zero = (call_answer(block, *(sign * x for x in inputs), where=where) for sign in (1, -1, 0))
    nonlinear = not torch.allclose(found + opposite, 2 * zero, atol=1e-4)
    hint = "Without a ReLU between them, two convolutions are only one convolution."
    require(nonlinear, where, "it is linear: there is no nonlinearity in it", hint)


def is_close(found, expected, name="", tolerance=TOLERANCE) -> bool:
    scale = np.abs(expected).max() + 1e-6 if name == "gradient" else 1
    return found.shape == expected.shape and np.allclose(
        found, expected, rtol=TOLERANCE, atol=tolerance * scale, equal_nan=True
    )


def to_numpy(value) -> np.ndarray:
    """A number, tensor or array of ours in float64."""
    return np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, np.float64)


def label(where: str, name: str) -> str:
    return f"{where}, {name}" if name and name != LOSS[0] else where


def describe_difference(found: np.ndarray, expected: np.ndarray) -> str:
    """Expected and found values, all of them if there are few, else the pair that differs most."""
    place = ""
    if expected.size > 6:
        errors = np.nan_to_num(np.abs(found - expected), nan=np.inf)
        index = np.unravel_index(np.argmax(errors), errors.shape)
        place, found, expected = f"at index {tuple(map(int, index))} ", found[index], expected[index]
    for digits in range(5, 18):  # as many as it takes to see a difference
        a, b = (describe_numbers(np.asarray(values), digits) for values in (expected, found))
        if a != b:
            break
    return f"{place}expected {a}, found {b}"


def describe_numbers(values: np.ndarray, digits: int) -> str:
    words = np.array2string(values, formatter={"float": lambda x: f"{x:.{digits}g}"}, separator=", ")
    return " ".join(words.split())
