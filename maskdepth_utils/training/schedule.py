"""What one step of training does: which samples it takes, and at which learning rate.

All of it follows from the step's number, so that a resumed run needs no memory of what went before.
"""

import functools
import math
import re

import torch


@functools.lru_cache(maxsize=2)
def permutation(length: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of all samples in one epoch."""
    return torch.randperm(length, generator=torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63))


def batch_indices(step: int, batch: int, length: int, seed: int) -> list[int]:
    """The samples of one step: a function of the step's number, not of what was drawn before.

    Positions count on through the epochs, so every batch is full; one may hold an epoch's last samples and
    the next's first.
    """
    positions = range(step * batch, (step + 1) * batch)
    return [int(permutation(length, seed, position // length)[position % length]) for position in positions]


def batch_list(length: int, count: int, batch: int) -> list:
    """Batches of the indices of `count` held-out samples, drawn once and for all."""
    return [indices.tolist() for indices in permutation(length, 0, 0)[:count].split(batch)]


def schedule_factor(schedule, progress: float) -> float:
    """What the learning rate is multiplied by at `progress` (0 at the first step, 1 at the end).

    "constant": 1. "one-cycle" (Smith 2018): up from 1/25 over the first 15 %, then down a cosine to 0. Or your own.
    """
    if callable(schedule):
        return schedule(progress)
    if schedule == "constant":
        return 1.0
    if schedule == "one-cycle":
        if progress < 0.15:
            return 0.04 + 0.96 * progress / 0.15
        return 0.5 + 0.5 * math.cos(math.pi * (progress - 0.15) / 0.85)
    raise ValueError(f"schedule: expected constant, one-cycle or a function; found {schedule!r}")


def make_optimizer(name: str, parameters: list, lr: float, momentum: float, weight_decay: float):
    """ "sgd": the write-up's, which names no momentum. "adamw": steps scaled by each parameter's own gradients.

    parameters: a list of them, or the groups of `lr_groups`.
    """
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    raise ValueError(f"optimizer: expected sgd or adamw; found {name!r}")


def lr_groups(parameters: dict, factors: dict | None) -> list[dict]:
    """Parameters by what their learning rate is multiplied by: [{"params": [...], "factor": 1.0}, ...].

    parameters: {name: parameter}; factors: {regular expression: factor}, for names that begin like this; the others
    have 1. ValueError for an expression that no name fits.
    """
    groups, fitted = {1.0: []}, set()
    for name, parameter in parameters.items():
        fits = [pattern for pattern in factors or {} if re.match(pattern, name)]
        groups.setdefault(factors[fits[0]] if fits else 1.0, []).append(parameter)
        fitted |= set(fits)
    for pattern in (factors or {}).keys() - fitted:
        raise ValueError(f"lr_factors: no parameter of this network has a name like {pattern!r}")
    return [{"params": members, "factor": factor} for factor, members in groups.items() if members]
