"""What a training takes of the machine: memory, and how busy the processors are. `fit` logs it with every record."""

import contextlib
import platform
import time

import numpy as np
import psutil
import torch


def machine_facts(device: torch.device, precision: str) -> dict[str, str | int]:
    """What decides the last bits of a result beside the settings."""
    return {
        "device": device.type, "precision": precision, "threads": torch.get_num_threads(),
        "torch": str(torch.__version__), "numpy": np.__version__, "python": platform.python_version(),
    }  # fmt: skip


class Usage:
    """Measures what this process and its workers use."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = cpu_seconds()
        self.moment = time.monotonic()

    def measure(self) -> dict[str, float]:
        """Measure the use since the last call.

        Returns:
            memory_mb, the main memory now; cpu_cores, CPU seconds per second (2.0: two cores always at work); on a GPU
            gpu_memory_mb, the most that PyTorch has held, and gpu_percent, the share of the last second at work.
        """
        seconds = cpu_seconds()
        moment = time.monotonic()
        # A process that has started since then had used nothing; one that has ended no longer counts.
        used = sum(now - self.seconds.get(process, 0.0) for process, now in seconds.items())
        figures = {"memory_mb": memory_mb(), "cpu_cores": used / max(moment - self.moment, 1e-9)}
        self.seconds = seconds
        self.moment = moment
        if self.device.type == "cuda":
            figures["gpu_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 1e6
            # This needs nvidia-ml-py, and some GPUs (virtual, partitioned) do not tell, each with its own error.
            with contextlib.suppress(Exception):
                figures["gpu_percent"] = float(torch.cuda.utilization(self.device))
        return figures


def list_processes() -> list[psutil.Process]:
    """This process and all that it has started."""
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def cpu_seconds() -> dict[psutil.Process, float]:
    """Seconds of processor time that each process has used."""
    seconds = {}
    for process in list_processes():
        with contextlib.suppress(psutil.Error):  # it may have ended since
            times = process.cpu_times()
            seconds[process] = times.user + times.system
    return seconds


def memory_mb() -> float:
    """Main memory of all processes together, in MB; on Linux, memory that they share counts once."""
    total = 0
    for process in list_processes():
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.rss)  # pss: a page that n processes share counts 1/n in each
    return total / 1e6
