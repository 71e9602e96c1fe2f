"""Checks of the exercises in notebook 06: a pipeline, timing, shares, safe files, gradients."""

import itertools
import random
import statistics
import sys
import tempfile
import weakref
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils import parameters_to_vector as flat

from .compare import as_array, compare_on_cases, take_parts
from .verdict import Unsolved, Wrong, as_number, call_answer, describe_value, report_verdict, require


def rate(load, compute, workers):
    """Samples per second; without a worker nothing overlaps."""
    return 1 / (max(load / workers, compute) if workers else load + compute)


@report_verdict
def check_rate(my_rate):
    """my_rate(load, compute, workers): seconds per sample twice -> samples per second; 0 workers do not overlap."""
    some = itertools.product((0.02, 0.05, 0.3), (0.02, 0.05), (0, 1, 2, 4))
    cases = {"{:g} s to load, {:g} s to compute, workers: {}".format(*case): case for case in some}
    hint = "Without workers one process loads, then computes; workers share the loading meanwhile. Which is slower?"
    compare_on_cases(my_rate, rate, cases, {}, hint)
    return f"Tried: {len(cases)} pipelines with 0 to 4 workers"


def time_calls(call, clock, synchronize, calls) -> float:
    """Median seconds per call; the first call is not timed, and the device is idle at both readings of the clock."""
    call()
    times = []
    for _ in range(calls):
        synchronize()
        start = clock()
        call()
        synchronize()
        times.append(clock() - start)
    return statistics.median(times)


def on_device(answer):
    """Call a timing function with a device that has a queue, and a clock that only the device's work advances."""

    def measure(jobs, calls, busy):
        jobs = itertools.chain(jobs, itertools.repeat(jobs[-1]))
        time, done_at = 100.0, 100.0 + busy

        def call():  # puts the next job into the queue, and returns before it is done
            nonlocal time, done_at
            time += 0.01
            done_at = max(done_at, time) + next(jobs)

        def synchronize():
            nonlocal time
            time = max(time, done_at)

        return answer(call, lambda: time, synchronize, calls)

    return measure


@report_verdict
def check_time(my_time):
    """my_time(function, clock, synchronize, calls) -> median seconds of a call; the first call is discarded."""
    cases = {
        "calls that are all alike": ((0.5,), 2, 0.0),
        "a first call that takes long": ((3.0, 0.2, 0.8, 0.6, 0.3), 4, 0.0),
        "a last call that takes long": ((0.1, 0.2, 0.3, 3.0), 3, 0.0),
        "calls, one of which is disturbed": ((0.9, 0.2, 5.0, 0.4, 0.6, 0.3), 5, 0.0),
        "a single call, and a device that is still busy": ((0.9, 0.5), 1, 7.0),
    }
    hint = "A call only queues its work. After the first call, wait for the device before each reading of the clock."
    return compare_on_cases(my_time, time_calls, cases, {}, hint, adapt=on_device) + "; on a simulated device"


@report_verdict
def check_share(my_share):
    """my_share(order, step, batch, rank, world) -> list of samples; all ranks together have the step's batch."""
    cases = [(12, 4, 1, 1), (12, 4, 0, 2), (100, 8, 3, 4), (100, 11, 2, 4), (10, 4, 2, 2), (10, 4, 7, 4), (9, 2, 1, 3)]
    for length, batch, step, world in cases:
        where = f"step {step}, batch {batch}, processes {world}, samples {length}"
        order = random.Random(length).sample(range(500, 500 + length), length)
        wanted = [order[position % length] for position in range(step * batch, (step + 1) * batch)]
        shares = [take_share(my_share, order, step, batch, rank, world, where) for rank in range(world)]
        sizes, together = [len(share) for share in shares], sum(shares, [])
        twice, foreign = len(together) - len(set(together)), len(set(together) - set(wanted))
        missing = len(set(wanted) - set(together))
        words = f"{twice} are repeated, {foreign} do not belong to this step, {missing} are missing"
        hint = "Which positions of `order` belong to the step (% wraps around to its start)? Divide these among all."
        require(sorted(together) == sorted(wanted), where, f"shares of {sizes} samples: {words}", hint)
        hint = "The process with the largest share keeps all others waiting."
        require(max(sizes) - min(sizes) <= 1, where, f"shares of {sizes} samples", hint)
    return f"Tried: 1 to 4 processes, {len(cases)} steps; together always the whole batch, and no sample twice"


def take_share(my_share, order, step, batch, rank, world, where: str) -> list[int]:
    """Return one process's share; raise Wrong unless it is a list of samples."""
    place = f"{where}, rank {rank}"
    share = call_answer(my_share, order, step, batch, rank, world, where=place)
    right = isinstance(share, list | tuple | range) or isinstance(share, np.ndarray | Tensor) and share.ndim == 1
    require(right, place, f"expected a list of samples, found {describe_value(share)}")
    return [as_number(sample, place, unit="a sample's number", whole=True) for sample in share]


@report_verdict
def check_write(my_write):
    """my_write(path, content, write): whenever the session ends, `path` is entirely the old or the new file."""
    cases = {"the first file": False, "a newer one": False, "a session that ends": True, "the next session": False}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place).resolve() / "checkpoint.bin"
        for count, (where, ends) in enumerate(cases.items()):
            there = {path, *path.parent.iterdir()}  # possibly left by a session that ended
            write_once(my_write, path, f"step {count}. ".encode() * 100, ends, where)
            left = " and ".join(sorted(other.name for other in {*path.parent.iterdir()} - there))
            require(ends or not left, where, f"it leaves {left} behind", "Only the file itself should be there.")
    return "Tried: " + "; ".join(cases) + "; looked at the file after each system call"


def write_once(my_write, path: Path, new: bytes, ends: bool, where: str) -> None:
    """Raise Wrong if writing this file once leaves, at any moment, anything but the old or the new one."""

    def content():
        return path.read_bytes() if path.exists() else None

    old = content()
    problems = []
    moment = "before `write`"

    def look(frame, event, function):  # a profiler is called whenever a function written in C has returned
        if event == "c_return" and content() not in (old, new):
            left = "half a file is there" if path.exists() else "there is no file"
            problems.append(f"if the session ends {moment}, {left} under its name")

    def write(other, content):
        nonlocal moment
        moment = "in the middle of `write`"
        if Path(other).absolute().parent != path.parent:
            return problems.append("it writes to another folder, and renaming is a single step only within one disk")
        Path(other).write_bytes(content[: len(content) // 2])
        if ends:
            raise KeyboardInterrupt  # the session ends here: no `except Exception` stops it
        Path(other).write_bytes(content)
        moment = "after `write`"

    try:
        sys.setprofile(look)
        call_answer(my_write, path, new, write, where=where, returns=False)
    except KeyboardInterrupt:
        pass
    except Wrong:
        if not problems:  # they say more than an error that they cause
            raise
    finally:
        sys.setprofile(None)
    if moment == "before `write`" and content() == old:
        raise Unsolved("It does not write anything yet: call `write` in place of the `...`.")
    require(moment != "before `write`", where, "it does not use `write`", "Only `write` forces its bytes to the disk.")
    hint = "Write another file in the same folder, then call os.replace(other, path)."
    require(not problems, where, " ".join(problems[:1]), hint)
    require(ends or content() == new, where, "the old content is still there", "How does the new file get its name?")


def batch_gradient(model, parts, loss):
    """The gradient of one pass with all samples, as the exercise wants it."""
    inputs, targets = (torch.cat(values) for values in zip(*parts))
    return torch.autograd.grad(loss(model(inputs), targets), list(model.parameters()))


def on_model(gradients_of):
    """Call a function (model, parts, loss) with a new model, which may hold gradients, and join what it returns."""

    def joined(inputs, targets, sizes, loss, earlier):
        model, same = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            nn.init.normal_(parameter, generator=same)
            parameter.grad = torch.full_like(parameter, earlier) if earlier else None
        return flat(gradients_of(model, list(zip(inputs.split(sizes), targets.split(sizes))), loss))

    return joined


def watched(my_gradients):
    """An answer that raises Wrong if more than one part is in the model's memory at a time, or the weights change."""
    where, hint = "my_gradients", "One part at a time, forward and backward: backward() adds to what is there."

    def gradients(model, parts, loss):
        most, weights, named = max(len(x) for x, _ in parts), flat(model.parameters()).clone(), model.named_parameters()
        kept, problems = [], []  # what forward passes keep for their backward pass

        def keep(tensor):
            alias = tensor.detach()
            kept.append(weakref.ref(alias))
            return alias

        def look(_, given):
            if len(given[0]) > most:
                problems.append(f"the model gets {len(given[0])} samples at once, and memory holds {most}")
            elif any(alias() is not None for alias in kept):
                problems.append("a part comes in while what an earlier part needs for backward() is still in memory")

        model.register_forward_pre_hook(look)
        with saved_tensors_hooks(keep, lambda alias: alias):
            found = call_answer(my_gradients, model, parts, loss, where=where)
        require(not problems, where, " ".join(problems[:1]), hint)
        require(torch.equal(weights, flat(model.parameters())), where, "it changes the weights")
        shapes = {name: np.zeros(parameter.shape) for name, parameter in named}
        values = zip(take_parts(found, shapes, where), shapes.items())
        return [torch.from_numpy(as_array(value, shape, f"the gradient of {name}")) for value, (name, shape) in values]

    return gradients


def relative_error(output, targets):
    return ((output - targets).abs() / (1 + targets.abs())).mean()


@report_verdict
def check_gradients(my_gradients):
    """my_gradients(model, parts, loss) -> list of gradients, one per parameter: those of all parts as one batch."""
    mse = F.mse_loss
    cases = {
        "one part": ((3,), mse, 0),
        "equal parts": ((4, 4), mse, 0),
        "unequal parts": ((4, 4, 1), mse, 0),
        "a large last part": ((1, 2, 6), mse, 0),
        "another loss": ((4, 1), relative_error, 0),
        "a model that holds gradients of an earlier step": ((4, 4, 1), mse, 1),
    }
    for where, (sizes, *others) in cases.items():
        cases[where] = 2 * torch.randn(sum(sizes), 4), 3 * torch.randn(sum(sizes), 2), sizes, *others
    hint = "A part's mean has the weight of its share of the samples. What the model held before has none."
    answer = watched(my_gradients) if callable(my_gradients) else my_gradients
    tried = compare_on_cases(answer, batch_gradient, cases, {}, hint, adapt=on_model)
    return f"{tried}; against one pass with all samples"
