"""Several processes train as one does: the same samples, the same gradients, checkpoints for any number of them.

Most tests look at one training: two steps by one process, then four by two.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lives import born, ended, in_fresh_process, steps_of
from small_training import Squares, figures, new_net, same_tensors, small_fit
from torch import nn
from torch.utils.data import default_collate

from maskdepth_utils.losses import UncertaintyWeighting
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.weights import read_run
from maskdepth_utils.training import mask_and_depth_loss, parallel
from maskdepth_utils.training.checkpoint import lock
from maskdepth_utils.training.schedule import batch_indices
from maskdepth_utils.training.validation import validate

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork and no SIGKILL")
FIRST, STEPS, BATCH = 2, 6, 4  # steps by one process, then by two


def train(folder, steps, kill_at=None):
    """Train up to `steps` in one of several processes, and keep its last gradients. Three validation samples."""
    model, weighting = new_net(MaskDepthNet, width=0.125), UncertaintyWeighting()
    data = Squares(interrupt_at=kill_at, number=signal.SIGKILL)
    small_fit(
        model, f"{folder}/run", data, steps=steps, batch=BATCH, weighting=weighting, lr=0.01, momentum=0.9,
        precision="float32", save_minutes=0, val=(Squares(3), STEPS),
    )  # fmt: skip
    gradients = {name: part.grad for name, part in nn.ModuleList([model, weighting]).named_parameters()}
    torch.save(gradients, f"{folder}/gradients-{parallel.rank_and_world()[0]}.pt")


def in_two_processes(work) -> list[int]:
    """Run work(rank) in two connected processes; return their exit codes. For `in_fresh_process`."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])

    def begin(rank):
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        work(rank)

    return [ended(pid) for pid in [born(begin, rank) for rank in (0, 1)]]


def one_then_two(folder):
    assert ended(born(train, folder, FIRST)) == 0
    shutil.copytree(f"{folder}/run", f"{folder}/start")

    def train_twice(rank):
        train(folder, STEPS)
        small_fit(new_net(width=2), steps=1)  # a script may train more than once

    codes = in_two_processes(train_twice)
    shutil.copytree(f"{folder}/run", f"{folder}/back/run")
    return [*codes, ended(born(train, f"{folder}/back", STEPS + 2))]  # and by one again


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    codes, text = in_fresh_process(one_then_two, folder)
    assert codes == [0, 0, 0], text
    return folder


def restored(path):
    """Network and weighting as a checkpoint holds them."""
    saved = torch.load(path, weights_only=True)
    model, weighting = MaskDepthNet(width=0.125), UncertaintyWeighting()
    model.load_state_dict(saved["model"])
    nn.ModuleList([weighting]).load_state_dict(saved["loss"])
    # `fit`'s memory layout: in another one sums have another order, which these small batches' BatchNorm magnifies
    return model.to(memory_format=torch.channels_last).train(), weighting


def by_one_process(model, weighting, step, world=2) -> tuple:
    """A step's mean loss, its gradients added up in the modules, and BatchNorm's buffers after the first share."""
    losses = []
    for rank in range(world):
        batch = default_collate([Squares()[i] for i in batch_indices(step, BATCH, 40, 0)[rank::world]])
        loss = weighting(mask_and_depth_loss(model(batch["image"], batch["background"]), batch)) / world
        loss.backward()
        losses.append(loss.item())
        if rank == 0:
            buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return sum(losses), buffers


def test_gradients_are_those_of_one_process_that_accumulates(together):
    """To 1e-5, in float32, for network and weighting; BatchNorm's statistics are those of the first rank's shares."""
    model, weighting = restored(together / "run" / f"checkpoint-{STEPS - 1:08d}.pt")
    loss, buffers = by_one_process(model, weighting, STEPS - 1)
    expected = {name: parameter.grad for name, parameter in nn.ModuleList([model, weighting]).named_parameters()}
    found, also_found = (torch.load(together / f"gradients-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert same_tensors(found, also_found) and max(one.abs().max() for one in found.values()) > 0.05
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    saved = read_run(together / "run")
    assert saved["history"][-1]["loss"] == pytest.approx(loss, abs=1e-5)
    for name in buffers.keys() & saved["model"].keys():
        torch.testing.assert_close(saved["model"][name], buffers[name], rtol=1e-5, atol=1e-6, msg=name)


def test_validation_figures_are_of_the_saved_network_on_all_samples(together):
    """Three samples in two processes: shares of unequal size."""
    model, weighting = restored(together / "run" / f"checkpoint-{STEPS:08d}.pt")
    loader = [default_collate([Squares()[i] for i in range(3)])]
    autocast = torch.autocast("cpu", enabled=False)
    expected, _ = validate(model, loader, mask_and_depth_loss, weighting, autocast, torch.device("cpu"), bool)
    last = read_run(together / "run")["history"][-1]
    assert {name: last[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_a_checkpoint_goes_from_one_process_to_two_and_back(together):
    start, both, back = (read_run(together / name)["history"] for name in ("start", "run", "back/run"))
    assert [record["step"] for record in back] == list(range(1, STEPS + 3))
    assert both[:FIRST] == start and back[:STEPS] == both
    loss, _ = by_one_process(*restored(together / "run" / f"checkpoint-{STEPS:08d}.pt"), STEPS, world=1)
    assert back[STEPS]["loss"] == pytest.approx(loss, abs=1e-5)


# --- a process is lost


def train_both(folder, kill_at):
    return in_two_processes(lambda rank: train(folder, STEPS, kill_at))


def test_a_killed_process_ends_the_job_and_the_next_one_resumes(together, tmp_path):
    shutil.copytree(together / "start", tmp_path / "run")
    codes, text = in_fresh_process(train_both, tmp_path, batch_indices(FIRST + 2, BATCH, 40, 0)[0])
    assert codes == [-signal.SIGKILL, 1]
    assert "cannot continue" in text and "If another process was killed or failed" in text
    assert FIRST < read_run(tmp_path / "run")["step"] < STEPS
    codes, text = in_fresh_process(train_both, tmp_path, None)
    assert codes == [0, 0] and "damaged" not in text
    own, expected = read_run(tmp_path / "run"), read_run(together / "run")
    assert figures(own["history"]) == figures(expected["history"]) and same_tensors(own["model"], expected["model"])


def quick(out, batch=4):
    small_fit(new_net(width=2), out, steps=2, batch=batch)


def different_folders(folder):
    """One process sees a checkpoint that the other does not: a disk that is not shared, or that failed."""
    assert ended(born(quick, f"{folder}/0")) == 0
    return in_two_processes(lambda rank: quick(f"{folder}/{rank}"))


def occupied_folder(folder):
    with lock(Path(folder)):
        return in_two_processes(lambda rank: quick(folder))


def odd_batch(folder):
    return in_two_processes(lambda rank: quick(folder, batch=3))


@pytest.mark.parametrize(
    "job, message",
    [
        (different_folders, "the processes found different checkpoints"),
        (occupied_folder, "another run is training in this folder"),
        (odd_batch, "batch: expected a multiple of the 2 processes that share it, found 3"),
    ],
)
def test_a_job_that_cannot_run_is_refused_in_all_processes(tmp_path, job, message):
    codes, text = in_fresh_process(job, tmp_path)
    assert codes == [1, 1] and message in text


def half_of_the_network(folder):
    def mask_only(output, batch):  # the parameters of the other output get no gradient
        return mask_and_depth_loss(output, batch)["mask"]

    return in_two_processes(lambda rank: small_fit(MaskDepthNet(width=0.125), folder, steps=2, loss=mask_only))


def test_a_loss_may_leave_a_part_of_the_network_out(tmp_path):
    codes, text = in_fresh_process(half_of_the_network, tmp_path)
    assert codes == [0, 0] and steps_of(tmp_path) == [2], text


TRAIN = (
    "torch.distributed.run --nproc-per-node=2 --standalone -m maskdepth_utils train --size 80 --rooms 3 --workers 1 "
    "--network MaskNet --width 4 --batch 4 --val-samples 4 --steps 100000 --save-minutes 0 --out"
)


def test_torchrun_saves_when_its_terminal_is_closed(data, tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *TRAIN.split(), str(tmp_path)]
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE) as process:
        while not steps_of(tmp_path) and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGHUP)
        text = process.stdout.read()
    [step] = re.findall(r"SIGHUP\) at step (\d+) of 100,000, saved in", text)  # only one process prints
    assert steps_of(tmp_path)[0] == int(step) and "finished: False" in text
