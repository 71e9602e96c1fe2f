"""Wrong answers to the exercises of notebook 06: {check: [(answer, words of the verdict), ...]}."""

import os
import shutil
from functools import partial

import torch

from maskdepth_utils.course.checks.nb06 import rate, time_calls


def share(places):
    """A share from the places (step, batch, rank, world) -> range; wrapping round the end of the order."""
    return lambda order, step, batch, rank, world: [order[i % len(order)] for i in places(step, batch, rank, world)]


def all_for_the_last(step, batch, rank, world):
    each = batch // world
    first = step * batch + rank * each
    return range(first, (step + 1) * batch if rank == world - 1 else first + each)


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


WRONG = {
    "check_rate": [
        (lambda a, b, n: 1 / rate(a, b, n), "this is 1 divided by what is expected"),
        (lambda a, b, n: n / a if n else rate(a, b, n), "expected 20, found 50"),
        (lambda a, b, n: 1 / max(a / n, b), "ZeroDivisionError"),
    ],
    "check_time": [
        (partial(time_calls, before=False, after=False), "the clock is read before the device is done"),
        (lambda *device_and_calls: time_calls(*device_and_calls[:3], device_and_calls[3] + 1), "expected 0."),
    ],
    "check_share": [
        (share(lambda s, b, r, w: range(s * b, (s + 1) * b)), "are in two places"),
        (share(lambda s, b, r, w: range(r, b, w)), "some samples are not of this step"),
        (lambda o, s, b, r, w: list(range(s * b + 1, (s + 1) * b + 1))[r::w], "order[place]"),
        (share(lambda s, b, r, w: range((s * w + r) * b, (s * w + r + 1) * b)), "take 8 samples [4, 4], expected"),
        (share(lambda s, b, r, w: range(s * b + r * (b // w), s * b + (r + 1) * (b // w))), "does not divide evenly"),
        (share(all_for_the_last), "processes 4, samples 100: shares of [2, 2, 2, 5]"),
        (lambda o, s, b, r, w: o[s * b : (s + 1) * b][r::w], "After the last sample of `order` comes its first"),
    ],
    "check_write": [
        (lambda path, content, write: write(path, content), "half a file is there"),
        (then(remove_first), "there is no file under its name"),
        (then(shutil.copy), "half a file is there"),
        (then(lambda other, path: None), "the old content is still there"),
        (rename_anyhow, "half a file is there"),
        (lambda path, content, write: path.write_bytes(content), "it does not use `write`"),
        (lambda path, content, write: write(path.name + ".part", content), "it writes in another folder"),
    ],
    "check_gradients": [
        (gradients(lambda n, total, parts: 1), "added, not averaged"),
        (gradients(lambda n, total, parts: 1 / parts), "each part counts the same"),
        (lambda model, parts, loss: gradients()(model, parts[-1:], loss), "only the last part counts"),
        (gradients(clear=False), "the gradients of an earlier step are in it"),
        (gradients(step=0.1), "it changes the weights"),
        (all_at_once, "the model gets 8 samples at once, and memory holds 4"),
        (lambda *inputs: gradients()(*inputs)[0], "4 values (0.weight, 0.bias, 2.weight, 2.bias), found a tensor"),
        (lambda model, parts, loss: gradients()(model, parts, lambda *_: 0), "in your line"),
    ],
}
