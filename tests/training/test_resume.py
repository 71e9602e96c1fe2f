"""A stopped run resumes exactly, or says what to do. (Runs that are killed: test_survival.py.)"""

import errno
import functools
import multiprocessing
import os
import shutil
import signal
import sys

import numpy as np
import pytest
import torch
from lives import steps_of
from small_training import Dropping, Squares, damage, figures, new_net, same_tensors, small_fit
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import Subset

from maskdepth_utils import load_pretrained
from maskdepth_utils.data import MaskDepthDataset, ZipDataset
from maskdepth_utils.data.storage.zips import write_zips
from maskdepth_utils.losses import UncertaintyWeighting
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.weights import CheckpointError, list_checkpoints, load_network, newest_step, read_run
from maskdepth_utils.training import mask_and_depth_loss
from maskdepth_utils.training.checkpoint import TrainingError
from maskdepth_utils.training.interruptions import SIGNALS
from maskdepth_utils.training.schedule import permutation


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- resuming


CASES = {
    "default": {},
    "momentum, one-cycle": {"momentum": 0.9, "schedule": "one-cycle", "log_every": 2, "lr": np.float64(0.05)},
    "adamw, bf16": {"optimizer": "adamw", "lr": 1e-3, "precision": "bf16", "weight_decay": 0.01},
    "fp16": {"precision": "fp16", "lr_factors": {"down.0": 3.0}, "momentum": 0.9, "width": 2},
    "fp16, too large": {"precision": "fp16", "width": 2, "weighting": lambda: lambda terms: 4000 * terms["mask"]},
    "dropout": {"kind": Dropping, "precision": "float32"},
    "a loss that learns": {"kind": MaskDepthNet, "width": 0.125, "weighting": UncertaintyWeighting, "momentum": 0.9},
    "validation": {"val": (Squares(8), 2), "val_samples": 4, "log_every": 3},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_stopped_after_every_step_it_equals_an_uninterrupted_run(tmp_path, options):
    """Losses and weights, bit for bit."""
    options = {"kind": None, "width": 8, "workers": 0, "weighting": None} | options
    arguments = {"width": options.pop("width")} | ({"kind": kind} if (kind := options.pop("kind")) else {})
    make_weighting = options.pop("weighting") or (lambda: None)
    whole = new_net(**arguments)
    expected = small_fit(whole, steps=5, weighting=make_weighting(), **options | {"workers": 0})
    for step in range(1, 6):
        model = new_net(**arguments)
        if step > 1:  # everything must come from the checkpoint, nothing from the model's earlier state
            torch.nn.init.zeros_(next(model.parameters()))
        history = small_fit(model, tmp_path, steps=5, weighting=make_weighting(), max_minutes=0, **options)
        assert newest_step(tmp_path) == step
    assert figures(history) == figures(expected)
    assert same_tensors(model, whole)


def test_a_run_can_be_extended_and_a_finished_one_is_not_repeated(tmp_path, capsys):
    whole, model, again = new_net(), new_net(), new_net()
    history = small_fit(whole, steps=6)
    small_fit(new_net(), tmp_path, steps=4)
    assert figures(small_fit(model, tmp_path, steps=6, progress=True)) == figures(history)
    assert same_tensors(model, whole) and "resuming from step 4 of 6" in capsys.readouterr().out
    small_fit(again, tmp_path, steps=6, precision="fp16", progress=True)
    said = capsys.readouterr().out
    assert same_tensors(again, model) and "Finished: 6 steps" in said
    assert "not bit for bit as on the same machine: precision is" in said


def test_starting_over_deletes_that_run_alone(tmp_path):
    other = ["checkpoint-00000001.pt.backup", "checkpoint-best.safetensors", "step-by-step"]
    for name in [*other, "tensorboard/other_run"]:
        tmp_path.joinpath(name).mkdir(parents=True)
    small_fit(new_net(), tmp_path, steps=3, save_minutes=0)
    with pytest.raises(TrainingError, match="not a writable folder"):
        small_fit(new_net(), tmp_path / "checkpoint-00000003.pt")
    assert len(small_fit(new_net(), tmp_path, steps=2, lr=0.01, resume=False)) == 2
    assert names(tmp_path) == sorted([".maskdepth-lock", "checkpoint-00000002.pt", *other, "tensorboard"])
    assert "other_run" in names(tmp_path / "tensorboard") and len(names(tmp_path / "tensorboard")) == 2


def test_checkpoints_of_an_earlier_version_are_named(tmp_path):
    (tmp_path / "step-00000007").mkdir()
    for read in (load_network, functools.partial(small_fit, new_net())):
        with pytest.raises(CheckpointError, match="earlier version.*step-00000007/model.safetensors.*--init"):
            read(tmp_path)


def test_workers_started_by_spawn_resume_and_read_zips(data, tmp_path):
    """As on macOS and Windows."""
    write_zips(MaskDepthDataset(rooms=3), tmp_path, range(8), progress=False)
    options = {"dataset": ZipDataset(tmp_path, size=80), "steps": 2}
    models = [new_net(width=4), new_net(width=4)]
    expected = small_fit(models[0], **options)
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        for _ in range(2):
            history = small_fit(models[1], tmp_path / "run", workers=1, max_minutes=0, **options)
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert figures(history) == figures(expected) and same_tensors(*models)


# --- signals, a lost terminal


@pytest.mark.parametrize("name, source", SIGNALS.items())
def test_a_signal_finishes_the_step_saves_and_says_how_to_resume(tmp_path, capsys, name, source):
    number = getattr(signal, name, None) or pytest.skip("Windows has no SIGHUP")
    data = Squares(interrupt_at=permutation(40, 0, 0)[9].item(), number=number)  # a sample of the third step
    handler = signal.getsignal(number)
    assert len(small_fit(new_net(), tmp_path, dataset=data, steps=4, progress=True)) == 3
    assert f"Stopped by {source} at step 3 of 4, saved in {tmp_path}. To resume" in capsys.readouterr().out
    assert signal.getsignal(number) == handler
    if name == "SIGHUP":
        signal.signal(number, signal.SIG_IGN)  # as nohup does
        assert len(small_fit(new_net(), dataset=data, steps=4)) == 4
        signal.signal(number, handler)


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        small_fit(new_net(), tmp_path, dataset=Squares(1, interrupt_at=0))  # the only sample, four times a batch
    assert not list_checkpoints(tmp_path)


@pytest.mark.parametrize("every", [2, 3], ids=["validation in between", "validation at the end"])
def test_ctrl_c_stops_a_validation_and_resuming_repeats_it(tmp_path, every):
    expected = small_fit(new_net(), steps=3, val=(Squares(12), every))
    interrupting = Squares(12, interrupt_at=permutation(12, 0, 0)[0].item())
    history = small_fit(new_net(), tmp_path, steps=3, val=(interrupting, every))
    assert len(history) == every and "val_loss" not in history[-1]
    small_fit(new_net(), tmp_path, steps=3, val=(Squares(12), every))
    assert figures(read_run(tmp_path)["history"]) == figures(expected)


@pytest.mark.parametrize("lost", ["its reader", "its disk", "from the start"])
def test_training_continues_without_its_output(tmp_path, monkeypatch, capsys, lost):
    reading, writing = os.pipe()
    os.close(reading)
    stream = {"its reader": writing, "its disk": "/dev/full", "from the start": None}[lost]
    if lost == "its disk" and not os.path.exists(stream):
        pytest.skip("no /dev/full on this system")
    monkeypatch.setattr(sys, "stdout", stream and open(stream, "w"))
    assert len(small_fit(new_net(), tmp_path, steps=3, progress=True)) == 3
    print("the result", file=sys.stdout, flush=True)  # of a command, afterwards
    notes = capsys.readouterr().err.count("training continues without its output, which cannot be written")
    assert notes == (lost != "from the start")


# --- errors are reported, and damage nothing


def test_a_run_with_other_settings_is_refused(tmp_path):
    loss = functools.partial(mask_and_depth_loss, mask={"bce": 1.0})
    base = {"steps": 2, "loss": loss, "dataset": Subset(Squares(), range(40))}
    small_fit(new_net(), tmp_path, **base)
    for network, options, message in [
        ({}, {"lr": 0.1}, r"other settings: lr is 0.05 there and 0.1 here.*resume=False"),
        ({}, {"loss": functools.partial(loss, mask={"bce": 2.0})}, "loss.mask.bce is 1.0 there and 2.0 here"),
        ({}, {"dataset": Subset(Squares(size=64), range(40))}, "dataset.dataset.size is 32 there and 64 here"),
        ({"width": 8}, {}, r"network.parameters is \d+ there and \d+ here"),
    ]:
        with pytest.raises(TrainingError, match=message):
            small_fit(new_net(**network), tmp_path, **base | options)
    assert len(small_fit(new_net(), tmp_path, **base | {"steps": 3})) == 3
    shutil.rmtree(tmp_path / "tensorboard")  # now the checkpoints could be another program's
    with pytest.raises(TrainingError, match="Use its settings or another folder"):
        small_fit(new_net(), tmp_path, **base, lr=0.1)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, capsys):
    expected = small_fit(new_net(), tmp_path, steps=4, save_minutes=0)
    assert steps_of(tmp_path) == [4, 3]
    damage(tmp_path / "checkpoint-00000004.pt")
    assert load_network(tmp_path)[1]["training"]["step"] == 3
    longer = small_fit(new_net(), tmp_path, steps=5, save_minutes=60)
    assert figures(longer[:4]) == figures(expected)
    assert "checkpoint-00000004.pt is damaged" in capsys.readouterr().out
    assert steps_of(tmp_path) == [5, 3]  # the damaged one is gone
    for path in list_checkpoints(tmp_path):
        damage(path)
    with pytest.raises(CheckpointError, match="is damaged.*resume=False"):
        small_fit(new_net(), tmp_path)


class Trap:
    """A file that holds it would end Python."""

    def __reduce__(self):
        return sys.exit, ()


@pytest.mark.parametrize(
    "content, message",
    [([1], "not a checkpoint"), ({"step": 1}, "not a checkpoint"), ({"step": Trap()}, "[Ww]eights.?only")],
)
def test_a_foreign_checkpoint_is_refused_and_its_code_does_not_run(tmp_path, content, message):
    torch.save(content, tmp_path / "checkpoint-00000001.pt")
    with pytest.raises(CheckpointError, match=f"is damaged .*{message}"):
        load_network(tmp_path)


@pytest.mark.parametrize("place", ["os.fsync", "torch.utils.tensorboard.SummaryWriter.flush"])
def test_a_full_disk_is_reported_and_the_newest_checkpoint_stays(tmp_path, monkeypatch, place):
    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    small_fit(new_net(), tmp_path, steps=3)
    before = names(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(place, refuse)
        with pytest.raises(CheckpointError, match="(disk is full|No space left).*The newest.* is .*-00000003.pt"):
            small_fit(new_net(), tmp_path, steps=6)
    assert names(tmp_path) == before and len(small_fit(new_net(), tmp_path, steps=6)) == 6


def infinite(output, batch):
    return output.mean() * float("inf")


def without_gradient(output, batch):
    return (0 * output).sum().sqrt()  # 0, with the gradient 0 / 0


@pytest.mark.parametrize("loss, name", [(infinite, "the loss"), (without_gradient, "head.bias|down.*")])
def test_values_not_finite_stop_the_run_and_are_not_saved(tmp_path, loss, name):
    small_fit(new_net(), tmp_path, steps=2)
    loss.__qualname__ = mask_and_depth_loss.__qualname__
    with pytest.raises(TrainingError, match=f"({name}) became inf or nan by step 3: a smaller lr may help"):
        small_fit(new_net(), tmp_path, loss=loss, save_minutes=0)
    assert newest_step(tmp_path) == 2 and read_run(tmp_path)["model"]["head.bias"].isfinite().all()


# --- what the folder holds


def test_a_checkpoint_holds_the_run_and_tensorboard_shows_it(tmp_path):
    small_fit(new_net(MaskDepthNet, width=0.125), tmp_path, steps=4, val=(Squares(6), 2), momentum=0.9)
    checkpoint = read_run(tmp_path)
    assert checkpoint["step"] == len(checkpoint["history"]) == 4 and checkpoint["config"]["lr"] == 0.05
    model, metadata = load_network(tmp_path)
    assert same_tensors(model, checkpoint["model"]) and load_pretrained(tmp_path, "cpu").size == 32
    assert metadata["network"] == "MaskDepthNet" and metadata["size"] == 32 and metadata["training"]["step"] == 4

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = events.Tags()
    assert {"train/loss", "train/mask", "train/lr", "train/memory_mb", "val/iou", "val/rmse"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("val/iou")] == [2, 4]
    picture = events.Images(tags["images"][0])[-1]
    assert (picture.width, picture.height) == (6 * 32, 4 * 32)
