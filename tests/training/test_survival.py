"""However a run is killed, the next start resumes as if nothing had happened, bit for bit.

Each life of a run here is a separate process (lives.py), really killed. What a test does there is the function
before it.
"""

import itertools
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from lives import born, die_before, ended, in_fresh_process, steps_of
from small_training import Dropping, Squares, damage, figures, same_tensors, small_fit
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from maskdepth_utils.models.weights import list_checkpoints, read_run
from maskdepth_utils.training.schedule import batch_indices

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork and no SIGKILL")
STEPS = 12


def train(folder, steps=STEPS, stop_at=None, workers=0):
    """One life of a run that writes a checkpoint after every step. Dropout, so that its random numbers count too."""
    torch.manual_seed(0)
    data = Squares(interrupt_at=stop_at, number=signal.SIGSTOP)
    small_fit(Dropping(width=4), folder, data, steps=steps, momentum=0.9, workers=workers, save_minutes=0)


def assert_same_end(run, whole):
    """The losses of every step, the weights and the optimizer's state are the same, bit for bit."""
    own, expected = read_run(run), read_run(whole)
    assert figures(own["history"]) == figures(expected["history"])
    assert same_tensors(own["model"], expected["model"])
    for number, memory in expected["optimizer"]["state"].items():
        assert same_tensors(own["optimizer"]["state"][number], memory)
    kept = [f"checkpoint-{step:08d}.pt" for step in (own["step"] - 1, own["step"])]
    assert sorted(path.name for path in Path(run).iterdir()) == [".maskdepth-lock", *kept, "tensorboard"]


def kill_at_every_file_operation(folder, damaged):
    """Kill a life that writes one checkpoint before each of its file operations, and resume; return how many."""
    folder = Path(folder)
    assert ended(born(train, folder / "whole", 4)) == ended(born(train, folder / "start", 2)) == 0
    if damaged:
        damage(list_checkpoints(folder / "start")[0])
    for number in itertools.count():
        run = Path(shutil.copytree(folder / "start", folder / str(number)))

        def short_life(number=number, run=run):
            die_before(number, lambda event, path: str(run) in path and "tensorboard" not in path, cut=damaged)
            train(run, 2 if damaged else 3)

        code = ended(born(short_life))
        assert code in (0, -signal.SIGKILL)
        assert read_run(run)["step"] in ((1, 2) if damaged else (2, 3))  # the last intact one
        assert ended(born(train, run, 4)) == 0
        if code == 0:
            return number


@pytest.mark.parametrize("damaged", [False, True], ids=["all whole", "newest damaged"])
def test_killed_before_every_file_operation(tmp_path, damaged):
    """Between writing and renaming, after half of the bytes, in deleting old ones."""
    operations, text = in_fresh_process(kill_at_every_file_operation, tmp_path, damaged)
    assert operations > 5
    for number in range(operations + 1):
        assert_same_end(tmp_path / str(number), tmp_path / "whole")
    assert damaged or "is damaged" not in text


def start_twice(folder):
    """A second run while the first waits for its stopped worker; then kill only the first, and start again at once."""
    run = f"{folder}/run"
    assert ended(born(train, f"{folder}/whole")) == 0
    first = born(train, run, STEPS, batch_indices(5, 4, 40, 0)[0], 1)
    while not steps_of(run):
        time.sleep(0.05)
    second = ended(born(train, run))
    os.kill(first, signal.SIGKILL)
    now = int(time.time())
    while int(time.time()) == now:  # the second distinguishes TensorBoard's files
        time.sleep(0.05)
    return [second, ended(first), ended(born(train, run))]


def test_a_killed_run_frees_its_folder_at_once_and_tensorboard_shows_every_step_once(tmp_path):
    (second, killed, third), text = in_fresh_process(start_twice, tmp_path)
    assert second == 1 and "another run is training in this folder" in text
    assert killed == -signal.SIGKILL and third == 0
    assert_same_end(tmp_path / "run", tmp_path / "whole")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload().Scalars("train/loss")
    assert [event.step for event in events] == list(range(1, STEPS + 1))
