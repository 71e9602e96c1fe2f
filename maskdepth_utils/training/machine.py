"""What a training takes of the machine: memory, and how busy the processors are. `fit` logs it with every record."""

import contextlib
import platform
import time

import numpy as np
import psutil
import torch


class Usage:
    """Call it for what this process and its workers have used since the last call (or since it was made):

    memory_mb       main memory now; what processes share counts once where the system tells (Linux)
    cpu_cores       CPU seconds per second: 2.0 is two cores at work all the time
    gpu_memory_mb   on a GPU: the largest amount that PyTorch has held
    gpu_percent     on a GPU, if the package nvidia-ml-py is there: how much of the last second it was at work
    """

    def __init__(self, device: torch.device):
        self.device, self.seconds, self.moment = device, cpu_seconds(), time.monotonic()

    def __call__(self) -> dict[str, float]:
        before, moment, self.seconds, self.moment = self.seconds, self.moment, cpu_seconds(), time.monotonic()
        # A process started since then had used nothing; one that has ended took its seconds along.
        used = sum(seconds - before.get(process, 0.0) for process, seconds in self.seconds.items())
        found = {"memory_mb": memory_mb(), "cpu_cores": used / max(self.moment - moment, 1e-9)}
        if self.device.type == "cuda":
            found["gpu_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 1e6
            # Some GPUs (virtual, partitioned, Jetson) do not tell, and NVIDIA's library has an error of its own
            # for that: no figure is worth a training.
            with contextlib.suppress(Exception):
                found["gpu_percent"] = float(torch.cuda.utilization(self.device))
        return found


def processes() -> list[psutil.Process]:
    """This process and all that it has started."""
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def cpu_seconds() -> dict[psutil.Process, float]:
    """{process: seconds of processor time that it has used}."""
    found = {}
    for process in processes():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            times = process.cpu_times()
            found[process] = times.user + times.system
    return found


def memory_mb() -> float:
    """Main memory of this process and its workers, MB."""
    total = 0
    for process in processes():
        with contextlib.suppress(psutil.Error):
            facts = process.memory_full_info()
            total += getattr(facts, "pss", facts.rss)  # pss: a page that n processes share counts 1/n in each
    return total / 1e6


def machine_facts(device: torch.device, precision: str) -> dict:
    """What else than the settings decides the last bits of a result."""
    return {
        "device": device.type, "precision": precision, "threads": torch.get_num_threads(),
        "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version(),
    }  # fmt: skip
