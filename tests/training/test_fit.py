"""What `fit` computes: the steps of notebook 02, in every precision, with any loss, and the history of a run."""

import numpy as np
import pytest
import torch
from small_training import TIMES, Squares, new_net, same_tensors, small_fit
from torch.utils.data import default_collate

from maskdepth_utils import devices
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.training import fit, mask_and_depth_loss
from maskdepth_utils.training.schedule import batch_indices, learning_rate, permutation
from maskdepth_utils.training.settings import Settings


def test_it_learns_and_records_what_it_did():
    model = new_net(width=8)
    history = small_fit(model, steps=40, log_every=10, momentum=0.9, val=(Squares(16), 20), val_samples=8)
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert [record["step"] for record in history] == [10, 20, 30, 40]
    assert history[-1]["samples"] == 160 and history[-1]["mask"] == pytest.approx(history[-1]["loss"])
    assert {"lr", *TIMES} <= history[0].keys()
    assert "val_iou" not in history[0] and 0 <= history[1]["val_iou"] <= 1 and "val_loss" in history[3]
    assert not model.training  # ready to predict


def test_one_step_moves_the_weights_against_the_gradient():
    """By default w - 0.01 * gradient, as in the write-up; computed here by hand."""
    model, reference, data = new_net(), new_net(), Squares()
    samples = default_collate([data[i] for i in batch_indices(0, 4, len(data), 0)])
    reference.train()
    sum(mask_and_depth_loss(reference(samples["image"], samples["background"]), samples).values()).backward()
    fit(model, data, steps=1, batch=4, precision="float32", device="cpu", progress=False)
    for after, before in zip(model.parameters(), reference.parameters()):
        torch.testing.assert_close(after, before - 0.01 * before.grad, rtol=1e-4, atol=1e-6)


def mean_difference(output, batch):
    return (output.sigmoid() - batch["mask"]).abs().mean()


@pytest.mark.parametrize(
    "network, options, expected",
    [
        ({"kind": MaskDepthNet, "width": 0.125}, {}, {"loss", "mask", "depth", "val_iou", "val_rmse"}),
        ({"kind": MaskDepthNet, "width": 0.125, "tasks": ("depth",)}, {}, {"loss", "depth", "val_rmse"}),
        ({"width": 4}, {"loss": mean_difference}, {"loss", "val_iou"}),
        ({"width": 4}, {"weighting": lambda terms: 2 * terms["mask"]}, {"loss", "mask", "val_iou"}),
    ],
    ids=["two tasks", "depth alone", "a scalar loss", "a weighting"],
)
def test_the_history_has_every_loss(network, options, expected):
    [record] = small_fit(new_net(**network), steps=1, val=(Squares(4), 1), **options)
    assert expected <= record.keys()
    assert not {"mask", "depth", "val_iou", "val_rmse"} & record.keys() - expected
    factor = 2 if "weighting" in options else 1
    terms = [record[name] for name in ("mask", "depth") if name in record]
    assert record["loss"] == pytest.approx(factor * sum(terms) if terms else record["loss"])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_gives_about_the_same_steps(precision):
    losses = {}
    for name in ("float32", precision):
        model = new_net(width=2)
        losses[name] = [record["loss"] for record in small_fit(model, steps=3, batch=2, precision=name)]
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert losses[precision] == pytest.approx(losses["float32"], rel=0.02) and losses[precision] != losses["float32"]


def test_precision_follows_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))  # a T4
    assert devices.choose_precision("auto", "cuda") == "fp16"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert devices.choose_precision("auto", "cuda") == "bf16"
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda: False, raising=False)
    assert devices.choose_precision("auto", "cpu") == "float32"


def test_the_caller_keeps_the_random_numbers():
    model = new_net(width=4)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small_fit(model, steps=2, seed=2**60)
    assert torch.equal(torch.rand(3), expected)


# --- settings


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"batch": 0}, "batch: expected a whole number of at least 1, found 0"),
        ({"batch": 2.5}, "batch: expected a whole number of at least 1, found 2.5"),
        ({"steps": float("inf")}, "steps: expected a whole number of at least 1, found inf"),
        ({"steps": "3"}, "steps: expected a whole number of at least 1, found '3'"),
        ({"lr": float("nan")}, "lr: expected a number of at least 0, found nan"),
        ({"samples": 5}, "either steps= or samples="),
        ({"steps": None}, "either steps= or samples="),
        ({"precision": "half"}, "precision: expected auto"),
        ({"optimizer": "adam"}, "optimizer: expected sgd, adamw; found 'adam'"),
        ({"val": (Squares(), 0)}, "val: expected"),
        ({"dataset": Squares(0)}, "dataset: expected samples, found none"),
        ({"lr_factors": {"nonsense": 2.0}}, "no parameter of this network has a name like 'nonsense'"),
    ],
)
def test_invalid_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        fit(new_net(), wrong.pop("dataset", Squares()), **{"steps": 1, "device": "cpu", "progress": False} | wrong)


def test_settings_can_be_given_whole_or_in_parts():
    settings = Settings(samples=np.int64(9), batch=4, lr=np.float64(0.02))
    assert settings.total_steps == 3 and type(settings.lr) is float and type(settings.samples) is int
    models = [new_net(width=4) for _ in range(2)]
    fit(models[0], Squares(), settings, momentum=0.9, device="cpu", progress=False)
    fit(models[1], Squares(), samples=9, batch=4, lr=0.02, momentum=0.9, device="cpu", progress=False)
    assert same_tensors(*models)


# --- the order of samples, the learning rate


def test_an_epoch_shows_every_sample_once():
    seen = [index for step in range(10) for index in batch_indices(step, 4, 20, seed=3)]
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20)) and seen[:20] != seen[20:]
    # a batch may reach into the next epoch
    assert batch_indices(2, 4, 10, 0) == permutation(10, 0, 0)[8:].tolist() + permutation(10, 0, 1)[:2].tolist()


def test_some_layers_may_learn_slower():
    model, start = new_net(), dict(new_net().named_parameters())
    small_fit(model, steps=1, lr_factors={"down.0": 0})
    still = [name for name, one in model.named_parameters() if torch.equal(one, start[name])]
    assert still == [name for name in start if name.startswith("down.0")]


def test_schedules():
    constant, one_cycle = (Settings(steps=100, lr=1.0, schedule=name) for name in ("constant", "one-cycle"))
    assert learning_rate(constant, 70) == 1
    values = [learning_rate(one_cycle, step) for step in range(101)]
    assert values.index(max(values)) == 15 and max(values) == pytest.approx(1)
    assert values[0] == pytest.approx(0.04) and values[-1] == pytest.approx(0, abs=1e-9)
    history = small_fit(new_net(width=4), steps=4, lr=1e-3, schedule="one-cycle")
    assert [record["lr"] for record in history] == [1e-3 * values[i] for i in (0, 25, 50, 75)]
