"""The shipped network matches its model card on held-out rooms and objects."""

import json
import os
from functools import partial
from pathlib import Path

import pytest
from torch.utils.data import Subset

from maskdepth_utils import load_pretrained
from maskdepth_utils.data import MaskDepthDataset, SceneDataset, make_loader, offices
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.files import data_dir

OFFICES = Path(os.environ.get(offices.FOLDER_VARIABLE) or Path(__file__).resolve().parents[3] / "shared/office-photos")
TOLERANCE = {"iou": 0.02, "rmse": 0.006, "delta1": 0.02}  # 60 composites are a part of those in the model card


@pytest.fixture(scope="module")
def score():
    """A function (dataset, count) -> the shipped network's mean figures on `count` of its samples."""
    predict = network_predict(load_pretrained(device="cpu").model)
    return lambda dataset, count: evaluate(predict, make_loader(Subset(dataset, range(count)), batch=20))


@pytest.mark.parametrize(
    "row, dataset, count",
    [
        ("composites, `tripod`", partial(MaskDepthDataset, "test", gap="tripod"), 60),
        ("scenes in soft light, `tripod`", partial(SceneDataset, gap="tripod"), 100),
    ],
)
def test_the_model_cards_figures(score, row, dataset, count):
    runs = json.loads((data_dir() / "results" / "evaluation.json").read_text(encoding="utf8"))["runs"]
    expected = next(run["results"]["MaskDepthNet"] for run in runs if run["row"] == row)
    found = score(dataset(), count)
    for name, tolerance in TOLERANCE.items():
        assert found[name] == pytest.approx(expected[name], abs=tolerance), name


@pytest.mark.skipif(not OFFICES.is_dir(), reason=f"the pictures of 2020 are not here ({offices.FOLDER_VARIABLE})")
@pytest.mark.parametrize("gap, least", [("none", 0.92), ("tripod", 0.90)])
def test_real_offices(score, monkeypatch, gap, least):
    monkeypatch.setenv(offices.FOLDER_VARIABLE, str(OFFICES))
    assert score(offices.OfficeDataset(gap), 100)["iou"] >= least
