"""What a training runs on: device, precision, and the processes that make its samples."""

import platform
import signal

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(device="auto") -> torch.device:
    """ "auto": the first GPU there is, else the CPU."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_precision(precision="auto", device="cpu") -> str:
    """ "auto": bf16 where the chip computes in it; on GPUs that do not (Colab's T4) fp16; else float32."""
    if precision != "auto":
        if precision not in DTYPES:
            raise ValueError(f"precision: expected auto, {', '.join(DTYPES)}; found {precision!r}")
        return precision
    kind = torch.device(device).type
    if kind == "cuda":
        # Older GPUs accept bf16 too, but emulate it slowly; capability 8.0 is the first that computes in it.
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if kind == "cpu":
        tests = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
        return "bf16" if any(test() for test in tests if test) else "float32"
    return "float32"


def machine_facts(device: torch.device, precision: str) -> dict:
    """What else than the settings decides the last bits of a result."""
    return {
        "device": device.type, "precision": precision, "threads": torch.get_num_threads(),
        "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version(),
    }  # fmt: skip


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
