"""Order of the tests: quick ones first, whole notebooks last, so that a mistake shows early."""

import os
import signal

# PyTorch's threads gain nothing on small pictures, and those of two processes wait for each other on two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and would hide what the tests of it look for

ORDER = ["slow", "browser", "notebooks"]


def pytest_collection_modifyitems(items):
    def rank(item):
        if "device" in item.path.parts:
            return -2  # PyTorch counts the devices at the first backward pass: a test that adds one must precede it
        return max((ORDER.index(mark.name) for mark in item.iter_markers() if mark.name in ORDER), default=-1)

    items.sort(key=rank)
