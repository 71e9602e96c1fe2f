"""Loaders: how a dataset's samples become batches, by worker processes beside the training or by none."""

import signal

import cv2
import torch
import torch.utils.data
from torch.utils.data import DataLoader


def loader(dataset, batch=64, shuffle=False, workers=0, seed=0, drop_last=False):
    """A DataLoader of `dataset` in batches.

    workers: processes that make samples beside the training (0: none). Which samples share a batch depends on
    `seed` and on how often the loader was started, not on the workers.
    """
    return DataLoader(
        dataset, batch_size=batch, shuffle=shuffle, num_workers=workers, drop_last=drop_last,
        generator=torch.Generator().manual_seed(seed),
        persistent_workers=workers > 0, pin_memory=torch.cuda.is_available(),
    )  # fmt: skip


def start_worker(number: int) -> None:
    """In a loader's worker: leave signals to the main process, which still wants the batches that are under way.

    Of SIGTERM this holds for the first one only, which may be for all processes; a second one is for this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(number, signal.SIG_DFL))
    torch.set_num_threads(1)  # the workers are the parallelism
    cv2.setNumThreads(0)


def make_loader(dataset, batches, workers: int, device: torch.device) -> DataLoader:
    """A loader of the given batches of indices.

    Its generator is its own: drawing from the global one, as loaders do, would make random numbers
    depend on how often a run was resumed.
    """
    return DataLoader(
        dataset, batch_sampler=batches, num_workers=workers, worker_init_fn=start_worker,
        generator=torch.Generator(), pin_memory=device.type == "cuda", prefetch_factor=4 if workers else None,
    )  # fmt: skip


def one_thread_in_workers():
    """In a DataLoader's worker, keep OpenCV to one thread: workers are the parallelism. Threads and forks mix
    badly, too."""
    if torch.utils.data.get_worker_info() is not None:
        cv2.setNumThreads(0)
