"""What a training takes of the machine is counted with its workers."""

import subprocess
import sys
import time

import numpy as np
import torch

from maskdepth_utils.training.machine import Usage, memory_mb

BUSY = """
import time
import numpy
array = numpy.ones(80_000_000, dtype=numpy.uint8)
while time.process_time() < 0.5: pass
print(flush=True)
input()
"""


def test_memory_and_processor_time_are_those_of_all_processes():
    before = memory_mb()
    own = np.ones(50_000_000, dtype=np.uint8)
    usage = Usage(torch.device("cpu"))
    start = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        during = usage.measure()
        child.communicate(b"\n")
    assert during["memory_mb"] - before > 120
    assert during["cpu_cores"] * (time.monotonic() - start) > 0.45
    after = usage.measure()
    assert during["memory_mb"] - after["memory_mb"] > 75 and own.any()  # the child is gone
    assert after["cpu_cores"] >= 0  # what it had used has gone with it
