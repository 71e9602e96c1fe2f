"""Training in several processes from the command line. What it computes there is in test_scale.py."""

import os
import subprocess
import sys

import torch

from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.models import MaskNet
from maskdepth_utils.training import checkpoint, mask_and_depth_loss, parallel
from maskdepth_utils.training.schedule import batch_indices

TRAIN = (
    "train --size 80 --rooms 3 --network MaskNet --width 4 --batch 4 --lr 0.05 --precision float32 --workers 0 "
    "--val-every 100 --val-samples 4"
)


def launch(processes: int, options: str, **environment) -> subprocess.CompletedProcess:
    """The command under torchrun, as a user starts it."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    return subprocess.run(
        [*command, "-m", "maskdepth_utils", *TRAIN.split(), *options.split()],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def weights(folder):
    return checkpoint.read_run(folder)[1]


def test_two_processes_make_the_step_of_one_that_accumulates(tmp_path):
    """BatchNorm sees each process's share alone, so one process has to take the two shares one after the other."""
    done = launch(2, f"--out {tmp_path} --steps 1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished: True") == 1  # one process speaks
    torch.manual_seed(0)
    model = MaskNet(width=4).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    data = MaskDepthDataset("train", 80, "mixed", rooms=3)
    indices = batch_indices(0, 4, len(data), 0)
    for share in (indices[0::2], indices[1::2]):
        samples = [data[i] for i in share]
        batch = {name: torch.stack([one[name] for one in samples]) for name in samples[0]}
        loss = mask_and_depth_loss(model(batch["image"], batch["background"]), batch)["mask"]
        (loss / 2).backward()
    optimizer.step()
    trained = weights(tmp_path)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(trained[name], parameter.data, rtol=0, atol=1e-5 * 0.05, msg=name)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    done = launch(2, f"--out {tmp_path} --steps 1 --batch 3")
    assert done.returncode != 0 and "expected a multiple of the 2 processes" in done.stderr


def test_alone_nothing_is_waited_for():
    assert parallel.rank_and_world() == (0, 1)
    model = MaskNet(width=4)
    assert parallel.wrap(model) is model and parallel.mean({"a": 2}, torch.device("cpu")) == {"a": 2}
