"""The shipped network does on held-out rooms and objects what its model card says: a part of that evaluation."""

import json
import os
from pathlib import Path

import pytest
from torch.utils.data import Subset

from maskdepth_utils import load_pretrained, metrics
from maskdepth_utils.data import MaskDepthDataset, SceneDataset, make_loader, offices
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.files import data_dir

OFFICES = Path(os.environ.get(offices.FOLDER_VARIABLE) or Path(__file__).resolve().parents[2] / "shared/office-photos")
# What a part of the pictures may be off from all of them.
PART = {"iou": 0.02, "rmse": 0.006, "delta1": 0.02}


@pytest.fixture(scope="module")
def predict():
    predictor = load_pretrained(device="cpu")
    return network_predict(predictor.model)


def scores(predict, dataset, count):
    return evaluate(predict, make_loader(Subset(dataset, range(count)), batch=20))


def card(row) -> dict:
    """The network's figures in a row of the model card."""
    runs = json.loads((data_dir() / "results" / "evaluation.json").read_text(encoding="utf8"))["runs"]
    return next(run["results"]["MaskDepthNet"] for run in runs if run["row"] == row)


def check(found, expected):
    for name, off in PART.items():
        assert abs(found[name] - expected[name]) < off, f"{name}: {found[name]:.3f}, the card says {expected[name]:.3f}"


def test_composites(predict):
    check(scores(predict, MaskDepthDataset("test", gap="tripod"), 120), card("composites, `tripod`"))


def test_scenes_in_real_light(predict):
    check(scores(predict, SceneDataset(gap="tripod"), 60), card("scenes in real light, `tripod`"))


@pytest.mark.skipif(
    not OFFICES.is_dir(), reason=f"the 2020 project's own pictures are not at hand ({offices.FOLDER_VARIABLE})"
)
@pytest.mark.parametrize("gap, least", [("none", 0.92), ("tripod", 0.90)])
def test_real_offices(predict, monkeypatch, gap, least):
    monkeypatch.setenv(offices.FOLDER_VARIABLE, str(OFFICES))
    means = metrics.Means()
    for batch in make_loader(Subset(offices.OfficeDataset(gap), range(200)), batch=20):
        means.add(iou=metrics.iou(predict(batch["image"], batch["background"])[0], batch["mask"]))
    assert means.mean()["iou"] >= least
