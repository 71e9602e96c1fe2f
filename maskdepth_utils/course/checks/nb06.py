"""Checks of exercises C, D and E in notebook 06: shares of a batch, files that survive, gradients. See checks.py."""

import contextlib
import os
import pathlib
import random
import tempfile
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .verdict import Unsolved, Wrong, alike, ask, describe, is_number, same, verdict

MOVES = ("remove", "rename", "replace", "unlink")  # of `os`: after each, a file is looked at in exercise D


@verdict
def check_share(my_share):
    """my_share(order, step, batch, rank, world) -> list of samples; all ranks' together are the step's batch."""
    cases = [(12, 4, 1, 1), (12, 4, 0, 2), (100, 8, 3, 4), (100, 11, 2, 4), (10, 4, 2, 2), (10, 4, 7, 4)]
    for length, batch, step, world in cases:
        where = f"step {step}, batch {batch}, {world} process{'es' if world > 1 else ''}, {length} samples"
        order = random.Random(length).sample(range(500, 500 + length), length)
        wanted = [order[position % length] for position in range(step * batch, (step + 1) * batch)]
        shares = []
        for rank in range(world):
            given = list(order)
            share = ask(my_share, given, step, batch, rank, world, where=f"{where}, rank {rank}")
            if given != order:
                raise Wrong(where, "it changes `order`", "The next step needs it as it was: make a new list.")
            shares.append(as_samples(share, where))
        compare_shares(shares, wanted, order, where)
    return f"Tried: 1 to 4 processes, {len(cases)} steps; together always the whole batch, and no sample twice"


def as_samples(share, where: str) -> list[int]:
    """A share as a list of whole numbers; Wrong if it is none."""
    values = share.tolist() if hasattr(share, "tolist") else share
    if not isinstance(values, list | tuple | range) or not all(is_number(x) and x == int(x) for x in values):
        raise Wrong(where, f"expected a list of sample numbers, found {describe(share)}")
    return [int(x) for x in values]


def compare_shares(shares, wanted, order, where: str) -> None:
    """Raise Wrong unless the shares are the wanted batch, cut into parts of about one size."""
    together, sizes = sum(shares, []), [len(share) for share in shares]
    strange = [sample for sample in together if sample not in order]
    if strange:
        raise Wrong(where, f"{strange[0]} is no sample", "A place in `order` is not what stands there: order[place].")
    if len(shares) > 1 and all(share == shares[0] for share in shares):
        raise Wrong(where, "all ranks get the same samples", "Where does the rank come in?")
    twice = [sample for sample in together if together.count(sample) > 1]
    if twice:
        raise Wrong(where, f"sample {twice[0]} is in two places", "Let the shares leave no gap and not overlap.")
    others, missing = set(together) - set(wanted), set(wanted) - set(together)
    if others and len(together) > len(wanted):
        words = f"the ranks together take {len(together)} samples, expected the {len(wanted)} of one batch"
        raise Wrong(where, words, "`batch` counts the samples of all ranks: each takes its part of them.")
    if others:
        words = f"sample {min(others)} belongs to another step"
        raise Wrong(where, words, "Step s takes the places from s * batch on, however many processes there are.")
    if missing:
        words = f"{len(missing)} of the batch's {len(wanted)} samples are in no share (found {sizes})"
        last = "After the last sample of `order` comes its first: % takes a place round the end."
        rest = "What if the batch does not divide evenly? Some ranks then take one more."
        end = wanted != sorted(wanted, key=order.index)  # this batch goes round the end
        raise Wrong(where, words, last if end else rest)
    if max(sizes) - min(sizes) > 1:
        raise Wrong(where, f"shares of {sizes} samples", "All wait for the largest share: let them differ by one.")


class SessionEnds(BaseException):
    """The end of a session, as a check pretends it: no `except Exception` stops it."""


class WatchedFile:
    """A file that is looked at whenever it may have changed; keeps what would be left if the session ended there."""

    def __init__(self, path: Path, new: bytes, ends: bool):
        self.path, self.new, self.ends = path, new, ends
        self.old, self.problems, self.written = self.content(), [], False

    def content(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    def look(self, moment: str) -> None:
        found = self.content()
        if found not in (self.old, self.new):
            left = "there is no file" if found is None else f"half a file is there ({len(found)} bytes)"
            self.problems.append(f"if the session ends {moment}, {left} under its name")

    def write(self, path, content: bytes) -> None:
        """What the reader's function is to write with; half-way, the session may end."""
        self.written = True
        if Path(path).absolute().parent != self.path.parent:
            self.problems.append("it writes in another folder, and renaming is one step only within a disk")
            return
        Path(path).write_bytes(content[: len(content) // 2])
        self.look("in the middle of `write`")
        if self.ends:
            raise SessionEnds
        Path(path).write_bytes(content)

    def watched(self, name: str):
        function = getattr(os, name)

        def move(*arguments, **options):
            function(*arguments, **options)
            self.look(f"after os.{name}")

        return move

    @contextlib.contextmanager
    def moves(self):
        """Context in which the file is looked at after each `os.replace` and the like; pathlib and shutil use them."""
        watched = {name: self.watched(name) for name in MOVES}
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.multiple(os, **watched))
            early = getattr(pathlib, "_normal_accessor", None)  # Python 3.10's pathlib keeps `os`'s functions here
            if early is not None:
                own = {name: function for name, function in watched.items() if hasattr(early, name)}
                stack.enter_context(mock.patch.multiple(early, **own))
            yield


@verdict
def check_write(my_write):
    """my_write(path, content, write): under `path` is the old or the new, whole, whenever the session ends."""
    if not callable(my_write):
        ask(my_write, where="my_write")  # says so
    cases = {"the first file": False, "a newer one": False, "a session that ends": True, "the next session": False}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place).resolve() / "run" / "checkpoint.bin"
        path.parent.mkdir()
        for count, (where, ends) in enumerate(cases.items()):
            write_once(my_write, WatchedFile(path, f"step {count}. ".encode() * 100, ends), where)
    return "Tried: " + ", ".join(cases) + "; looked at the file half-way and after each renaming"


def write_once(my_write, file: WatchedFile, where: str) -> None:
    """Raise Wrong if writing this file once leaves, at any moment, anything but the old or the new one."""
    there = set(file.path.parent.iterdir())  # maybe what a dead session left
    twin = file.path.parent.parent / f"twin of {where}"  # another name of the old file: shows if that is written over
    if file.old is not None:
        with contextlib.suppress(OSError):  # a file system without links
            os.link(file.path, twin)
    try:
        with file.moves():
            ask(lambda *inputs: (my_write(*inputs),), file.path, file.new, file.write, where=where)
    except SessionEnds:
        pass
    except Wrong:
        if not file.problems:  # which say more than an error that follows from them
            raise
    beside = "Write under another name in the same folder, then os.replace(other, path), and nothing in between."
    if not file.written:
        if file.content() == file.old:
            raise Unsolved("It does not write anything yet: call `write` in place of the `...`.")
        raise Wrong(where, "it does not use `write`", "Only `write` forces its bytes to the disk before it returns.")
    if file.problems:
        raise Wrong(where, file.problems[0], beside)
    if file.ends:
        return
    if file.content() != file.new:
        raise Wrong(where, "the old content is still there afterwards", "How does the new file get its name?")
    if twin.exists() and twin.samefile(file.path):
        raise Wrong(where, "the new bytes are copied over the old file", "A copy can end half-way: rename instead.")
    left = set(file.path.parent.iterdir()) - there - {file.path}
    if left:
        raise Wrong(where, f"it leaves {min(left).name} behind", "Afterwards only the file itself should be there.")


@verdict
def check_gradients(my_gradients):
    """my_gradients(model, parts, loss) -> list of gradients, one a parameter: those of all parts as one batch."""
    cases = {"equal parts": (4, 4), "unequal parts": (4, 4, 1), "one part": (3,), "a model with old gradients": (5, 2)}
    for where, sizes in cases.items():
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
        inputs, targets = 2 * torch.randn(sum(sizes), 4), 3 * torch.randn(sum(sizes), 2)
        parts = list(zip(inputs.split(sizes), targets.split(sizes)))
        parameters = list(model.parameters())
        expected = flat(torch.autograd.grad(F.mse_loss(model(inputs), targets), parameters))
        each = [flat(torch.autograd.grad(F.mse_loss(model(x), y), parameters)) for x, y in parts]
        old = "old" in where
        for parameter in parameters if old else ():
            parameter.grad = torch.ones_like(parameter)
        weights, seen = flat(parameters).clone(), []
        model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))  # noqa: B023  (used at once)
        found = ask(my_gradients, model, parts, F.mse_loss, where=where)
        if not isinstance(found, list | tuple) or len(found) != len(parameters):
            words = f"expected a list of {len(parameters)} gradients, found {describe(found)}"
            raise Wrong(where, words, "[parameter.grad for parameter in model.parameters()]")
        for one, parameter in zip(found, parameters):
            alike(one, parameter.detach(), where)
        if max(seen, default=0) > max(sizes):
            words = f"the model gets {max(seen)} samples at once, and memory holds {max(sizes)}"
            raise Wrong(where, words, "One part at a time: backward() adds to the gradients that are there.")
        if not torch.equal(weights, flat(parameters)):
            raise Wrong(where, "it changes the weights", "No optimizer step: only the gradients are asked for.")
        weighted = "A mean over 4 samples counts four times as much as one over 1. Weigh it before backward()."
        mistakes = [
            (sum(each), "the parts' gradients are added, not averaged", weighted),
            (sum(each) / len(each), "each part counts the same, however few samples it has", weighted),
            (sum(n * g for n, g in zip(sizes, each)), "it is not divided by the number of samples", weighted),
            (each[-1], "only the last part counts", "Clear the gradients once, before the first part."),
            (expected + float(old), "the gradients of an earlier step are in it", "backward() adds: clear them."),
        ]
        same(flat(found), expected, where, weighted, mistakes)
    return "Tried: " + ", ".join(cases) + ", against one pass with all samples"


def flat(tensors) -> Tensor:
    """All values of several tensors in one row."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
