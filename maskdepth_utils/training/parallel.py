"""Several processes (*ranks*) that train one network together (notebook 06), as `torchrun` starts them.

    torchrun --nproc-per-node 2 -m maskdepth_utils train ...
"""

import atexit
import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn


def rank_and_world() -> tuple[int, int]:
    """This process's number, and how many processes there are: (0, 1) without a launcher."""
    return int(os.environ.get("RANK") or 0), int(os.environ.get("WORLD_SIZE") or 1)


def is_first() -> bool:
    """Whether this is the process that writes files and messages."""
    return rank_and_world()[0] == 0


def share(items: list) -> list:
    """This process's share of a list."""
    rank, world = rank_and_world()
    return items[rank::world]


def join(device: torch.device) -> None:
    """Connect to the other processes, once: a second connection, for another `fit`, is often refused."""
    if rank_and_world()[1] == 1:
        return
    if device.type == "cuda" and device.index is None:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)  # the library would print a warning otherwise


def wrap(model: nn.Module) -> nn.Module:
    """The model whose backward pass averages the gradients of all processes."""
    return nn.parallel.DistributedDataParallel(model, static_graph=True) if rank_and_world()[1] > 1 else model


def share_buffers(model: nn.Module) -> None:
    """Give all processes the first one's BatchNorm statistics, which are what a checkpoint holds."""
    if rank_and_world()[1] > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients of parameters outside the wrapped model, such as those of a loss."""
    if rank_and_world()[1] > 1:
        for parameter in parameters:
            dist.all_reduce(parameter.grad)
            parameter.grad /= rank_and_world()[1]


def mean(values: dict[str, float]) -> dict[str, float]:
    """Average named numbers over all processes, which must have the same names; each waits for the others."""
    numbers = torch.tensor([float(value) for value in values.values()], dtype=torch.float64)
    _, world = rank_and_world()
    if world > 1:
        numbers = numbers.to("cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(numbers)
    return dict(zip(values, (numbers / world).tolist()))
