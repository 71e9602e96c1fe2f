"""The settings of a training run: what determines its result, and the conditions under which it runs."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from ..devices import DTYPES


def setting(default: Any, help: str, *, compare: bool = True, **metadata: Any) -> Any:
    """A field with its help text and, in `metadata`, the `choices` or the `least` number that is allowed."""
    return field(default=default, compare=compare, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class Settings:
    """All numbers and names that `fit` takes; ValueError for an invalid value.

    The first fields determine the result: a checkpoint stores them, and a run continues only with these values. The
    fields with `compare=False` may change from one session of a run to the next.
    """

    batch: int = setting(32, "samples per step", least=1)
    lr: float = setting(0.01, "learning rate", least=0)
    momentum: float = setting(0.0, "momentum of sgd; the 2020 write-up names none, 0.9 is usual", least=0)
    weight_decay: float = setting(0.0, "how strongly weights are drawn towards 0", least=0)
    optimizer: str = setting("sgd", "optimizer", choices=("sgd", "adamw"))
    schedule: str = setting("constant", "learning rate over time", choices=("constant", "one-cycle"))
    lr_factors: dict[str, float] | None = setting(None, "{regular expression for parameters' names: factor on lr}")
    seed: int = setting(0, "decides the order of the samples and the network's random numbers", least=0)
    log_every: int = setting(20, "steps between two records of the history", least=1)

    steps: int | None = setting(None, "steps to train for, each of `batch` samples", compare=False, least=1)
    samples: int | None = setting(None, "instead of steps: samples to train on", compare=False, least=1)
    val_samples: int = setting(256, "validation samples to measure on", compare=False, least=1)
    precision: str = setting("auto", "convolutions' precision; auto: fastest", compare=False, choices=("auto", *DTYPES))
    device: str = setting("auto", "cpu, cuda or mps; auto: the first GPU, else the CPU", compare=False)
    workers: int = setting(0, "extra processes that make samples", compare=False, least=0)
    max_minutes: float | None = setting(None, "stop after this many minutes, and save", compare=False, least=0)
    save_minutes: float = setting(5.0, "minutes between two checkpoints; 0: after each step", compare=False, least=0)

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.samples is None):
            raise ValueError("how long to train: give either steps= or samples=")
        for one in fields(self):
            value = getattr(self, one.name)
            choices, least = one.metadata.get("choices"), one.metadata.get("least")
            if choices and value not in choices:
                raise ValueError(f"{one.name}: expected {', '.join(choices)}; found {value!r}")
            if least is not None and value is not None:
                kind = int if one.type in (int, int | None) else float
                try:
                    number = kind(value)
                except (TypeError, ValueError, OverflowError):
                    number = math.nan
                if number != value or not least <= number < math.inf:
                    what = "whole number" if kind is int else "number"
                    raise ValueError(f"{one.name}: expected a {what} of at least {least}, found {value!r}")
                object.__setattr__(self, one.name, number)  # checkpoints hold no NumPy numbers

    @property
    def total_steps(self) -> int:
        """The number of steps of the whole training."""
        return math.ceil(self.samples / self.batch) if self.steps is None else self.steps

    def compared(self) -> dict[str, Any]:
        """What a run and its checkpoint must agree on, as plain numbers and names."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.compare}
        if self.schedule != "constant":
            # A run at a constant learning rate can be extended; a schedule with another end is a different one.
            found["steps"] = self.total_steps
        return found
