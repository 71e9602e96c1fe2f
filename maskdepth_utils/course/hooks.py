"""Look inside a network during a pass: record what its modules put out, or replace it by zeros."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn


@contextlib.contextmanager
def recorded_outputs(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Any]]:
    """Record what modules put out while the context is open.

    Args:
        modules: The modules, by the names under which their outputs are recorded.

    Yields:
        {name: output}, in the order in which the modules run; of a module that runs several times, the last output.
        Tensors, alone or in a list, are detached copies, since later layers may work in place.
    """
    outputs: dict[str, Any] = {}

    def record(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        outputs[name] = _copy(output)

    with _hooked((module, functools.partial(record, name)) for name, module in modules.items()):
        yield outputs


@contextlib.contextmanager
def zeroed_outputs(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let modules put out zeros while the context is open; their weights stay as they are."""
    with _hooked((module, lambda module, inputs, output: torch.zeros_like(output)) for module in modules):
        yield


@contextlib.contextmanager
def _hooked(hooks: Iterable[tuple[nn.Module, Callable]]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _copy(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return output.detach().clone()
    return [_copy(part) for part in output] if type(output) in (list, tuple) else output
