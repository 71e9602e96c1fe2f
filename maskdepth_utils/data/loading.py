"""The loader: how a dataset's samples become batches, made by worker processes or by the main one."""

import signal
from collections.abc import Iterable

import cv2
import torch
from torch.utils.data import DataLoader, Dataset


def make_loader(
    dataset: Dataset, batch: int | None = 64, shuffle: bool = False, workers: int = 0, seed: int = 0,
    drop_last: bool = False, batches: Iterable[list[int]] | None = None,
) -> DataLoader:  # fmt: skip
    """A DataLoader of `dataset`. It never draws from PyTorch's global generator, which belongs to the caller.

    Args:
        batch: Samples in a batch; None gives single samples as they are.
        shuffle: Reshuffle the samples each time the loader starts, by `seed`, whatever the number of workers.
        workers: Extra processes that make samples (0: the calling process makes them).
        drop_last: Leave out the last batch if it is smaller than the others.
        batches: The indices of each batch, instead of `batch`, `shuffle` and `drop_last`: read once.
    """
    order = {"batch_sampler": batches}
    if batches is None:
        order = {"batch_size": batch, "shuffle": shuffle, "drop_last": drop_last}
    return DataLoader(
        dataset, **order, num_workers=workers, worker_init_fn=start_worker,
        generator=torch.Generator().manual_seed(seed), pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if workers else None, persistent_workers=workers > 0 and batches is None,
    )  # fmt: skip


def start_worker(number: int) -> None:
    """Set up a worker: one thread, and signals left to the main process, which still needs the batches in progress.

    The worker ignores only the first SIGTERM, which may be meant for all processes; a second one ends it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(number, signal.SIG_DFL))
    torch.set_num_threads(1)  # the workers already run in parallel
    cv2.setNumThreads(0)
