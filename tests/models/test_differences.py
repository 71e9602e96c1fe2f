"""The thirteen channels: exposure taken out, noise as the unit, shares at outlines."""

import pytest
import torch
import torch.nn.functional as F

from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.differences import CHANNELS, differences, match_exposure


@pytest.fixture
def scene():
    """A background, an image with an object in it, (1, 3, 64, 64), and the object's mask, (1, 1, 64, 64)."""
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    background = 0.2 + 0.5 * F.interpolate(coarse, (64, 64), mode="bilinear")
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 10:30, 20:50] = 1
    return background, torch.where(mask > 0, 0.9 - background, background), mask


@pytest.fixture
def noise():
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("gains", [(1, 1, 1), (1.15, 1.1, 0.9), (0.8, 0.85, 0.9)])
def test_exposure_and_white_balance_are_found_in_spite_of_object_and_noise(scene, noise, gains):
    background, image, _ = scene
    lit = image * torch.tensor(gains).view(1, 3, 1, 1)
    found = (match_exposure(lit + 0.02 * noise, background) / background).mean((0, 2, 3))
    torch.testing.assert_close(found, torch.tensor(gains, dtype=torch.float32), atol=0.01, rtol=0)


@pytest.mark.parametrize("gray", [0.0, 1.0])
def test_black_and_overexposed_pictures_stay_finite(gray):
    picture = torch.full((1, 3, 33, 47), gray)
    assert torch.equal(match_exposure(picture, picture), picture)
    *nothing, level = differences(picture, picture).unbind(1)
    assert len(nothing) == CHANNELS - 1 and not any(channel.any() for channel in nothing)
    assert level.isfinite().all() and level.unique().numel() == 1


@pytest.mark.parametrize("strength", [0.01, 0.03])
def test_in_units_of_the_noise_an_object_stands_out_equally(scene, noise, strength):
    background, image, mask = scene
    ratio = differences(image + strength * noise, background)[:, 3:6].abs().mean(1, keepdim=True)
    assert ratio[mask == 0].mean() < 0.65 < 1.0 < ratio[mask > 0].mean()


def test_shares_at_an_outline_are_those_of_the_object(scene):
    """The share by magnitude is right on a plain background; the share by colour also on a striped one."""
    mask = scene[-1]
    soft = F.avg_pool2d(mask, 3, 1, 1)  # outlines three pixels wide
    outline = (soft > 0.2) & (soft < 0.8)
    image = torch.tensor([0.1, 0.9, 0.4]).view(1, 3, 1, 1)
    stripes = torch.where(torch.arange(64) % 4 < 2, 0.2, 0.6).expand(1, 3, 64, 64)
    errors = {}
    for name, background in (("plain", torch.full_like(stripes, 0.3)), ("stripes", stripes)):
        found = differences(soft * image + (1 - soft) * background, background)
        errors[name] = [float((found[:, c : c + 1] - soft)[outline].abs().mean()) for c in (7, 10)]
    assert max(errors["plain"]) < 0.05
    by_magnitude, by_colour = errors["stripes"]
    assert by_colour < 0.05 and by_colour < by_magnitude / 2


def test_the_last_channel_rises_with_the_noise(scene, noise):
    background, image, _ = scene
    levels = [float(differences(image + s * noise, background)[0, -1, 0, 0]) for s in (0, 0.003, 0.01, 0.03)]
    assert levels == sorted(levels) and levels[-1] - levels[0] > 0.5


def test_another_exposure_hardly_changes_the_networks_output(scene):
    background, image, _ = scene
    changes = {}
    for detail in (True, "raw"):
        torch.manual_seed(0)
        network = MaskDepthNet(width=0.125, detail=detail).eval()
        with torch.no_grad():
            one, other = (network(image, factor * background).mask_logits for factor in (1.0, 0.85))
        changes[detail] = float((one - other).abs().mean() / one.std())
    assert changes[True] < 0.05 < changes["raw"]
