"""Networks: parameter counts, sizes, precision, pretrained weights, messages for bad input."""

from functools import partial
from http.client import IncompleteRead
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn

from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.blocks import imagenet_weights
from maskdepth_utils.models.networks import count_parameters


def pictures(height=64, width=64, count=2):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, count, 3, height, width, generator=generator).unbind(0)


def small(**options):
    """A narrow network, for what does not depend on the width."""
    torch.manual_seed(0)
    return MaskDepthNet(width=0.125, **options)


def test_parameters_are_counted_exactly():
    assert count_parameters(MaskDepthNet(skips=False, stem="3x3")) == 16_181_090  # the network of 2020
    assert count_parameters(MaskDepthNet(stem="3x3", detail="raw")) == 16_407_538
    assert count_parameters(MaskDepthNet(stem="3x3")) == 16_410_418
    assert count_parameters(MaskDepthNet(width=0.25)) < 1.2e6


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (101, 64)])
@pytest.mark.parametrize("stem", ["7x7", "3x3"])
@pytest.mark.parametrize("skips", [True, False])
def test_any_size_from_32(size, stem, skips):
    output = small(stem=stem, skips=skips)(*pictures(*size))
    assert output.mask_logits.shape == output.depth.shape == (2, 1, *size)
    assert 0 <= output.depth.min() and output.depth.max() <= 1
    assert MaskNet(width=4)(*pictures(*size)).shape == (2, 1, *size)


@pytest.mark.parametrize("stem, first", [("7x7", 2), ("3x3", 1)])
def test_stages_have_the_resolutions_of_the_docstring(stem, first):
    stages = small(stem=stem).encoder(torch.rand(2, 6, 160, 160))
    assert [160 // stage.shape[-1] for stage in stages] == [first * 2**i for i in range(5)]


def test_the_encoder_is_torchvisions_resnet18():
    reference = torchvision.models.resnet18(weights=None).eval()
    encoder = MaskDepthNet().encoder.eval()
    state = {name: value for name, value in reference.state_dict().items() if not name.startswith("fc.")}
    stem = state.pop("conv1.weight")
    encoder.load_state_dict(state, strict=False)
    with torch.no_grad():
        encoder.conv1.weight.copy_(torch.cat([stem, stem], dim=1) / 2)
        image = torch.rand(1, 3, 96, 96)
        # the same picture twice through the halved stem is that picture through ResNet's own
        deepest = encoder(torch.cat([image, image], dim=1))[-1]
        expected = nn.Sequential(*list(reference.children())[:-2])(image)
    torch.testing.assert_close(deepest, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_outputs_are_float32_under_autocast(dtype):
    network, pair = small(), pictures(48, 48)
    with torch.no_grad():
        expected = network(*pair)
        with torch.autocast("cpu", dtype):
            output, mask_logits = network(*pair), MaskNet(width=4)(*pair)
    assert output.mask_logits.dtype == output.depth.dtype == mask_logits.dtype == torch.float32
    assert (output.depth - expected.depth).abs().max() < 0.05
    assert len(output.depth.unique()) > 1000  # bf16 has 256 values between two powers of two


def test_every_parameter_learns():
    network = small()
    output = network(*pictures())
    (output.mask_logits.mean() + output.depth.mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_pretrained_weights_are_inflated(monkeypatch):
    state = torchvision.models.resnet18(weights=None).state_dict()
    state["layer1.0.bn1.running_mean"] += 3
    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", lambda *_, **__: dict(state))
    encoder = MaskDepthNet(weights="DEFAULT").encoder
    halved = state["conv1.weight"] / 2
    assert torch.equal(encoder.conv1.weight, torch.cat([halved, halved], dim=1))
    for name in ("layer4.1.conv2.weight", "layer1.0.bn1.running_mean"):
        assert torch.equal(encoder.state_dict()[name], state[name])
    assert set(imagenet_weights("3x3")) == set(encoder.state_dict()) - {"conv1.weight"}
    MaskDepthNet(stem="3x3", skips=False, weights="DEFAULT")


@pytest.mark.parametrize("error", [URLError("no route"), IncompleteRead(b""), RuntimeError("invalid hash value")])
def test_pretrained_weights_offline_say_what_to_do(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", fail)
    with pytest.raises(RuntimeError, match="could not be downloaded.*weights=None"):
        MaskDepthNet(weights="DEFAULT")


@pytest.mark.parametrize("make", [small, partial(MaskNet, width=4)])
@pytest.mark.parametrize(
    "image, background, message",
    [
        (torch.rand(1, 4, 64, 64), torch.rand(1, 3, 64, 64), r"image: expected \(N, 3, H, W\)"),
        (torch.rand(3, 64, 64), torch.rand(3, 64, 64), r"image: expected \(N, 3, H, W\)"),
        (torch.rand(2, 3, 64, 64), torch.rand(1, 3, 64, 64), r"background: expected the image's shape"),
        (torch.rand(1, 3, 31, 64), torch.rand(1, 3, 31, 64), r"at least 32 x 32"),
        (torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64).byte(), r"background: expected float"),
    ],
)
def test_wrong_pictures_are_refused(make, image, background, message):
    with pytest.raises(ValueError, match=message):
        make()(image, background)


@pytest.mark.parametrize(
    "options",
    [{"stem": "5x5"}, {"tasks": ()}, {"tasks": "depth"}, {"tasks": ("depth", "normals")}, {"weights": "IMAGENET"},
     {"detail": "fine"}, {"width": 0}, {"weights": "DEFAULT", "width": 0.5}],
    ids=str,
)  # fmt: skip
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))}: "):
        MaskDepthNet(**options)
