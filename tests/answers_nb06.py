"""Answers to the exercises of notebook 06."""

import os
import shutil
import statistics
from functools import partial

import numpy as np
import torch
from answers import Exercise, solutions

from maskdepth_utils.course.checks.nb06 import rate

share = solutions()["check_share"]


def time_by_marks(function, clock, synchronize, calls):
    function(), synchronize()
    marks = [clock()]
    while len(marks) <= calls:
        function(), synchronize()
        marks.append(clock())
    return statistics.median(b - a for a, b in zip(marks, marks[1:]))


def time_calls(function, clock, synchronize, calls, skip=1, before=True, after=True, middle=statistics.median):
    """Right except for what the options break."""
    for _ in range(skip):
        function()
    times = []
    for _ in range(calls):
        synchronize() if before else None
        start = clock()
        function()
        synchronize() if after else None
        times.append(clock() - start)
    return middle(times)


def upper_median(times):
    return sorted(times)[len(times) // 2]


def share_blocks(order, step, batch, rank, world):
    order.extend(order)
    first = step * batch % (len(order) // 2)
    return np.array_split(order[first : first + batch], world)[rank]


def share_of(places):
    """A share from the places (step, batch, rank, world) -> range; wrapping round the end of the order."""
    return lambda order, step, batch, rank, world: [order[i % len(order)] for i in places(step, batch, rank, world)]


def equal_shares(step, batch, rank, world):
    each = batch // world
    return range(step * batch + rank * each, step * batch + (rank + 1) * each)


def all_for_the_last(step, batch, rank, world):
    each = batch // world
    first = step * batch + rank * each
    return range(first, (step + 1) * batch if rank == world - 1 else first + each)


def write_by_text(path, content, write):
    write(f"{path}~", content)
    os.rename(f"{path}~", path)
    return path


def beside(path):
    return path.with_name(path.name + ".part")


def then(finish):
    """Write a file beside `path`, then finish(other, path)."""

    def my_write(path, content, write):
        write(beside(path), content)
        finish(beside(path), path)

    return my_write


def remove_first(other, path):
    path.unlink(missing_ok=True)
    other.rename(path)


def rename_anyhow(path, content, write):
    try:
        write(beside(path), content)
    finally:
        os.replace(beside(path), path)


def leave_one(path, content, write):
    shutil.copy(path, beside(path)) if path.exists() else None
    then(os.replace)(path.with_suffix(".new"), content, write)
    os.replace(path.with_suffix(".new"), path)


def gradients_by_grad(model, parts, loss):
    parameters, count, total = list(model.parameters()), 0, 0
    while parts:
        inputs, targets = parts.pop()
        each = torch.autograd.grad(loss(model(inputs), targets), parameters)
        total = [len(inputs) * g + (total[i] if count else 0) for i, g in enumerate(each)]
        count += len(inputs)
    return tuple((g / count).numpy() for g in total)


def gradients(weight=lambda n, total, parts: n / total, clear=True, step=0.0):
    """A sum of the parts' gradients by their weights, with faults."""

    def my_gradients(model, parts, loss):
        if clear:
            model.zero_grad()
        total = sum(len(inputs) for inputs, _ in parts)
        for inputs, targets in parts:
            (weight(len(inputs), total, len(parts)) * loss(model(inputs), targets)).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= step * parameter.grad
        return [parameter.grad for parameter in model.parameters()]

    return my_gradients


def all_at_once(model, parts, loss):
    inputs, targets = (torch.cat(maps) for maps in zip(*parts))
    return torch.autograd.grad(loss(model(inputs), targets), list(model.parameters()))


def one_backward(model, parts, loss):
    count = sum(len(inputs) for inputs, _ in parts)
    model.zero_grad()
    sum(len(x) / count * loss(model(x), y) for x, y in parts).backward()
    return [parameter.grad for parameter in model.parameters()]


EXERCISES = {
    "check_rate": Exercise(
        right=[solutions()["check_rate"], lambda a, b, n: torch.tensor(rate(a, b, n))],
        draw=lambda g: (*g.uniform(0.01, 0.3, 2).tolist(), int(g.integers(0, 6))),
        wrong=[
            (lambda a, b, n: 1 / rate(a, b, n), "this is 1 divided by what is expected"),
            (lambda a, b, n: n / a if n else rate(a, b, n), "expected 50, found 100"),
            (lambda a, b, n: 1 / max(a / n, b), "Which of the inputs named above is 0 there?"),
        ],
    ),
    "check_time": Exercise(
        right=[solutions()["check_time"], time_by_marks],
        wrong=[
            (partial(time_calls, before=False, after=False), "Calls that are all alike: expected 0.51, found 0.01"),
            (partial(time_calls, after=False), "Calls that are all alike: expected 0.51, found 0.01"),
            (partial(time_calls, before=False), "Calls that are all alike: expected 0.51, found 0.75"),
            (partial(time_calls, skip=0), "A first call that takes long: expected 0.46, found 0.71"),
            (partial(time_calls, middle=statistics.fmean), "A first call that takes long: expected 0.46, found 0.485"),
            (partial(time_calls, middle=upper_median), "A first call that takes long: expected 0.46, found 0.61"),
            (lambda *given: time_calls(*given[:3], given[3] + 1), "expected 0.46, found 0.31"),
        ],
    ),
    "check_share": Exercise(
        right=[share, share_blocks, lambda *given: tuple(share(*given))],
        wrong=[
            (share_of(lambda s, b, r, w: range(s * b, (s + 1) * b)), "4 are repeated"),
            (share_of(lambda s, b, r, w: range(r, b, w)), "4 do not belong to this step, 4 are missing"),
            (lambda o, s, b, r, w: list(range(s * b + 1, (s + 1) * b + 1))[r::w], "4 do not belong to this step"),
            (share_of(lambda s, b, r, w: range((s * w + r) * b, (s * w + r + 1) * b)), "4 do not belong to this step"),
            (share_of(equal_shares), "shares of [2, 2, 2, 2] samples: 0 are repeated"),
            (share_of(all_for_the_last), "processes 4, samples 100: shares of [2, 2, 2, 5]"),
            (lambda o, s, b, r, w: o[s * b : (s + 1) * b][r::w], "0 do not belong to this step, 2 are missing"),
            (lambda *given: (x for x in share(*given)), "expected a list of samples, found a generator"),
            (lambda *given: 4, "expected a list of samples, found 4"),
        ],
    ),
    "check_write": Exercise(
        right=[solutions()["check_write"], write_by_text],
        allowed=("path.name + '.part' -> '.part'",),
        wrong=[
            (lambda path, content, write: write(path, content), "half a file is there"),
            (then(remove_first), "there is no file under its name"),
            (then(shutil.copy), "half a file is there"),
            (then(lambda other, path: None), "the old content is still there"),
            (rename_anyhow, "half a file is there"),
            (leave_one, "it leaves checkpoint.bin.part behind"),
            (lambda path, content, write: path.write_bytes(content), "it does not use `write`"),
            (lambda path, content, write: write(path.name + ".part", content), "it writes to another folder"),
        ],
    ),
    "check_gradients": Exercise(
        right=[solutions()["check_gradients"], gradients_by_grad],
        allowed=("(inputs, _) -> (_, inputs)",),
        wrong=[
            (gradients(lambda n, total, parts: 1), "Equal parts: at index"),
            (gradients(lambda n, total, parts: 1 / parts), "Unequal parts: at index"),
            (lambda model, parts, loss: gradients()(model, parts[-1:], loss), "Equal parts: at index"),
            (gradients(clear=False), "A model that holds gradients of an earlier step: at index"),
            (gradients(step=0.1), "it changes the weights"),
            (all_at_once, "the model gets 8 samples at once, and memory holds 4"),
            (one_backward, "what an earlier part needs for backward() is still in memory"),
            (lambda *given: gradients()(*given)[0], "4 values (0.weight, 0.bias, 2.weight, 2.bias), found a tensor"),
            (lambda *given: [g[0] for g in gradients()(*given)], "0.weight: expected values of shape (5, 4), found"),
            (lambda model, parts, loss: gradients()(model, parts, lambda *_: 0), "in your line"),
        ],
    ),
}
