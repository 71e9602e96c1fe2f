"""What the network is told about two shots: exposure taken out, noise as the unit, shares at outlines."""

import numpy as np
import pytest
import torch

from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.data.compose import compose
from maskdepth_utils.data.library import load_cutout, load_room, object_names, room_names
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.differences import CHANNELS, differences, match_exposure
from maskdepth_utils.models.networks import FULL_SIZE
from maskdepth_utils.models.weights import CheckpointError, load_weights


def scene(size=64):
    """A background, an image with an object in it, and the object's mask, (1, 3, H, W) and (1, 1, H, W)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, size // 8, size // 8, generator=generator)
    background = 0.2 + 0.5 * torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    mask = torch.zeros(1, 1, size, size)
    mask[..., 10:30, 20:50] = 1
    return background, torch.where(mask > 0, 0.9 - background, background), mask


@pytest.mark.parametrize("factors", [(1, 1, 1), (1.15, 1.1, 0.9), (0.8, 0.85, 0.9)])
def test_exposure_and_white_balance_are_found_in_spite_of_object_and_noise(factors):
    background, image, _ = scene()
    lit = image * torch.tensor(factors).view(1, 3, 1, 1)
    noise = 0.02 * torch.randn(lit.shape, generator=torch.Generator().manual_seed(1))
    found = (match_exposure(lit + noise, background) / background).mean((0, 2, 3))
    torch.testing.assert_close(found, torch.tensor(factors, dtype=torch.float32), atol=0.01, rtol=0)


@pytest.mark.parametrize("gray", [0.0, 1.0])
def test_black_and_overexposed_pictures_stay_finite(gray):
    picture = torch.full((1, 3, 33, 47), gray)
    assert torch.equal(match_exposure(picture, picture), picture)
    *nothing, level = differences(picture, picture).unbind(1)
    assert len(nothing) == CHANNELS - 1 and not any(channel.any() for channel in nothing)
    assert level.isfinite().all() and level.unique().numel() == 1


def test_real_samples_lie_closer_after_matching():
    dataset, ratios = MaskDepthDataset("val", gap="tripod"), []
    for index in range(8):
        sample = dataset[index]
        image, background, room = sample["image"][None], sample["background"][None], sample["mask"][None] == 0
        errors = [((image - other).abs().mean(1, keepdim=True))[room].mean() for other in
                  (match_exposure(image, background), background)]  # fmt: skip
        ratios.append(float(errors[0] / errors[1]))
    assert np.median(ratios) < 0.85 and max(ratios) < 1.1


def test_equal_noise_looks_equal_however_strong_it_is():
    """In units of the noise, pure noise has the same size at all strengths, and an object stands out of it."""
    background, image, mask = scene()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    for strength in (0.01, 0.03):
        found = differences(image + strength * noise, background)[:, 3:6].abs().mean(1, keepdim=True)
        assert found[mask == 0].mean() < 0.65 < 1.0 < found[mask > 0].mean()


def test_at_an_outline_the_share_is_the_objects():
    background, image, mask = scene()
    soft = torch.nn.functional.avg_pool2d(mask, 3, 1, 1)  # outlines three pixels wide
    background[:], image[:] = 0.3, 0.8
    mixed = soft * image + (1 - soft) * background
    share = differences(mixed, background)[:, 7:8]
    edge = (soft > 0.3) & (soft < 0.7)
    assert edge.any() and (share - soft)[edge].abs().max() < 0.1
    assert share.min() >= 0 and share.max() <= 1


def test_the_share_by_colours_is_right_on_any_background():
    """The length's share takes the nearby difference for this pixel's; another background makes that wrong."""
    _, _, mask = scene()
    soft = torch.nn.functional.avg_pool2d(mask, 3, 1, 1)
    stripes = torch.where(torch.arange(mask.shape[-1]) % 4 < 2, 0.2, 0.6).expand_as(mask)
    background, image = stripes.repeat(1, 3, 1, 1), torch.tensor([0.1, 0.9, 0.4]).view(1, 3, 1, 1)
    found = differences(soft * image + (1 - soft) * background, background)
    edge = (soft > 0.2) & (soft < 0.8)
    by_length, by_colour = ((found[:, channel : channel + 1] - soft)[edge].abs().mean() for channel in (7, 10))
    assert by_colour < 0.05 and by_colour < by_length / 2


def test_the_last_channel_tells_the_noise():
    background, image, _ = scene()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    levels = [float(differences(image + s * noise, background)[0, -1, 0, 0]) for s in (0, 0.003, 0.01, 0.03)]
    assert levels == sorted(levels) and levels[-1] - levels[0] > 0.5


def test_another_exposure_hardly_changes_what_the_network_says():
    torch.manual_seed(0)
    background, image, _ = scene()
    outputs = {}
    for detail in (True, "raw"):
        network = MaskDepthNet(width=0.125, detail=detail).eval()
        with torch.no_grad():
            pair = [network(image, factor * background).mask_logits for factor in (1.0, 0.85)]
        outputs[detail] = float((pair[0] - pair[1]).abs().mean() / pair[0].std())
    assert outputs[True] < 0.05 < outputs["raw"]


def test_a_network_can_grow_from_one_that_knew_the_plain_difference():
    old, new = MaskDepthNet(width=0.125, detail="raw"), MaskDepthNet(width=0.125)
    with pytest.raises(CheckpointError, match="detail"):
        load_weights(new, old.state_dict(), "old")
    load_weights(new, old.state_dict(), "old", grow=FULL_SIZE)
    first, before = new.detail[0][0].weight, old.detail[0][0].weight
    assert torch.equal(first[:, :6], before) and not first[:, 6:].any()
    background, image, _ = scene()
    with torch.no_grad():  # the first six channels are those of before, so the detail is what it was
        torch.testing.assert_close(new.detail(image, background), old.detail(image, background))


def test_what_does_not_fit_at_full_size_starts_fresh_and_all_else_must_fit():
    network, tensors = MaskDepthNet(width=0.125), MaskDepthNet(width=0.125).state_dict()
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tensors["branches.mask.mix.7.0.weight"] = torch.zeros(1)  # a layer that the network has not
    tensors["branches.mask.head.weight"] = torch.zeros(1, 99, 1, 1)  # of another shape
    del tensors["branches.mask.mix.2.0.weight"]
    load_weights(network, tensors, "file", grow=FULL_SIZE)
    for name, tensor in network.state_dict().items():
        kept = name in tensors and tensors[name].shape == tensor.shape
        assert torch.equal(tensor, tensors[name] if kept else fresh[name])
    with pytest.raises(CheckpointError, match="encoder.conv1.weight"):
        load_weights(network, tensors | {"encoder.conv1.weight": torch.zeros(8, 6, 5, 5)}, "file", grow=FULL_SIZE)


def test_a_matrix_recolors_the_cutout_and_the_number_one_leaves_it():
    room, cutout = load_room(room_names("val")[0]), load_cutout(object_names("val")[0], 0, 0)
    plain, same, half = (compose(room, cutout, 3.0, 0.0, gain=g).image for g in (1.0, np.eye(3), 0.5 * np.eye(3)))
    assert np.array_equal(plain, same)
    assert np.array_equal(half, compose(room, cutout, 3.0, 0.0, gain=0.5).image) and not np.array_equal(half, plain)
