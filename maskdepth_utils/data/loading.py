"""The loader: how a dataset's samples become batches, made by worker processes or by the main one."""

import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate


def make_loader(
    dataset: Dataset, batch: int | None = 64, shuffle: bool = False, workers: int = 0, seed: int = 0,
    drop_last: bool = False, batches: Iterable[list[int]] | None = None,
) -> DataLoader:  # fmt: skip
    """A DataLoader of `dataset`. It never draws from PyTorch's global generator, which belongs to the caller.

    Args:
        batch: Samples in a batch; None gives single samples as they are.
        shuffle: Reshuffle the samples each time the loader starts, by `seed`, whatever the number of workers.
        workers: Extra processes that make samples (0: the calling process makes them), at most 16 for each core.
        drop_last: Leave out the last batch if it is smaller than the others.
        batches: The indices of each batch, instead of `batch`, `shuffle` and `drop_last`: read once.
    """
    order = {"batch_sampler": batches}
    if batches is None:
        order = {"batch_size": batch, "shuffle": shuffle, "drop_last": drop_last}
    workers = min(workers, 16 * (os.cpu_count() or 1))  # thousands cannot be started
    return DataLoader(
        dataset, **order, num_workers=workers, worker_init_fn=start_worker,
        collate_fn=collate if batch else None, generator=torch.Generator().manual_seed(seed),
        pin_memory=torch.cuda.is_available(), prefetch_factor=4 if workers else None,
        persistent_workers=workers > 0 and batches is None,
    )  # fmt: skip


def collate(samples: list[dict]) -> Any:
    """Make a batch; in a worker, in the memory that processes share, or through a pipe where that is too small."""
    try:
        return default_collate(samples)
    except RuntimeError as error:
        if "</torch_" not in str(error):  # a file in shared memory that cannot be opened, enlarged or filled
            raise
    return Unshared(samples)


class Unshared:
    """Samples on their way through a pipe; the process that reads it finds a batch."""

    def __init__(self, samples: list[dict]):
        self.samples = samples

    def __reduce__(self) -> tuple:
        return receive, ([{name: np.asarray(value) for name, value in sample.items()} for sample in self.samples],)


def receive(samples: list[dict]) -> dict[str, Tensor]:
    """Make a batch of samples that came through a pipe."""
    note_small_memory()
    return default_collate(samples)


@functools.cache  # once
def note_small_memory() -> None:
    print(
        "note: the shared memory (/dev/shm) is too small for the workers' batches; they take a slower route. Start a "
        "container with more, such as docker run --shm-size=1g, or make samples without workers (--workers 0)",
        file=sys.stderr,
    )


def start_worker(number: int) -> None:
    """Set up a worker: one thread, and signals left to the main process, which still needs the batches in progress."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS, nor on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=end_with_parent, daemon=True).start()
    elif hasattr(os, "setpgrp"):
        os.setpgrp()  # a SIGTERM to all processes of the main one's group does not reach another group
    torch.set_num_threads(1)  # the workers already run in parallel
    cv2.setNumThreads(0)


def end_with_parent() -> None:
    """End this process when the main one sends SIGTERM, as it does when it ends; not if the system sends it to all."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != multiprocessing.parent_process().pid:
        pass
    os._exit(0)
