"""What a user of `fit` relies on: it learns, and whatever interrupts it, going on is exact."""

import errno
import functools
import json
import os
import signal

import pytest
import torch
from small_training import TIMES, Dropping, Squares, figures, new_net, same_tensors, small_fit

from maskdepth_utils import devices
from maskdepth_utils.losses import UncertaintyWeighting
from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.weights import CheckpointError, list_run, read_weights
from maskdepth_utils.training import fit, mask_and_depth_loss, run
from maskdepth_utils.training.run import TrainingError
from maskdepth_utils.training.schedule import batch_indices, lr_groups, permutation, schedule_factor

pytestmark = pytest.mark.usefixtures("one_thread")
# --- it trains


def test_it_learns_and_tells_what_it_did():
    model = new_net(width=8)
    history = small_fit(model, steps=60, log_every=10, momentum=0.9, val=(Squares(16), 30), val_samples=8)
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert [record["step"] for record in history] == [10, 20, 30, 40, 50, 60]
    assert history[-1]["samples"] == 240 and history[-1]["mask"] == pytest.approx(history[-1]["loss"])
    assert {"lr", *TIMES} <= history[0].keys()
    assert "val_iou" not in history[0] and 0 <= history[2]["val_iou"] <= 1 and "val_loss" in history[5]
    assert not model.training  # ready to predict


def test_default_loss_is_the_sum_of_mask_and_depth():
    model, batch = (
        new_net(MaskDepthNet, width=0.125),
        torch.utils.data.default_collate([Squares()[i] for i in range(2)]),
    )
    terms = mask_and_depth_loss(model(batch["image"], batch["background"]), batch)
    assert set(terms) == {"mask", "depth"}
    history = small_fit(model, steps=2)
    assert history[0]["loss"] == pytest.approx(history[0]["mask"] + history[0]["depth"])
    history = small_fit(new_net(MaskDepthNet, width=0.125, tasks=("depth",)), steps=1, val=(Squares(4), 1))
    assert (
        "depth" in history[0] and "mask" not in history[0] and "val_iou" not in history[0] and "val_rmse" in history[0]
    )


def test_a_loss_can_be_any_function():
    loss_of_one = lambda output, batch: (output.sigmoid() - batch["mask"]).abs().mean()  # noqa: E731
    history = small_fit(new_net(), loss=loss_of_one, steps=2)
    assert 0 < history[0]["loss"] < 1 and "mask" not in history[0]


def test_sgd_without_momentum_is_the_default_as_in_the_write_up():
    """One step of fit is w - 0.01 * gradient, computed here by hand."""
    model, reference, data = new_net(), new_net(), Squares()
    samples = torch.utils.data.default_collate([data[i] for i in batch_indices(0, 4, len(data), 0)])
    reference.train()
    sum(mask_and_depth_loss(reference(samples["image"], samples["background"]), samples).values()).backward()
    fit(model, data, steps=1, batch=4, precision="float32", device="cpu", progress=False)
    for after, before in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(after, before - 0.01 * before.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_every_precision_trains(precision):
    model = new_net()
    history = small_fit(model, steps=8, precision=precision)
    assert history[-1]["loss"] < history[0]["loss"]
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"batch": 2.5}, {"log_every": 0}, {"steps": 0}, {"val": (Squares(), 0)}, {"val_samples": 0}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.*: expected a whole number above 0, found (0|2.5)"):
        fit(new_net(), Squares(), **{"steps": 1, "batch": 2, "progress": False, "device": "cpu"} | wrong)


def test_a_large_seed_trains():
    assert small_fit(new_net(), steps=1, seed=2**60)[-1]["loss"] > 0


def test_precision_follows_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))  # a T4
    assert devices.choose_precision("auto", "cuda") == "fp16"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert devices.choose_precision("auto", "cuda") == "bf16"
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda: False, raising=False)
    assert devices.choose_precision("auto", "cpu") == "float32"


def test_the_caller_keeps_the_random_numbers():
    model = new_net()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small_fit(model, steps=2)
    assert torch.equal(torch.rand(3), expected)


# --- the order of samples, the learning rate


def test_an_epoch_shows_every_sample_once():
    seen = [index for step in range(10) for index in batch_indices(step, 4, 20, seed=3)]
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20)) and seen[:20] != seen[20:]
    assert batch_indices(2, 4, 10, 0)[:2] == permutation(10, 0, 0)[8:].tolist()  # a batch may reach into the next epoch
    assert batch_indices(2, 4, 10, 0)[2:] == permutation(10, 0, 1)[:2].tolist()


def test_some_layers_may_learn_faster_and_a_run_with_them_resumes_exactly(tmp_path):
    parameters = dict(new_net().named_parameters())
    first = next(iter(parameters)).split(".")[0]
    groups = lr_groups(parameters, {first: 3.0})
    assert [group["factor"] for group in groups] == [1.0, 3.0]
    assert groups[1]["params"] == [one for name, one in parameters.items() if name.startswith(first)]
    assert sum(len(group["params"]) for group in groups) == len(parameters)
    assert [group["factor"] for group in lr_groups(parameters, None)] == [1.0]
    with pytest.raises(ValueError, match="no parameter of this network has a name like 'nonsense'"):
        lr_groups(parameters, {"nonsense": 2.0})

    runs, arguments = {}, {"lr": 1e-3, "optimizer": "adamw"}
    for factor in (1.0, 0.0):  # 0: these layers stay as they are
        network = new_net()
        small_fit(network, steps=2, lr_factors={first: factor}, **arguments)
        runs[factor] = network.state_dict()
    start = new_net().state_dict()
    frozen = [name for name in parameters if torch.equal(runs[0.0][name], start[name])]
    assert frozen and all(name.startswith(first) for name in frozen)
    assert not any(torch.equal(runs[1.0][name], start[name]) for name in parameters)

    whole, parts = new_net(), new_net()
    small_fit(whole, steps=4, lr_factors={first: 3.0}, **arguments)
    small_fit(parts, steps=2, lr_factors={first: 3.0}, out=tmp_path, **arguments)
    small_fit(parts, steps=4, lr_factors={first: 3.0}, out=tmp_path, **arguments)
    assert all(torch.equal(one, parts.state_dict()[name]) for name, one in whole.state_dict().items())
    with pytest.raises(TrainingError, match="lr_factors"):
        small_fit(new_net(), steps=5, out=tmp_path, lr_factors={first: 2.0}, **arguments)


def test_schedules():
    assert schedule_factor("constant", 0.7) == 1
    values = [schedule_factor("one-cycle", i / 100) for i in range(101)]
    assert max(values) == pytest.approx(1) and values.index(max(values)) == 15
    assert values[0] == pytest.approx(0.04) and values[-1] == pytest.approx(0, abs=1e-9)
    assert schedule_factor(lambda progress: 2 * progress, 0.25) == 0.5
    history = small_fit(new_net(), steps=4, lr=1e-3, schedule=lambda progress: progress)
    assert [record["lr"] for record in history] == pytest.approx([0, 0.25e-3, 0.5e-3, 0.75e-3])


# --- going on


INTERRUPTED = {
    "default": {},
    "one-cycle": {"momentum": 0.9, "schedule": "one-cycle", "log_every": 5},
    "adamw-bf16": {"optimizer": "adamw", "lr": 1e-3, "precision": "bf16"},
    "fp16": {"precision": "fp16", "momentum": 0.9},
    "dropout": {"kind": Dropping, "precision": "float32"},
    "learned-weights": {"kind": MaskDepthNet, "weighting": UncertaintyWeighting, "lr": 0.01, "momentum": 0.9},
    "workers": {"workers": 2},
    "validation": {"val": (Squares(8), 3), "val_samples": 4},
}


@pytest.mark.parametrize("options", INTERRUPTED.values(), ids=INTERRUPTED)
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, options):
    """Stopped after every second step or so, it ends with the same losses and weights, bit for bit."""
    options = dict(options)
    kind = options.pop("kind", MaskNet)
    build = functools.partial(new_net, kind, **({"width": 0.125} if kind is MaskDepthNet else {}))

    def make():
        return options | ({"weighting": options["weighting"]()} if "weighting" in options else {})

    expected_model = build()
    expected = small_fit(expected_model, tmp_path / "once", **make() | {"workers": 0})

    for stop in range(20):
        model = build()
        if stop:  # all must come from the checkpoint, nothing from what the model was
            torch.nn.init.zeros_(next(model.parameters()))
        history = small_fit(model, tmp_path / "parts", max_minutes=0 if stop % 2 else 1e-4, **make())
        if history and history[-1]["step"] == 12:
            break
    assert stop > 1
    assert figures(history) == figures(expected)
    assert same_tensors(model, expected_model)


def test_a_run_can_be_prolonged_and_a_finished_one_is_not_repeated(tmp_path, capsys):
    whole = small_fit(new_net(), tmp_path / "whole")
    small_fit(new_net(), tmp_path / "parts", steps=5)
    model = new_net()
    assert figures(small_fit(model, tmp_path / "parts", progress=True)) == figures(whole)
    assert "going on from step 5 of 12" in capsys.readouterr().out
    again = new_net()
    assert len(small_fit(again, tmp_path / "parts", progress=True)) == 12 and same_tensors(again, model)
    assert "Finished: 12 steps" in capsys.readouterr().out


def test_start_over(tmp_path):
    small_fit(new_net(), tmp_path, steps=5, lr=0.01)
    history = small_fit(new_net(), tmp_path, steps=2, resume=False)
    assert [record["step"] for record in history] == [1, 2]
    assert [path.name for path in list_run(tmp_path)] == ["step-00000002"]


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(tmp_path, capsys, workers):
    """With workers too, to which a terminal sends it as well."""
    handler = signal.getsignal(signal.SIGINT)
    data = Squares(interrupt_at=permutation(40, 0, 0)[17].item())  # a sample of the fifth step
    history = small_fit(new_net(), tmp_path, dataset=data, workers=workers, progress=True)
    if workers:  # only the worker got it here, and must not die of it
        assert len(history) == 12
    else:
        text = capsys.readouterr().out
        assert f"Stopped by Ctrl-C at step 5 of 12, saved in {tmp_path}. To go on" in text
        assert len(history) == 5 and signal.getsignal(signal.SIGINT) == handler
        assert figures(small_fit(new_net(), tmp_path)) == figures(small_fit(new_net()))


def test_ctrl_c_without_a_folder_keeps_the_network(capsys):
    data = Squares(interrupt_at=permutation(40, 0, 0)[9].item())
    assert len(small_fit(new_net(), dataset=data, progress=True)) == 3
    assert "The network keeps what it has learned" in capsys.readouterr().out


# --- what goes wrong is said


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    small_fit(new_net(), tmp_path, steps=2)
    with pytest.raises(TrainingError, match=r"other settings: lr is 0.05 there and 0.1 here.*resume=False"):
        small_fit(new_net(), tmp_path, lr=0.1)
    with pytest.raises(TrainingError, match=r"network.parameters is \d+ there and \d+ here"):
        small_fit(new_net(width=8), tmp_path)
    with pytest.raises(TrainingError, match=r"dataset.size is 32 there and 64 here"):
        small_fit(new_net(), tmp_path, dataset=Squares(size=64))
    assert len(small_fit(new_net(), tmp_path)) == 12  # none of them spoiled it


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, capsys):
    expected = small_fit(new_net(), tmp_path, save_minutes=0)
    newest, before = list_run(tmp_path)
    content = bytearray((newest / "model.safetensors").read_bytes())
    content[-10] ^= 1  # a single bit
    (newest / "model.safetensors").write_bytes(content)
    assert figures(small_fit(new_net(), tmp_path)) == figures(expected)
    assert f"{newest} is damaged" in capsys.readouterr().out
    for folder in list_run(tmp_path):
        (folder / "state.json").write_text("{")
    with pytest.raises(CheckpointError, match="is damaged.*resume=False"):
        small_fit(new_net(), tmp_path)


def test_a_full_disk_is_said_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch):
    small_fit(new_net(), tmp_path, steps=3)
    real = os.fsync

    def full(handle):
        if not os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"the disk is full .*last good checkpoint is .*step-00000003"):
        small_fit(new_net(), tmp_path)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "step-00000003", "tensorboard"]
    assert figures(small_fit(new_net(), tmp_path)) == figures(small_fit(new_net()))


def test_two_runs_in_one_folder_refuse_each_other(tmp_path):
    with run.lock(tmp_path):
        with pytest.raises(TrainingError, match="another run is training in this folder"):
            small_fit(new_net(), tmp_path)
    assert len(small_fit(new_net(), tmp_path, steps=1)) == 1


def test_a_loss_that_explodes_stops_the_run_and_is_not_saved(tmp_path):
    small_fit(new_net(), tmp_path, steps=2, lr=0.05)

    def explode(output, batch):
        return output.mean() * float("inf")

    explode.__qualname__ = mask_and_depth_loss.__qualname__
    with pytest.raises(TrainingError, match="the loss became (inf|-inf|nan) by step 3: a smaller lr may help"):
        small_fit(new_net(), tmp_path, loss=explode)
    assert list_run(tmp_path)[0].name == "step-00000002"


def test_wrong_arguments(tmp_path):
    for options, message in [
        ({"samples": 5}, "either steps= or samples="),
        ({"precision": "half"}, "precision: expected auto"),
        ({"optimizer": "adam"}, "optimizer: expected sgd or adamw; found 'adam'"),
        ({"schedule": "cosine"}, "schedule: expected constant, one-cycle"),
    ]:
        with pytest.raises(ValueError, match=message):
            small_fit(new_net(), **options)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="not a folder"):
        small_fit(new_net(), tmp_path / "file")


# --- what lies in the folder


def test_checkpoints_are_safetensors_and_json_and_tensorboard_shows_the_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    small_fit(new_net(MaskDepthNet, width=0.125), tmp_path, steps=4, val=(Squares(6), 2), momentum=0.9)
    newest = list_run(tmp_path)[0]
    assert sorted(path.name for path in newest.iterdir()) == [
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]
    state = json.loads((newest / "state.json").read_text())
    assert state["step"] == 4 and len(state["history"]) == 4 and state["config"]["lr"] == 0.05
    _, metadata = read_weights(newest / "model.safetensors")
    assert metadata["network"] == "MaskDepthNet" and metadata["size"] == 32 and metadata["training"]["step"] == 4

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = events.Tags()
    assert {"train/loss", "train/mask", "train/lr", "val/iou", "val/rmse"} <= set(tags["scalars"])
    assert {"speed/data_seconds", "usage/memory_mb", "usage/cpu_cores"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("val/iou")] == [2, 4]
    picture = events.Images(tags["images"][0])[-1]
    assert (picture.width, picture.height) == (6 * 32, 4 * 32)


def test_only_two_checkpoints_are_kept(tmp_path):
    small_fit(new_net(), tmp_path, save_minutes=0)
    assert [path.name for path in list_run(tmp_path)] == ["step-00000012", "step-00000011"]
