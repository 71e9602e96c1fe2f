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
        self.moment = self.seconds = 0.0  # the last measurement's time, and the processor time used until then
        self.measure()

    def measure(self) -> dict[str, float]:
        """Measure memory_mb now and, since the last call, cpu_cores: CPU seconds per second (2.0: two busy cores)."""
        own = psutil.Process()
        before, started = self.seconds, self.moment
        self.moment = time.monotonic()
        self.seconds = memory = 0
        for process in [own, *own.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):  # it may have ended since
                self.seconds += sum(process.cpu_times()[:4])  # user and system, its own and its ended children's
                used = process.memory_full_info()
                memory += getattr(used, "pss", used.rss)  # pss (Linux) counts memory shared by n as 1/n each
        cores = max(0, self.seconds - before) / max(self.moment - started, 1e-9)
        figures = {"memory_mb": memory / 1e6, "cpu_cores": cores}
        if torch.cuda.is_initialized():
            figures["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6  # the most that PyTorch has held
        return figures
