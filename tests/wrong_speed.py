"""Typical wrong answers to the exercises of notebook 06: {check: [(answers, words of the verdict), ...]}."""

import os
import shutil
import statistics
import tempfile
from pathlib import Path

import torch


def rate(load, compute, workers):
    return 1 / max(load / workers, compute) if workers else 1 / (load + compute)


def with_workers(function):
    """Right without workers, and with some by a function of its own."""
    return lambda load, compute, workers: function(load, compute, workers) if workers else 1 / (load + compute)


def timing(before=True, after=True, skip=1, middle=statistics.median, extra=0):
    """A timing function with mistakes."""

    def my_time(function, clock, synchronize, calls):
        for _ in range(skip):
            function()
        times = []
        for _ in range(calls + extra):
            if before:
                synchronize()
            start = clock()
            function()
            if after:
                synchronize()
            times.append(clock() - start)
        return middle(times)

    return my_time


def around_all(function, clock, synchronize, calls):
    function()
    synchronize()
    start = clock()
    for _ in range(calls):
        function()
    synchronize()
    return (clock() - start) / calls


def share(places):
    """A share from the places (step, batch, rank, world) -> range; round the end of the order."""
    return lambda order, step, batch, rank, world: [order[i % len(order)] for i in places(step, batch, rank, world)]


def not_round_the_end(order, step, batch, rank, world):
    return order[step * batch : (step + 1) * batch][rank::world]


def emptied(order, step, batch, rank, world):
    return [order.pop(0) for _ in range(batch // world)]


def all_for_the_last(step, batch, rank, world):
    each = batch // world
    first = step * batch + rank * each
    return range(first, (step + 1) * batch if rank == world - 1 else first + each)


def beside(path):
    return path.with_name(path.name + ".part")


def backup_first(path, content, write):
    if path.exists():
        os.replace(path, path.with_name("old"))
    write(beside(path), content)
    os.replace(beside(path), path)


def removed_first(path, content, write):
    write(beside(path), content)
    path.unlink(missing_ok=True)
    beside(path).rename(path)


def copied(path, content, write):
    write(beside(path), content)
    shutil.copy(beside(path), path)
    beside(path).unlink()


def put_back(path, content, write):
    old = path.read_bytes() if path.exists() else b""
    try:
        write(path, content)
    except BaseException:
        path.write_bytes(old)
        raise


def renamed_anyhow(path, content, write):
    try:
        write(beside(path), content)
    finally:
        os.replace(beside(path), path)


def elsewhere(path, content, write):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "new", content)
        shutil.move(Path(folder) / "new", path)


def linked(path, content, write):
    write(beside(path), content)
    path.unlink(missing_ok=True)
    os.link(beside(path), path)
    beside(path).unlink()


def kept(path, content, write):
    if path.exists():
        shutil.copy(path, path.with_name("old"))
    write(beside(path), content)
    beside(path).replace(path)


def gradients(weigh=lambda loss, n, parts: loss * n / samples(parts), clear="once", step=0.0):
    """A sum of gradients over the parts, with mistakes."""

    def my_gradients(model, parts, loss):
        if clear == "once":
            model.zero_grad()
        for inputs, targets in parts:
            if clear == "each":
                model.zero_grad()
            weigh(loss(model(inputs), targets), len(inputs), parts).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= step * parameter.grad
        return [parameter.grad for parameter in model.parameters()]

    return my_gradients


def samples(parts):
    return sum(len(inputs) for inputs, _ in parts)


def all_at_once(model, parts, loss):
    inputs, targets = (torch.cat(maps) for maps in zip(*parts))
    return torch.autograd.grad(loss(model(inputs), targets), list(model.parameters()))


WRONG = {
    "check_rate": [
        (lambda a, b, n: 1 / max(a / n, b), "Without a worker, one process first loads"),
        (lambda a, b, n: 1 / max(a, b), "0 workers: nothing overlaps here"),
        (lambda a, b, n: 1 / rate(a, b, n), "these are seconds per sample"),
        (with_workers(lambda a, b, n: 1 / max(a, b)), "the workers do not share the loading"),
        (with_workers(lambda a, b, n: 1 / (a / n + b)), "both stages are added up"),
        (with_workers(lambda a, b, n: 1 / (a + b)), "both stages are added up"),
        (with_workers(lambda a, b, n: 1 / min(a / n, b)), "this is the fastest stage"),
        (with_workers(lambda a, b, n: n / a + 1 / b), "the rates are added up"),
        (with_workers(lambda a, b, n: 1 / max(a / (n + 1), b)), "one worker too many"),
        (with_workers(lambda a, b, n: n / max(a, b)), "the workers share the computing"),
        (with_workers(lambda a, b, n: n / a), "expected 20, found 50"),
        (lambda a, b, n: (rate(a, b, n),), "expected one number, found a tuple"),
    ],
    "check_time": [
        (timing(after=False), "the clock is read before the device is done (expected 0.51, found 0.01)"),
        (timing(before=False, after=False), "the clock is read before the device is done"),
        (timing(before=False), "work from before is charged to the call"),
        (timing(skip=0), "the first call counts as well"),
        (timing(middle=statistics.fmean), "this is the mean"),
        (timing(middle=min), "this is the fastest call"),
        (timing(middle=max), "this is the slowest call"),
        (timing(middle=sum), "these are the seconds of all calls"),
        (timing(middle=lambda times: times), "expected one number, found a list of 2"),
        (around_all, "the clock runs around all calls"),
        (timing(extra=1), "it calls the function 4 times, expected 3"),
        (lambda function, clock, synchronize, calls: clock() - clock(), "expected 0.51, found 0"),
    ],
    "check_share": [
        (share(lambda s, b, r, w: range(s * b, (s + 1) * b)), "all ranks get the same samples"),
        (share(lambda s, b, r, w: range(r, b, w)), "belongs to another step"),
        (lambda o, s, b, r, w: list(range(s * b, (s + 1) * b))[r::w], "is no sample"),
        (share(lambda s, b, r, w: range((s * w + r) * b, (s * w + r + 1) * b)), "take 8 samples, expected the 4 of"),
        (share(lambda s, b, r, w: range(s * b + r, s * b + r + b // w)), "is in two places"),
        (share(lambda s, b, r, w: range(s * b + r * (b // w), s * b + (r + 1) * (b // w))), "does not divide evenly"),
        (share(all_for_the_last), "4 processes, 100 samples: shares of [2, 2, 2, 5]"),
        (not_round_the_end, "After the last sample of `order` comes its first"),
        (emptied, "it changes `order`"),
        (lambda o, s, b, r, w: o[s * b + r], "expected a list of sample numbers, found the number"),
        (lambda o, s, b, r, w: o[(s * b + r) : (s + 1) * b : w / 1], "TypeError"),
    ],
    "check_write": [
        (lambda path, content, write: write(path, content), "half a file is there"),
        (backup_first, "after os.replace, there is no file under its name"),
        (removed_first, "after os.unlink, there is no file under its name"),
        (linked, "after os.unlink, there is no file"),
        (copied, "the new bytes are copied over the old file"),
        (put_back, "if the session ends in the middle of `write`, half a file"),
        (renamed_anyhow, "after os.replace, half a file is there"),
        (kept, "A newer one: it leaves old behind"),
        (elsewhere, "it writes in another folder"),
        (lambda path, content, write: write(beside(path), content), "the old content is still there"),
        (lambda path, content, write: path.write_bytes(content), "it does not use `write`"),
        (lambda path, content, write: write(path.name + ".part", content), "it writes in another folder"),
        (lambda path, content: None, "TypeError"),
    ],
    "check_gradients": [
        (gradients(lambda loss, n, parts: loss), "added, not averaged"),
        (gradients(lambda loss, n, parts: loss / len(parts)), "each part counts the same"),
        (gradients(lambda loss, n, parts: loss * n), "not divided by the number of samples"),
        (gradients(lambda loss, n, parts: loss, clear="each"), "only the last part counts"),
        (gradients(clear="never"), "the gradients of an earlier step are in it"),
        (gradients(step=0.1), "it changes the weights"),
        (all_at_once, "the model gets 8 samples at once, and memory holds 4"),
        (lambda *inputs: gradients()(*inputs)[0], "expected a list of 4 gradients, found a tensor"),
        (lambda model, parts, loss: list(model.parameters())[:2], "found a list of 2"),
        (lambda model, parts, loss: [p.grad for p in model.parameters()], "expected a tensor of shape (5, 4)"),
        (lambda model, parts, loss: gradients()(model, parts, lambda *_: 0), "in your line"),
    ],
}
