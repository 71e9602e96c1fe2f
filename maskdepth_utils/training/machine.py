"""What training uses of the machine: memory and processor time. `fit` logs both with every record."""

import contextlib
import platform
import time

import numpy as np
import psutil
import torch


def machine_facts(device: torch.device, precision: str) -> dict[str, str | int]:
    """List what affects the last bits of a result besides the settings."""
    return {
        "device": device.type, "precision": precision, "threads": torch.get_num_threads(),
        "torch": str(torch.__version__), "numpy": np.__version__, "python": platform.python_version(),
    }  # fmt: skip


class Usage:
    """Measures what this process and its workers use."""

    def __init__(self) -> None:
        self.moment = 0.0
        self.seconds: dict[psutil.Process, float] = {}  # of processor time used so far
        self.measure()

    def measure(self) -> dict[str, float]:
        """Measure memory_mb now and, since the last call, cpu_cores: CPU seconds per second (2.0: two busy cores)."""
        own = psutil.Process()
        before = self.seconds
        passed = time.monotonic() - self.moment
        self.seconds = {}
        self.moment += passed
        memory = 0
        for process in [own, *own.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):  # it may have ended since
                times = process.cpu_times()
                used = process.memory_full_info()
                self.seconds[process] = times.user + times.system
                memory += getattr(used, "pss", used.rss)  # pss (Linux) counts memory shared by n as 1/n each
        # A process that has started since the last call had used nothing; one that has ended no longer counts.
        seconds = sum(now - before.get(process, 0.0) for process, now in self.seconds.items())
        figures = {"memory_mb": memory / 1e6, "cpu_cores": seconds / max(passed, 1e-9)}
        if torch.cuda.is_initialized():
            figures["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6  # the most that PyTorch has held
        return figures
