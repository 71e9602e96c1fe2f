"""Whatever ends a training run, the next start goes on as if nothing had happened, bit for bit, or says what to do.

Each life of a run here is a process of its own (lives.py), killed in earnest. What a test does there is the function
before it.
"""

import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
import torch.utils.tensorboard  # here, so that no life has to load it
from lives import NAMESPACE, born, can_mount, die_before, ended, fill, in_fresh_process, message_of, steps_of, within
from small_training import Dropping, Squares, figures

from maskdepth_utils.models.weights import list_run
from maskdepth_utils.training import checkpoint, fit, mask_and_depth_loss
from maskdepth_utils.training.run import TrainingError

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork and no SIGKILL"),
    pytest.mark.usefixtures("one_thread"),  # as in the lives
]
STEPS, KILLS = 40, 20


# --- lives and deaths


class Told(Squares):
    """Samples that tell through a pipe when they are made."""

    def __init__(self, pipe=None):
        super().__init__()
        self._pipe = pipe

    def __getitem__(self, index):
        if self._pipe is not None:
            os.write(self._pipe, b".")
        return super().__getitem__(index)


def train(folder, steps=STEPS, pipe=None, workers=0):
    """One life of a run that writes a checkpoint after every step. Dropout, so that its random numbers count too."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    fit(
        Dropping(width=4), Told(pipe), steps=steps, batch=4, lr=0.05, momentum=0.9, workers=workers, device="cpu",
        out=folder, save_minutes=0, log_every=1, progress=False,
    )  # fmt: skip


def assert_same_end(run, whole):
    """The losses of every step, the weights and the optimizer's memory are the same bit for bit."""
    (state, *tensors), (expected, *expected_tensors) = checkpoint.read_run(run), checkpoint.read_run(whole)
    assert figures(state["history"]) == figures(expected["history"])
    for own, other in zip(tensors, expected_tensors, strict=True):
        assert own.keys() == other.keys() and all(torch.equal(own[name], other[name]) for name in own)
    last = state["step"]
    assert sorted(path.name for path in Path(run).iterdir()) == [
        "lock", f"step-{last - 1:08d}", f"step-{last:08d}", "tensorboard",
    ]  # fmt: skip


# --- SIGKILL


def kill_often(folder, seed):
    """Kill a run at random moments; the number of runs that came to their end (it may be done before the last kill)."""
    draw, runs, kills = random.Random(seed), 0, 0
    started = time.monotonic()
    assert ended(born(train, f"{folder}/whole")) == 0
    step_seconds = (time.monotonic() - started) / STEPS  # with its checkpoint
    while True:
        reading, writing = os.pipe()
        life = born(train, f"{folder}/run-{runs}", STEPS, writing)
        os.close(writing)
        if kills < KILLS:
            for _ in range(draw.randrange(12)):  # samples, four of which are a step
                os.read(reading, 1)
            time.sleep(draw.uniform(0, step_seconds))
            os.kill(life, signal.SIGKILL)
        code = ended(life)
        os.close(reading)
        assert code in (0, -signal.SIGKILL)
        kills, runs = kills + (code != 0), runs + (code == 0)
        if kills == KILLS and code == 0:
            return runs


@pytest.mark.slow
def test_killed_at_twenty_random_moments(tmp_path):
    runs, text = in_fresh_process(kill_often, tmp_path, 0)
    for number in range(runs):
        assert_same_end(tmp_path / f"run-{number}", tmp_path / "whole")
    assert "is damaged" not in text


def kill_at_every_file_operation(folder, damaged):
    """Kill a life that writes one checkpoint before each of its file operations, and go on; how many there are."""
    folder = Path(folder)
    assert ended(born(train, folder / "whole", 4)) == ended(born(train, folder / "start", 2)) == 0
    if damaged:
        spoil(list_run(folder / "start")[0] / "optimizer.safetensors")
    for number in itertools.count():
        run = shutil.copytree(folder / "start", folder / str(number))

        def short_life(number=number, run=run):
            die_before(number, within(run), cut=damaged)
            train(run, 2 if damaged else 3)

        code = ended(born(short_life))
        assert code in (0, -signal.SIGKILL)
        step = checkpoint.read_run(run)[0]["step"]
        assert step in ((1, 2) if damaged else (2, 3))  # the last whole one
        assert ended(born(train, run, 4)) == 0
        if code == 0:
            return number


def spoil(path) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True], ids=["all whole", "newest damaged"])
def test_killed_before_every_file_operation(tmp_path, damaged):
    """Between writing and renaming, after half of the bytes, after the first of several files, in deleting old ones."""
    operations, text = in_fresh_process(kill_at_every_file_operation, tmp_path, damaged)
    assert operations > 20
    for number in range(operations + 1):
        assert_same_end(tmp_path / str(number), tmp_path / "whole")
    assert damaged or "is damaged" not in text


def two_lives_with_a_board(folder):
    """Kill a run after its fourth checkpoint, and end it in another life."""
    reading, writing = os.pipe()
    life = born(train, folder, STEPS, writing)
    for _ in range(17):  # the first sample of the fifth step is made when the fourth step's checkpoint is written
        os.read(reading, 1)
    os.kill(life, signal.SIGKILL)
    assert ended(life) == -signal.SIGKILL
    killed = checkpoint.newest_step(folder)
    second = int(time.time())
    while int(time.time()) == second:  # TensorBoard's files are told apart by it
        time.sleep(0.05)
    assert ended(born(train, folder, killed + 2)) == 0
    return killed + 2


def test_tensorboard_shows_every_step_once_after_a_kill(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    last, _ = in_fresh_process(two_lives_with_a_board, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train/loss")
    assert [event.step for event in events] == list(range(1, last + 1))


# --- two runs in one folder


def start_twice(folder):
    """A second run while the first one is held; then kill the first one, whose worker is left, and start at once."""
    run, steps = f"{folder}/run", 14
    assert ended(born(train, f"{folder}/whole", steps)) == 0
    reading, writing = os.pipe()
    first = born(train, run, steps, writing, 1)
    os.read(reading, 1)  # it makes samples
    os.kill(first, signal.SIGSTOP)
    second = ended(born(train, run, steps))
    os.kill(first, signal.SIGCONT)
    for _ in range(24):  # its worker is up to 16 samples ahead
        os.read(reading, 1)
    os.kill(first, signal.SIGKILL)
    return [second, ended(first), ended(born(train, run, steps))]


def test_two_runs_in_one_folder_refuse_each_other_until_one_is_killed(tmp_path):
    (second, killed, third), text = in_fresh_process(start_twice, tmp_path)
    assert second == 1 and "another run is training in this folder" in text
    assert killed == -signal.SIGKILL and third == 0
    assert_same_end(tmp_path / "run", tmp_path / "whole")


# --- full disks


def train_on_a_full_disk(folder):
    """Run into a really full disk in every phase of a checkpoint, with more and more room; then make room."""
    disk, run = Path(folder) / "disk", Path(folder) / "disk" / "run"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    assert ended(born(train, f"{folder}/whole", 6)) == ended(born(train, run, 2)) == 0
    one = sum(file.stat().st_size for file in list_run(run)[0].iterdir())
    found = []
    for share in (0, 0.3, 0.6, 0.9):  # of what a checkpoint takes
        fill(disk / "filler", int(one * share))
        message = message_of(train, run, 6)
        (disk / "filler").unlink()
        found.append([message, checkpoint.read_run(run)[0]["step"], (run / "writing").exists()])
    assert ended(born(train, run, 6)) == 0
    shutil.copytree(run, f"{folder}/run")
    return found


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="a small disk to fill cannot be mounted here")
def test_a_disk_that_is_really_full(tmp_path):
    found, _ = in_fresh_process(train_on_a_full_disk, tmp_path, prefix=NAMESPACE)
    for message, step, leftover in found:
        assert message and "the disk is full" in message and message.count(str(tmp_path / "disk/run")) == 2
        assert message.endswith(f"The last good checkpoint is {tmp_path}/disk/run/step-{step:08d}")
        assert not leftover
    assert_same_end(tmp_path / "run", tmp_path / "whole")


def train_with_small_files(folder):
    """As under a quota: no file may be larger than half the network's."""
    import resource

    assert ended(born(train, folder, 2)) == 0
    most = (list_run(folder)[0] / "model.safetensors").stat().st_size // 2

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        train(folder, 4)

    return message_of(limited)


def test_a_file_that_may_not_grow_leaves_the_last_good_checkpoint(tmp_path):
    message, _ = in_fresh_process(train_with_small_files, tmp_path)
    assert f"{tmp_path}/writing/model.safetensors: cannot be written (File too large)" in message
    assert message.endswith(f"The last good checkpoint is {tmp_path}/step-00000002")
    assert steps_of(tmp_path) == [2, 1] and not (tmp_path / "writing").exists()


# --- what may be kept


def test_of_the_two_checkpoints_that_stay_none_is_known_to_be_damaged(tmp_path):
    train(tmp_path, 2)
    spoil(list_run(tmp_path)[0] / "model.safetensors")
    options = {"batch": 4, "lr": 0.05, "momentum": 0.9, "device": "cpu", "log_every": 1, "progress": False}
    torch.manual_seed(0)
    fit(Dropping(width=4), Told(), steps=4, out=tmp_path, **options)  # saves at its end only
    assert steps_of(tmp_path) == [4, 1]


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    """The loss of a step is finite, its gradient is not."""
    steps = itertools.count(1)

    def loss(output, batch):
        if next(steps) == 3:
            return (0 * output).sum().sqrt()  # 0, with the gradient 0 / 0
        return mask_and_depth_loss(output, batch)["mask"]

    torch.manual_seed(0)
    with pytest.raises(TrainingError, match="became inf or nan by step 3.*What was saved before is as it was"):
        fit(Dropping(width=4), Told(), steps=6, batch=4, loss=loss, device="cpu", out=tmp_path, save_minutes=0,
            progress=False)  # fmt: skip
    state, tensors, _ = checkpoint.read_run(tmp_path)
    assert state["step"] == 2 and all(tensor.isfinite().all() for tensor in tensors.values())
