"""Several processes train as one does: the same samples, the same gradients, checkpoints for any number of them.

torchrun starts this file itself (see its end): a short training with every sample written down. One run of it in two
processes, which goes on from a checkpoint of one process, is what most tests here look at.
"""

import contextlib
import importlib.util
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lives import born, die_before, ended, in_fresh_process, steps_of
from small_training import Squares, figures
from torch import nn
from torch.utils.data import default_collate

from maskdepth_utils.files import write_file
from maskdepth_utils.losses import UncertaintyWeighting
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.weights import read_weights, tensors_to_bytes
from maskdepth_utils.training import checkpoint, fit, mask_and_depth_loss, parallel, run
from maskdepth_utils.training.loop import validate
from maskdepth_utils.training.schedule import batch_indices

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork and no SIGKILL")
TORCHRUN = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
FIRST, STEPS, BATCH = 2, 6, 4  # steps by one process, then by two


# --- the training that is looked at


class Logged(Squares):
    """Samples that write down, for each process, in which order they are taken. kill_at: its end, before this one."""

    def __init__(self, folder, kill_at=None):
        super().__init__()
        self._folder, self._kill_at, self._count = folder, kill_at, itertools.count()

    def __getitem__(self, index):
        rank, world = parallel.rank_and_world()
        if next(self._count) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(f"{self._folder}/samples-{world}-{rank}-{os.getpid()}", "a") as file:
            file.write(f"{index}\n")
        return super().__getitem__(index)


def new_network():
    """A network and a loss's weighting, which learns along."""
    torch.manual_seed(0)
    return MaskDepthNet(width=0.125), UncertaintyWeighting()


def train(folder, steps, kill_at=None):
    """Train up to `steps`, in however many processes this is one of. Validated on fewer samples than are asked for."""
    torch.set_num_threads(1)
    model, weighting = new_network()
    fit(
        model, Logged(folder, kill_at), steps=steps, batch=BATCH, weighting=weighting, lr=0.01, momentum=0.9,
        precision="float32", device="cpu", out=f"{folder}/run", save_minutes=0, log_every=1, val=(Squares(3), STEPS),
        progress=False,
    )  # fmt: skip
    return model, weighting


def launch(folder, trouble="none", launcher=TORCHRUN) -> subprocess.CompletedProcess:
    """This file in two processes, as a user starts them."""
    package = Path(checkpoint.__file__).parents[1]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(package), "HF_HOME": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", *launcher, __file__, str(folder), trouble],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, error = process.communicate(timeout=600)
    finally:
        process.terminate()  # the launcher ends its processes
        process.wait(timeout=60)
    return subprocess.CompletedProcess(launcher, process.returncode, out, error)


def samples(folder, world) -> list[list[int]]:
    """What each process took, by rank."""
    files = sorted(Path(folder).glob(f"samples-{world}-*"))
    return [[int(line) for line in file.read_text().split()] for file in files]


def nobody_is_left(folder) -> bool:
    """Whether all the processes that took samples have ended."""
    for file in Path(folder).glob("samples-2-*"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.name.split("-")[-1]), 0)
            return False
    return True


@pytest.fixture(scope="session")  # slow tests come last: for a module it would be made twice
def together(tmp_path_factory):
    """Two steps by one process (kept in "start"), then four by two."""
    folder = tmp_path_factory.mktemp("together")
    train(folder, FIRST)
    shutil.copytree(folder / "run", folder / "start")
    done = launch(folder)
    assert done.returncode == 0, done.stderr
    assert nobody_is_left(folder)
    return folder


def history(folder) -> list[dict]:
    return checkpoint.read_run(folder)[0]["history"]


def restored(folder):
    """Network and weighting as a checkpoint holds them."""
    tensors, _ = read_weights(folder / "model.safetensors")
    model, weighting = new_network()
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith("loss.")})
    learning = {name.removeprefix("loss."): t for name, t in tensors.items() if name.startswith("loss.")}
    nn.ModuleList([weighting]).load_state_dict(learning)
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


# --- one job as another


def test_the_same_samples_whatever_the_number_of_processes(together):
    alone, (first, second) = samples(together, 1), samples(together, 2)
    assert alone == [sum((batch_indices(step, BATCH, 40, 0) for step in range(FIRST)), [])]
    for number, step in enumerate(range(FIRST, STEPS)):
        shares = [order[2 * number : 2 * number + 2] for order in (first, second)]
        assert sorted(shares[0] + shares[1]) == sorted(batch_indices(step, BATCH, 40, 0)), step
    assert len(first) == len(second) == (STEPS - FIRST) * BATCH // 2


def test_gradients_are_those_of_one_process_that_accumulates(together):
    """To 1e-5, in float32, for network and weighting; BatchNorm's statistics are those of the first rank's shares."""
    model, weighting = restored(together / "run" / f"step-{STEPS - 1:08d}")
    loss, buffers = by_one_process(model, weighting, STEPS - 1)
    expected = {name: parameter.grad for name, parameter in nn.ModuleList([model, weighting]).named_parameters()}
    found, also_found = (read_weights(together / f"gradients-{rank}.safetensors")[0] for rank in (0, 1))
    assert expected.keys() == found.keys() and max(gradient.abs().max() for gradient in expected.values()) > 0.05
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-5, msg=name)
        assert torch.equal(found[name], also_found[name])
    assert history(together / "run")[-1]["loss"] == pytest.approx(loss, abs=1e-5)
    saved, _ = read_weights(together / "run" / f"step-{STEPS:08d}" / "model.safetensors")
    for name in buffers.keys() & saved.keys():
        torch.testing.assert_close(saved[name], buffers[name], rtol=1e-5, atol=1e-6, msg=name)


def test_the_held_out_figures_are_of_the_saved_network_on_all_samples(together):
    """Three samples in two processes: shares of unequal size."""
    model, weighting = restored(together / "run" / f"step-{STEPS:08d}")
    batch = default_collate([Squares(3)[i] for i in range(3)])
    with torch.no_grad():
        expected, _ = validate(model, [batch], mask_and_depth_loss, weighting, torch.device("cpu"), torch.float32)
    last = history(together / "run")[-1]
    assert {name: last[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_a_checkpoint_goes_from_one_process_to_two_and_back(together, tmp_path):
    both = history(together / "run")
    assert [record["step"] for record in both] == list(range(1, STEPS + 1))
    assert both[:FIRST] == history(together / "start")
    loss, _ = by_one_process(*restored(together / "start" / f"step-{FIRST:08d}"), FIRST)
    assert both[FIRST]["loss"] == pytest.approx(loss, abs=1e-5)  # two went on from where one stopped
    shutil.copytree(together / "run", tmp_path / "run")
    train(tmp_path, STEPS + 2)
    alone = history(tmp_path / "run")
    assert alone[:STEPS] == both and len(alone) == STEPS + 2
    loss, _ = by_one_process(*restored(together / "run" / f"step-{STEPS:08d}"), STEPS, world=1)
    assert alone[STEPS]["loss"] == pytest.approx(loss, abs=1e-5)
    assert samples(tmp_path, 1) == [sum((batch_indices(step, BATCH, 40, 0) for step in (STEPS, STEPS + 1)), [])]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed")
def test_accelerate_launch_makes_the_same_run(together, tmp_path):
    """Its --multi_gpu starts processes on a CPU as well; its --cpu starts several through MPI only."""
    shutil.copytree(together / "start", tmp_path / "run")
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    launcher = ["accelerate.commands.launch", *options.split(), "--main_process_port", str(free_port())]
    done = launch(tmp_path, launcher=launcher)
    assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path, together)


def assert_same_run(folder, other):
    """The same losses and weights, bit for bit."""
    assert figures(history(folder / "run")) == figures(history(other / "run"))
    own, expected = (checkpoint.read_run(each / "run")[1] for each in (folder, other))
    assert own.keys() == expected.keys() and all(torch.equal(own[name], expected[name]) for name in own)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


# --- a process is lost


@pytest.mark.slow
def test_a_killed_process_ends_the_job_and_the_next_one_goes_on(together, tmp_path):
    """First rank 1 in making samples, then rank 0 in the middle of writing a checkpoint."""
    shutil.copytree(together / "start", tmp_path / "run")
    for rank, trouble in ((1, "kill the second"), (0, "kill the first in writing")):
        before = steps_of(tmp_path / "run")[0]
        done = launch(tmp_path, trouble)
        assert done.returncode != 0 and nobody_is_left(tmp_path)
        assert re.search(rf"rank\s*: {rank} \(local_rank: {rank}\)\s+exitcode\s*: -9", done.stderr), done.stderr
        # The launcher may end the other process before it can say a word.
        assert "another one was killed or failed" in done.stderr or "(SIGTERM)" in done.stderr, done.stderr
        assert before < checkpoint.read_run(tmp_path / "run")[0]["step"] < STEPS
    assert (tmp_path / "run" / "writing" / "optimizer.safetensors.part").exists()  # cut off; nobody takes it for one
    done = launch(tmp_path)
    assert done.returncode == 0 and "damaged" not in done.stdout, done.stderr
    assert_same_run(tmp_path, together)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "lock", f"step-{STEPS - 1:08d}", f"step-{STEPS:08d}", "tensorboard",
    ]  # fmt: skip


def in_two_processes(work, *arguments) -> list[int]:
    """work(rank, ...) in two processes that know of each other; their exit codes. For `in_fresh_process`."""
    port = str(free_port())

    def begin(rank):
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        torch.set_num_threads(1)
        work(rank, *arguments)

    return [ended(pid) for pid in [born(begin, rank) for rank in (0, 1)]]


def quick(rank, folder, length=40, loss=mask_and_depth_loss, out="run", **options):
    fit(
        new_network()[0], Squares(length), steps=2, batch=4, loss=loss, device="cpu", progress=False,
        out=out and f"{folder}/{out}", **options,
    )  # fmt: skip


def different_folders(folder):
    """One process sees a checkpoint that the other does not: a disk that is not shared, or one that failed."""
    assert ended(born(quick, 0, folder, 40, mask_and_depth_loss, "0")) == 0
    return in_two_processes(lambda rank: quick(rank, folder, out=str(rank)))


def occupied_folder(folder):
    with run.lock(Path(folder) / "run"):
        return in_two_processes(quick, folder)


def half_of_the_network(folder):
    """A loss that looks at one of two outputs: the other's parameters get no gradient."""

    def mask_only(output, batch):
        return mask_and_depth_loss(output, batch)["mask"]

    return in_two_processes(lambda rank: quick(rank, folder, loss=mask_only))


def test_processes_that_see_different_checkpoints_do_not_wait_for_each_other(tmp_path):
    codes, text = in_fresh_process(different_folders, tmp_path)
    assert codes == [1, 1] and text.count("the processes found different checkpoints") >= 2


def test_a_second_job_in_the_folder_is_refused(tmp_path):
    codes, text = in_fresh_process(occupied_folder, tmp_path)
    assert codes == [1, 1] and "another run is training in this folder" in text
    assert "cannot go on: another one was killed or failed" in text


def test_a_loss_may_leave_a_part_of_the_network_out(tmp_path):
    codes, text = in_fresh_process(half_of_the_network, tmp_path)
    assert codes == [0, 0] and steps_of(tmp_path / "run") == [2], text


if __name__ == "__main__":
    folder, trouble = sys.argv[1:]
    rank, _ = parallel.rank_and_world()
    if trouble == "kill the first in writing" and rank == 0:  # in the second checkpoint, after the first of its files
        die_before(3, lambda event, path: path.endswith("writing/optimizer.safetensors.part"), cut=True)
    model, weighting = train(folder, STEPS, kill_at=4 if trouble == "kill the second" and rank == 1 else None)
    gradients = {name: part.grad for name, part in nn.ModuleList([model, weighting]).named_parameters()}
    write_file(Path(folder) / f"gradients-{rank}.safetensors", tensors_to_bytes(gradients))
    quick(rank, folder, out=None)  # a script may train more than once
