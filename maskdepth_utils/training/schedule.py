"""What one step of training does, by its number: its samples, its random numbers, its learning rate (see loop.py)."""

import functools
import math
import re

import torch
from torch import nn

from .settings import Settings


def combine_seed(seed: int, number: int) -> int:
    """Make a separate seed for each epoch or step."""
    return (seed * 1_000_003 + number) % 2**63


@functools.lru_cache(maxsize=2)
def permutation(length: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of all samples in one epoch."""
    return torch.randperm(length, generator=torch.Generator().manual_seed(combine_seed(seed, epoch)))


def batch_indices(step: int, batch: int, length: int, seed: int) -> list[int]:
    """The samples of one step. Every batch is full: it may hold an epoch's last samples and the next one's first."""
    positions = range(step * batch, (step + 1) * batch)
    return [int(permutation(length, seed, position // length)[position % length]) for position in positions]


def learning_rate(settings: Settings, step: int) -> float:
    """The learning rate of a step, for a factor of 1.

    "constant" is `lr`. "one-cycle" is a linear warm-up from 0.04 to 1 times `lr` over the first 15 % of the steps, then
    a cosine decay to 0 (the shape of Smith's 1cycle policy, 2018, with constant momentum).
    """
    progress = step / settings.total_steps
    if settings.schedule == "constant":
        return settings.lr
    if progress < 0.15:
        return settings.lr * (0.04 + 0.96 * progress / 0.15)
    return settings.lr * (0.5 + 0.5 * math.cos(math.pi * (progress - 0.15) / 0.85))


def make_optimizer(settings: Settings, parameters: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimizer of named parameters, in groups by the `factor` of `settings.lr_factors` (1 for the others)."""
    factors = settings.lr_factors or {}
    members = {1.0: []}
    for name, parameter in parameters.items():
        factor = next((factor for pattern, factor in factors.items() if re.match(pattern, name)), 1.0)
        members.setdefault(float(factor), []).append(parameter)
    for pattern in factors:
        if not any(re.match(pattern, name) for name in parameters):
            raise ValueError(f"lr_factors: no parameter of this network has a name like {pattern!r}")
    groups = [{"params": found, "factor": factor} for factor, found in members.items() if found]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)
