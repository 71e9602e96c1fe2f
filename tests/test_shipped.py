"""The shipped network does on held-out rooms and objects what its model card says: a part of that evaluation."""

from pathlib import Path

import pytest
from torch.utils.data import Subset

from maskdepth_utils import load_pretrained, metrics, office
from maskdepth_utils.data import MaskDepthDataset, SceneDataset, loader

OFFICES = Path(__file__).resolve().parents[2] / "shared" / "office-photos"


@pytest.fixture(scope="module")
def predict():
    predictor = load_pretrained(device="cpu")
    return metrics.network_predict(predictor.model)


def scores(predict, dataset, count):
    return metrics.evaluate(predict, loader(Subset(dataset, range(count)), batch=20))


def test_composites(predict):
    found = scores(predict, MaskDepthDataset("test", gap="tripod"), 120)
    assert found["iou"] >= 0.85 and found["rmse"] <= 0.06
    assert found["delta1"] >= 0.9


def test_scenes_in_real_light(predict):
    found = scores(predict, SceneDataset(gap="tripod"), 60)
    assert found["iou"] >= 0.83 and found["rmse"] <= 0.06


@pytest.mark.skipif(not OFFICES.is_dir(), reason="the 2020 project's own pictures are not at hand")
@pytest.mark.parametrize("gap, least", [("none", 0.92), ("tripod", 0.90)])
def test_real_offices(predict, monkeypatch, gap, least):
    monkeypatch.setenv(office.FOLDER_VARIABLE, str(OFFICES))
    means = metrics.Means()
    for batch in loader(Subset(office.OfficeDataset(gap), range(200)), batch=20):
        means.add(iou=metrics.iou(predict(batch["image"], batch["background"])[0], batch["mask"]))
    assert means.mean()["iou"] >= least
