"""Feature maps: the sizes are the network's, cut skips are cut, and the network stays as it was."""

import base64
import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils.course.widgets import feature_maps, parts
from maskdepth_utils.course.widgets.feature_widget import HEAD, draw_stage
from maskdepth_utils.course.widgets.features import SKIPS, Stage, collect_features
from maskdepth_utils.inference.predictor import Predictor
from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.blocks import LAYERS
from maskdepth_utils.models.differences import match_exposure

PAIR = [np.random.default_rng(seed).integers(0, 256, (64, 80, 3), np.uint8) for seed in (0, 1)]
TENSORS = [torch.tensor(picture).permute(2, 0, 1)[None] / 255 for picture in PAIR]


def make_network(**arguments):
    torch.manual_seed(0)
    return MaskDepthNet(width=0.25, **arguments).eval()


@pytest.fixture(scope="module")
def model():
    return make_network()


@pytest.fixture
def shown(monkeypatch):
    """What is displayed."""
    displayed = []
    monkeypatch.setattr(parts, "display", lambda data, raw: displayed.append(data))
    return displayed


@torch.no_grad()
def predicts_like(features, model):
    output = model(*TENSORS)
    mask, depth = output.mask_logits[0, 0].sigmoid().numpy(), output.depth[0, 0].numpy() * 10
    return np.allclose(features.mask, mask, atol=1e-6) and np.allclose(features.depth, depth, atol=1e-5)


def test_stages_are_what_the_modules_put_out(model):
    features = collect_features(model, *PAIR)
    assert predicts_like(features, model) and np.array_equal(features.image, PAIR[0])
    stages = {stage.name: stage for stage in features.stages}
    assert len(stages) == len(features.stages) == 5 + 1 + 2 * 6
    pair = (torch.cat([TENSORS[0], match_exposure(*TENSORS)], dim=1) - model.mean) / model.std
    with torch.no_grad():
        for name, part in zip(LAYERS, model.encoder(pair)):
            assert np.allclose(stages[f"encoder, {name}"].maps, part[0].numpy(), atol=1e-5)
    assert stages["encoder, layer 1"].size == "16 x 16 x 20"
    assert stages["detail of the two pictures"].size == "32 x 64 x 80"
    assert stages["mask branch, block 4"].size == "16 x 32 x 40"
    assert stages["depth branch, mixed with detail"].size == "16 x 64 x 80"


@pytest.mark.parametrize("skips", [False, "laterals", "detail"])
def test_a_cut_skip_is_a_lateral_of_zero(model, skips):
    cut = copy.deepcopy(model)
    for name, parameter in cut.named_parameters():
        if ".lateral." in name and skips != ("laterals" if ".ups." in name else "detail"):
            parameter.data.zero_()
    features = collect_features(model, *PAIR, skips=skips)
    assert predicts_like(features, cut) and not predicts_like(features, model)
    detail = next(stage for stage in features.stages if stage.name.startswith("detail"))
    assert (detail.maps == 0).all() == (skips != "detail")  # what is shown is what is handed on
    for stage, whole in zip(features.stages[:5], collect_features(model, *PAIR).stages):
        assert np.array_equal(stage.maps, whole.maps)


def test_the_network_stays_as_it_was(model):
    model = copy.deepcopy(model).train()
    before = copy.deepcopy(model.state_dict())
    model.encoder.eval()  # as if part of it were frozen
    for skips in SKIPS.values():
        collect_features(model, *PAIR, skips=skips)
    assert model.training and model.branches.training and not model.encoder.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("arguments, count", [
    ({"skips": False}, 5 + 2 * 5), ({"tasks": ("depth",)}, 5 + 1 + 6), ({"stem": "3x3", "detail": False}, 5 + 2 * 5),
    ({"detail": "raw"}, 5 + 1 + 2 * 6),
])  # fmt: skip
def test_every_variant_of_the_network(arguments, count):
    assert len(collect_features(make_network(**arguments), *PAIR, skips=False).stages) == count


def test_predictors_and_refused_input(model):
    predictor = Predictor(copy.deepcopy(model), {"size": 40}, device="cpu")
    assert collect_features(predictor, *PAIR).mask.shape == (32, 40)  # at the size that it predicts at
    with pytest.raises(TypeError, match="found MaskNet"):
        collect_features(MaskNet(8), *PAIR)
    with pytest.raises(ValueError, match="equal sizes"):
        collect_features(model, PAIR[0], PAIR[1][:40])
    with pytest.raises(ValueError, match="skips: expected one of"):
        collect_features(model, *PAIR, skips="encoder")


def test_a_page_shows_the_most_varied_channels_pixel_by_pixel():
    maps = np.zeros((20, 4, 4), np.float32)
    maps[13, 0, 0], maps[7, 0, 1] = 5, 2
    stage = Stage("test", maps)
    assert stage.order[:2].tolist() == [13, 7]
    page = draw_stage(stage, stage.order)
    dark, bright = page[HEAD + 159, 0], page[HEAD, 0]
    first, second = page[HEAD : HEAD + 160, :160], page[HEAD : HEAD + 160, 164:324]
    assert (first[:40, :40] == bright).all() and (first[40:] == dark).all() and bright.sum() > dark.sum()
    assert (second[:40, 40:80] == bright).all() and (second[:, :40] == dark).all()  # each channel has its own scale


def test_moving_the_controls(model, shown):
    box = feature_maps(model, *PAIR)
    picture = Image.open(io.BytesIO(base64.b64decode(shown[0]["image/png"])))  # for readers without a kernel
    assert picture.format == "PNG" and picture.width > 900 and len(shown[0]["image/png"]) < 200_000
    box.set(stage=4)
    box.set(page=2)
    assert box.note.value.startswith("encoder, layer 4: 128 channels of 2 x 3 numbers")
    assert box.controls["page"].max == 8 and box.controls["page"].value == 2
    pages = [box.page.value]
    for name, value in (("stage", 9), ("stage", 4), ("page", 3)):
        box.controls[name].value = value
        pages.append(box.page.value)
    assert len(set(pages)) == 4
    depth = box.tiles.images["depth"].value
    box.set(stage=9, skips=False)
    assert "no skips: IoU with the all-skips mask" in box.note.value and box.tiles.images["depth"].value != depth
    whole, cut = (collect_features(model, *PAIR, skips=skips).stages[9] for skips in (True, False))
    page = draw_stage(cut, whole.order, remark="; no skips")  # channels keep their places
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(box.page.value))), page)
    box.controls["skips"].value = True
    assert box.tiles.images["depth"].value == depth
