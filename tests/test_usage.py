"""What a training takes of the machine is counted with its workers; and making samples does not take ever more."""

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.training.machine import Usage, cpu_seconds, memory_mb

BUSY = "import time; print(flush=True)\nwhile time.process_time() < {}: pass\nprint(flush=True); input()"


def test_memory_is_that_of_all_processes():
    before = memory_mb()
    own = np.ones(50_000_000, dtype=np.uint8)
    code = "import numpy as np; x = np.ones(80_000_000, dtype=np.uint8); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        taken = memory_mb() - before
        child.communicate(b"\n")
    assert 130 < taken < 260  # the child is an interpreter with NumPy, too
    assert memory_mb() - before < 70 and own.any()  # the child is gone


def test_processor_time_is_that_of_all_processes():
    usage = Usage(torch.device("cpu"))
    start, own = time.monotonic(), sum(cpu_seconds().values())
    code = BUSY.format(1.0)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        child.stdout.readline()  # it has used a second
        used = usage()["cpu_cores"] * (time.monotonic() - start)
        child.communicate(b"\n")
    assert 0.9 < used < 3 + sum(cpu_seconds().values()) - own
    assert usage()["cpu_cores"] >= 0  # what the child had used has gone with it


@pytest.mark.slow
def test_two_thousand_batches_take_no_more_memory(data):
    dataset = MaskDepthDataset("train", 80, "handheld", rooms=3)
    order = ([i % len(dataset), (i + 1) % len(dataset)] for i in itertools.count(0, 2))
    batches = iter(DataLoader(dataset, batch_sampler=order, num_workers=2))
    taken = []
    for _ in range(5):
        for _ in range(400):
            next(batches)
        taken.append(memory_mb())
    assert max(taken[1:]) - taken[0] < 25, taken  # in the first 400 all rooms and objects were read
