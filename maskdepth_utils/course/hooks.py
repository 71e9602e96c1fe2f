"""Look inside a network during a pass: record the outputs of its modules, or replace them with zeros."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn


@contextlib.contextmanager
def recorded_outputs(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Any]]:
    """Yield {name: output}, which fills while the context is open, in the order in which the modules run.

    Outputs are tensors or lists of tensors; detached copies are recorded, since later layers may work in place.
    """
    outputs: dict[str, Any] = {}

    def record(name, module, inputs, output):
        is_tensor = isinstance(output, torch.Tensor)
        outputs[name] = output.detach().clone() if is_tensor else [part.detach().clone() for part in output]

    with contextlib.ExitStack() as hooks:
        for name, module in modules.items():
            hooks.enter_context(module.register_forward_hook(functools.partial(record, name)))
        yield outputs


@contextlib.contextmanager
def zeroed_outputs(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Make modules output zeros while the context is open; their weights stay as they are."""
    with contextlib.ExitStack() as hooks:
        for module in modules:
            hooks.enter_context(module.register_forward_hook(lambda *call: torch.zeros_like(call[-1])))
        yield
