"""Feature maps: the sizes are the network's, cut skips are cut, and the network stays as it was."""

import base64
import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils.course.widgets import parts, stages
from maskdepth_utils.course.widgets.stages import SKIPS, collect
from maskdepth_utils.course.widgets.stages_box import HEAD, Walk, draw_stage, feature_maps
from maskdepth_utils.inference.predictor import Predictor
from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.blocks import LAYERS
from maskdepth_utils.models.differences import match_exposure

PAIR = [np.random.default_rng(seed).integers(0, 256, (64, 80, 3), np.uint8) for seed in (0, 1)]
TENSORS = [torch.tensor(picture).permute(2, 0, 1)[None] / 255 for picture in PAIR]


def network(**arguments):
    torch.manual_seed(0)
    return MaskDepthNet(width=0.25, **arguments).eval()


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture
def shown(monkeypatch):
    """What is displayed."""
    displayed = []
    monkeypatch.setattr(parts, "display", lambda data, raw: displayed.append(data))
    return displayed


def outputs(model, pair=TENSORS):
    with torch.no_grad():
        return model(*pair)


def same(run, output):
    mask, depth = output.mask_logits[0, 0].sigmoid().numpy(), output.depth[0, 0].numpy() * 10
    return np.allclose(run.mask, mask, atol=1e-6) and np.allclose(run.depth, depth, atol=1e-5)


def test_stages_are_what_the_modules_put_out(model):
    run = collect(model, *PAIR)
    assert same(run, outputs(model))
    stages = {stage.name: stage for stage in run.stages}
    assert len(stages) == len(run.stages) == 5 + 1 + 2 * 6
    pair = (torch.cat([TENSORS[0], match_exposure(*TENSORS)], dim=1) - model.mean) / model.std
    with torch.no_grad():
        for name, part in zip(LAYERS, model.encoder(pair)):
            assert np.allclose(stages[f"encoder, {name}"].maps, part[0].numpy(), atol=1e-5)
    assert stages["encoder, layer 1"].size == "16 x 16 x 20"
    assert stages["detail of the two pictures"].size == "32 x 64 x 80"
    assert stages["mask branch, block 4"].size == "16 x 32 x 40"
    assert stages["depth branch, mixed with detail"].size == "16 x 64 x 80"


@pytest.mark.parametrize("skips", [False, "laterals", "detail"])
def test_cut_skips_are_laterals_of_zero(model, skips):
    cut = copy.deepcopy(model)
    for name, parameter in cut.named_parameters():
        from_encoder, from_detail = ".ups." in name and ".lateral." in name, ".lateral." in name and ".ups." not in name
        if from_encoder and skips != "laterals" or from_detail and skips != "detail":
            parameter.data.zero_()
    run = collect(model, *PAIR, skips=skips)
    assert same(run, outputs(cut)) and not same(run, outputs(model))
    detail = next(stage for stage in run.stages if stage.name.startswith("detail"))
    assert (detail.maps == 0).all() == (skips != "detail")  # what is shown is what is handed on
    encoder = [stage.maps for stage in collect(model, *PAIR).stages[:5]]
    assert all(np.array_equal(stage.maps, one) for stage, one in zip(run.stages, encoder))


def test_the_network_stays_as_it_was(model):
    before = copy.deepcopy(model.state_dict())
    model.train()
    model.encoder.eval()  # part of it is frozen, say
    try:
        for skips in SKIPS.values():
            collect(model, *PAIR, skips=skips)
        assert model.training and model.branches.training and not model.encoder.training
    finally:
        model.eval()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_hooks_go_even_if_the_network_fails(model, monkeypatch):
    monkeypatch.setattr(model.branches["depth"].head, "forward", lambda x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        collect(model, *PAIR, skips=False)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("arguments, count", [
    ({"skips": False}, 5 + 2 * 5), ({"tasks": ("depth",)}, 5 + 1 + 6), ({"stem": "3x3", "detail": False}, 5 + 2 * 5),
    ({"detail": "raw"}, 5 + 1 + 2 * 6),
])  # fmt: skip
def test_every_variant_of_the_network(arguments, count, shown):
    net = network(**arguments)
    box = feature_maps(net, *PAIR)
    assert len(box.walk.run(True).stages) == count
    assert box.controls["skips"].disabled == (arguments.get("skips") is False)
    assert (box.walk.run(True).mask is None) == ("tasks" in arguments)
    box.controls["skips"].value = False
    assert box.tiles.images["depth"].value


def test_a_predictor_a_sample_s_tensors_and_a_wrong_network(model):
    predictor = Predictor(copy.deepcopy(model), {"size": 40}, device="cpu")
    assert collect(predictor, *PAIR).mask.shape == (32, 40)  # as it would predict: at its own size
    assert np.array_equal(collect(model, TENSORS[0][0], TENSORS[1][0]).depth, collect(model, *PAIR).depth)
    with pytest.raises(TypeError, match="found MaskNet"):
        collect(MaskNet(8), *PAIR)
    with pytest.raises(ValueError, match="equal sizes"):
        collect(model, PAIR[0], PAIR[1][:40])
    with pytest.raises(ValueError, match="skips: expected one of"):
        collect(model, *PAIR, skips="encoder")


def test_a_page_shows_the_most_varied_channels_pixel_by_pixel():
    maps = np.zeros((20, 4, 4), np.float32)
    maps[13, 0, 0], maps[7, 0, 1] = 5, 2
    stage = stages.Stage("test", maps)
    assert stage.order[:2].tolist() == [13, 7] and stage.pages == 2
    page = draw_stage(stage, colors="gray")
    top = HEAD
    first, second = page[top : top + 160, :160, 0], page[top : top + 160, 164:324, 0]
    assert (first[:40, :40] == 255).all() and (first[40:] == 0).all()
    assert (second[:40, 40:80] == 255).all() and (second[:, :40] == 0).all()  # each channel has its own scale
    last = draw_stage(stage, page=1, colors="gray")
    assert last.shape == page.shape and np.array_equal(last, draw_stage(stage, page=9, colors="gray"))
    assert (last[top + 200 :] == 255).all()  # four channels are left, one row
    assert not np.array_equal(draw_stage(stage, colors="viridis"), page)


def test_moving_the_controls(model, shown):
    box = feature_maps(model, *PAIR, stage=4, page=2)
    note, calls = box.children[1], []
    assert note.value.startswith("encoder, layer 4: 128 channels of 2 x 3 numbers")
    assert box.controls["page"].max == 8 and box.controls["page"].value == 2
    hook = model.register_forward_hook(lambda *call: calls.append(1))
    seen = {box.page.value}
    for name, value in (("stage", 9), ("stage", 4), ("page", 3), ("colors", "gray"), ("stage", 0), ("page", 1)):
        box.controls[name].value = value
        seen.add(box.page.value)
    hook.remove()
    assert not calls and len(seen) >= 5  # looking around runs the network no more
    depth = box.tiles.images["depth"].value
    box.controls["stage"].value, box.controls["skips"].value = 9, False
    assert "no skips: IoU of the mask" in note.value and box.tiles.images["depth"].value != depth
    page = np.asarray(Image.open(io.BytesIO(box.page.value)))
    assert np.array_equal(page, box.walk.draw(9, 0, False, "gray"))
    box.controls["skips"].value = True
    assert box.tiles.images["depth"].value == depth


def test_channels_keep_their_places_when_skips_are_cut(model):
    walk = Walk(model, *PAIR)
    whole, cut = walk.draw(9), walk.draw(9, skips=False)
    order = walk.run(True).stages[9].order
    assert np.array_equal(cut, draw_stage(walk.run(False).stages[9], 0, order, remark="; no skips"))
    assert whole.shape == cut.shape


def test_readers_without_a_kernel_get_a_picture(model, shown):
    feature_maps(model, *PAIR)
    assert len(shown) == 1
    picture = Image.open(io.BytesIO(base64.b64decode(shown[0]["image/png"])))
    assert picture.format == "PNG" and picture.width > 900 and len(shown[0]["image/png"]) < 200_000
    with pytest.raises(ValueError, match="unknown settings layer: expected some of stage, page, skips, colors"):
        feature_maps(model, *PAIR, layer=3)
