"""Files of networks: written, loaded again, grown into wider ones; damaged and foreign files are refused."""

import copy

import numpy as np
import pytest
import safetensors.torch
import torch

from maskdepth_utils import load_pretrained
from maskdepth_utils.files import write_file
from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.networks import FULL_SIZE
from maskdepth_utils.models.weights import (
    CheckpointError,
    load_weights,
    read_weights,
    save_pretrained,
    tensors_to_bytes,
)


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


def test_the_file_holds_half_precision_weights(saved):
    model, path = saved
    tensors, metadata = read_weights(path)
    weights = {name for name, _ in model.named_parameters()}
    assert {tensors[name].dtype for name in weights} == {torch.float16}
    assert {tensors[name].dtype for name in tensors.keys() - weights} == {torch.float32, torch.int64}
    assert path.stat().st_size < 2.2 * metadata["parameters"] + 40_000


def test_mask_net_predicts_no_depth(tmp_path):
    save_pretrained(MaskNet(width=8), tmp_path / "mask.safetensors")
    picture = np.zeros((50, 70, 3), np.uint8)
    mask, depth = load_pretrained(tmp_path / "mask.safetensors", "cpu").predict(picture, picture)
    assert mask.shape == (50, 70) and depth is None


def test_a_training_runs_folder_can_be_loaded(tmp_path):
    from small_training import Squares, new_net, small_fit

    model = new_net(width=8)
    small_fit(model, tmp_path, steps=1)
    predictor = load_pretrained(tmp_path, "cpu")
    assert predictor.size == Squares().size
    for name, tensor in predictor.model.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])


@pytest.mark.parametrize("content", [lambda whole: whole[:-100], lambda whole: b"", lambda whole: b"<html>" * 100])
def test_a_damaged_file_is_refused(saved, tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content(saved[1].read_bytes()))
    with pytest.raises(CheckpointError, match="x.safetensors: damaged, or no safetensors file"):
        load_pretrained(path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"network": "VGG16"}, "holds no network of this course .*found VGG16"),
        ({"arguments": {"skips": True}}, "holds another network than MaskDepthNet.*tensors differ, the first is"),
        ({"arguments": {"layers": 3}}, "cannot be built with {'layers': 3}"),
        ({"size": 0}, "trained at 0 px: expected a whole number, at least 32"),
    ],
)
def test_a_file_of_another_network_is_refused(saved, tmp_path, change, message):
    tensors, metadata = read_weights(saved[1])
    write_file(tmp_path / "x.safetensors", tensors_to_bytes(tensors, metadata | change))
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(tmp_path / "x.safetensors")


def test_missing_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match="x.safetensors: no such checkpoint"):
        load_pretrained(path)
    with pytest.raises(CheckpointError, match="no checkpoint of a run in this folder"):
        load_pretrained(tmp_path)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path, {"maskdepth": "[]"})
    with pytest.raises(CheckpointError, match="its metadata are list, expected a dict"):
        load_pretrained(path)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="holds no network of this course"):
        load_pretrained(path)


def test_save_pretrained_refuses_what_could_not_be_loaded(tmp_path):
    model = MaskDepthNet(width=0.125)
    model.arguments = {}
    with pytest.raises(CheckpointError, match="holds another network than MaskDepthNet"):
        save_pretrained(model, tmp_path / "a.safetensors")
    model.encoder.bn1.running_var.fill_(1e6)  # a variance may be that large
    save_pretrained(model, tmp_path / "a.safetensors", arguments={"width": 0.125})
    assert load_pretrained(tmp_path / "a.safetensors", device="cpu").model.encoder.bn1.running_var.max() == 1e6
    with torch.no_grad():
        next(model.parameters()).fill_(1e6)
    with pytest.raises(CheckpointError, match="fp16 cannot"):
        save_pretrained(model, tmp_path / "b.safetensors", arguments={"width": 0.125})
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_network_grows_from_one_with_the_plain_difference():
    old, new = MaskDepthNet(width=0.125, detail="raw"), MaskDepthNet(width=0.125)
    with pytest.raises(CheckpointError, match="detail"):
        load_weights(new, old.state_dict(), "old")
    load_weights(new, old.state_dict(), "old", grow=FULL_SIZE)
    first, before = new.detail[0][0].weight, old.detail[0][0].weight
    assert torch.equal(first[:, :6], before) and not first[:, 6:].any()
    image, background = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # the first six channels are those of before, so the detail is what it was
        torch.testing.assert_close(new.detail(image, background), old.detail(image, background))


def test_layers_at_full_size_that_do_not_fit_start_fresh_and_all_others_must_fit():
    network, tensors = MaskDepthNet(width=0.125), MaskDepthNet(width=0.125).state_dict()
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tensors["branches.mask.mix.7.0.weight"] = torch.zeros(1)  # a layer that the network does not have
    tensors["branches.mask.head.weight"] = torch.zeros(1, 99, 1, 1)  # of another shape
    del tensors["branches.mask.mix.2.0.weight"]
    load_weights(network, tensors, "file", grow=FULL_SIZE)
    for name, tensor in network.state_dict().items():
        kept = name in tensors and tensors[name].shape == tensor.shape
        assert torch.equal(tensor, tensors[name] if kept else fresh[name])
    with pytest.raises(CheckpointError, match="encoder.conv1.weight"):
        load_weights(network, tensors | {"encoder.conv1.weight": torch.zeros(8, 6, 5, 5)}, "file", grow=FULL_SIZE)
