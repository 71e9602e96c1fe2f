"""Several processes that train one network together, as `torchrun` or `accelerate launch` start them.

    torchrun --nproc-per-node 2 -m maskdepth_utils train ...

Each process (a *rank*) takes its share of every batch; DistributedDataParallel averages their gradients. With one
process, nothing here does anything. Notebook 06 shows what it gains.
"""

import atexit
import os

import torch
import torch.distributed as dist
from torch import nn


def rank_and_world() -> tuple[int, int]:
    """This process's number, and how many there are: (0, 1) unless a launcher said otherwise."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def own_device(device: torch.device) -> torch.device:
    """On a machine with several GPUs, each process has its own."""
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return device


def join(device: torch.device) -> None:
    """Meet the other processes: gloo on CPUs, nccl on GPUs.

    They stay together until this process ends: a second meeting, for another `fit`, is often refused.
    """
    if rank_and_world()[1] > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(leave)


def leave() -> None:
    """Tell the library, which would warn otherwise."""
    if dist.is_initialized():
        dist.destroy_process_group()


def wrap(model: nn.Module):
    """The model whose backward pass averages the gradients of all processes; itself if there is but one."""
    return nn.parallel.DistributedDataParallel(model, static_graph=True) if rank_and_world()[1] > 1 else model


def share_buffers(model: nn.Module) -> None:
    """Give all processes the first one's BatchNorm statistics, which are what a checkpoint holds."""
    if rank_and_world()[1] > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)


def average_gradients(parameters) -> None:
    """For the few parameters that are not in the wrapped model: a loss that learns."""
    if rank_and_world()[1] > 1:
        for parameter in parameters:
            dist.all_reduce(parameter.grad)
            parameter.grad /= rank_and_world()[1]


def mean(values: dict, device: torch.device) -> dict:
    """{name: number} averaged over all processes, which must have the same names."""
    if rank_and_world()[1] == 1:
        return values
    numbers = torch.tensor([float(value) for value in values.values()], dtype=torch.float64, device=device)
    dist.all_reduce(numbers)
    return dict(zip(values, (numbers / rank_and_world()[1]).tolist(), strict=True))


def another_is_gone(error) -> bool:
    """Whether an error is that of a process whose partner was killed or has failed: its connection is closed."""
    if rank_and_world()[1] == 1 or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "NCCL" in str(error)


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process: they must stop after the same step."""
    if rank_and_world()[1] == 1:
        return flag
    number = torch.tensor([float(flag)], device=device)
    dist.all_reduce(number)
    return number.item() > 0


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if rank_and_world()[1] > 1:
        dist.barrier()
