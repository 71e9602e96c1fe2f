"""Files of networks: written, loaded again, grown into wider ones; damaged and foreign files are refused."""

import copy
import json

import numpy as np
import pytest
import safetensors.torch
import torch

from maskdepth_utils import load_pretrained
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.weights import CheckpointError, read_weights, save_pretrained


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small network and the file it was saved to."""
    torch.manual_seed(0)
    model = MaskDepthNet(width=0.125, skips=False).eval()
    path = tmp_path_factory.mktemp("saved") / "net.safetensors"
    save_pretrained(model, path, size=160, training={"samples": 12})
    return model, path


def test_a_loaded_network_predicts_what_the_saved_one_does(saved):
    model, path = saved
    predictor = load_pretrained(path, device="cpu")
    image, background = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), np.uint8)
    mask, depth = predictor.predict(image, background)
    tensors = [torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 for picture in (image, background)]
    rounded = copy.deepcopy(model)
    rounded.load_state_dict({name: tensor.half() for name, tensor in model.state_dict().items()})
    with torch.no_grad():
        logits, expected = rounded(*tensors)
    np.testing.assert_allclose(mask, logits.sigmoid()[0, 0], atol=1e-4)
    np.testing.assert_allclose(depth, 10 * expected[0, 0], atol=1e-3)
    assert predictor.metadata["training"] == {"samples": 12}
    assert predictor.metadata["arguments"]["skips"] is False
    assert path.stat().st_size < 2.2 * predictor.metadata["parameters"] + 40_000  # half precision


@pytest.mark.parametrize("content", [lambda whole: whole[:-100], lambda whole: b"", lambda whole: b"<html>" * 100])
def test_a_damaged_file_is_refused(saved, tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content(saved[1].read_bytes()))
    with pytest.raises(CheckpointError, match="x.safetensors: damaged, or not a safetensors file"):
        load_pretrained(path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"network": "VGG16"}, "holds no network of this course: .*found VGG16"),
        ({"arguments": {"skips": True}}, "holds a network other than MaskDepthNet.*tensors differ, the first is"),
        ({"arguments": {"layers": 3}}, "cannot be built with {'layers': 3}"),
        ({"size": 0}, "trained at 0 px: expected a whole number, at least 32"),
    ],
)
def test_a_file_of_another_network_is_refused(saved, tmp_path, change, message):
    tensors, metadata = read_weights(saved[1])
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file(tensors, path, {"maskdepth": json.dumps(metadata | change)})
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(path)


def test_missing_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match="x.safetensors: no such checkpoint"):
        load_pretrained(path)
    with pytest.raises(CheckpointError, match="no checkpoint of a run in this folder"):
        load_pretrained(tmp_path)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="holds no network of this course"):
        load_pretrained(path)


def test_save_pretrained_refuses_what_could_not_be_loaded(tmp_path):
    model = MaskDepthNet(width=0.125)
    model.encoder.bn1.running_var.fill_(1e6)  # a variance may be that large
    save_pretrained(model, tmp_path / "a.safetensors")
    assert load_pretrained(tmp_path / "a.safetensors", device="cpu").model.encoder.bn1.running_var.max() == 1e6
    with torch.no_grad():
        next(model.parameters()).fill_(1e6)
    with pytest.raises(CheckpointError, match="fp16 cannot"):
        save_pretrained(model, tmp_path / "b.safetensors")
    model.arguments = {}
    with pytest.raises(CheckpointError, match="holds a network other than MaskDepthNet"):
        save_pretrained(model, tmp_path / "b.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
