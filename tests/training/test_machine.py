"""Usage of the machine includes that of the workers."""

import subprocess
import sys
import time

from maskdepth_utils.training.machine import Usage

BUSY = """
import time, numpy
array = numpy.ones(80_000_000, dtype=numpy.uint8)
while time.process_time() < 0.5: pass
print(flush=True)
input()
"""


def test_memory_and_processor_time_are_those_of_all_processes():
    usage = Usage()
    before, start = usage.measure(), time.monotonic()
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        during = usage.measure()
        child.communicate(b"\n")
    assert during["cpu_cores"] * (time.monotonic() - start) > 0.45
    for other in (before, usage.measure()):  # without the child
        assert during["memory_mb"] - other["memory_mb"] > 75 and other["cpu_cores"] >= 0
