"""Losses: equal to their references, in float32 whatever autocast says, and what their options do."""

import math

import cv2
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import nn

from maskdepth_utils.losses import (
    WRITE_UP_2020,
    UncertaintyWeighting,
    bce,
    cut,
    depth_loss,
    dice_loss,
    edge,
    l1,
    log_l1,
    mask_loss,
    sobel,
    ssim,
)


def maps(count=3, height=40, width=56, seed=0):
    """Two smooth depth-like maps and noise between them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 5, 7, generator=generator)
    a = nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    b = (a + 0.1 * torch.randn(a.shape, generator=generator)).clamp(0, 1)
    return a, b


def reference_ssim(a, b):
    options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
    pairs = zip(a[:, 0].double().numpy(), b[:, 0].double().numpy(), strict=True)
    return sum(structural_similarity(x, y, **options) for x, y in pairs) / len(a)


@pytest.mark.parametrize("shape", [(3, 40, 56), (1, 11, 11), (2, 160, 160), (2, 33, 12)])
def test_ssim_is_scikit_images(shape):
    a, b = maps(*shape)
    assert float(ssim(a, b)) == pytest.approx(reference_ssim(a, b), abs=1e-4)
    assert float(ssim(a, 1 - b)) == pytest.approx(reference_ssim(a, 1 - b), abs=1e-4)
    assert float(ssim(a, a)) == pytest.approx(1, abs=1e-6)


def test_ssim_of_flat_and_bright_maps():
    """Where E[x^2] - E[x]^2 cancels most: nearly constant maps near 1."""
    a = 0.95 + 0.01 * maps()[0]
    b = 0.95 + 0.01 * maps(seed=1)[0]
    assert float(ssim(a, b)) == pytest.approx(reference_ssim(a, b), abs=1e-4)


def test_no_setting_that_speeds_up_float32_spoils_ssim():
    a, b = (0.95 + 0.01 * x for x in maps())
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")  # bf16 products on hardware that has them
        assert float(ssim(a, b)) == pytest.approx(reference_ssim(a, b), abs=1e-4)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_float32_under_autocast(dtype):
    a, b = maps()
    a, b = a.to(dtype).float(), b.to(dtype).float()  # values that the small type holds exactly
    expected = [float(loss(a, b)) for loss in (ssim, edge, l1, depth_loss, mask_loss)]
    with torch.autocast("cpu", dtype):
        got = [loss(a.to(dtype), b.to(dtype)) for loss in (ssim, edge, l1, depth_loss, mask_loss)]
    assert all(value.dtype == torch.float32 for value in got)
    assert [float(value) for value in got] == pytest.approx(expected, rel=1e-6)


def test_ssim_of_more_channels_is_their_mean():
    a, b = maps(4)
    expected = ssim(a, b)
    assert float(ssim(a.view(2, 2, 40, 56), b.view(2, 2, 40, 56))) == pytest.approx(float(expected), abs=1e-6)


def test_ssims_gradient_is_the_finite_difference():
    a, b = maps(1, 16, 16)
    a.requires_grad_()
    ssim(a, b).backward()
    step = torch.zeros_like(a)
    step[0, 0, 7, 8] = 1e-2
    with torch.no_grad():
        slope = (reference_ssim(a + step, b) - reference_ssim(a - step, b)) / 2e-2
    assert float(a.grad[0, 0, 7, 8]) == pytest.approx(slope, rel=0.02)


def test_gradients_are_finite_at_a_perfect_or_empty_prediction():
    for value in (0.0, 1.0):
        a = torch.full((1, 1, 16, 16), value, requires_grad=True)
        (depth_loss(a, a.detach(), log=1) + mask_loss(a, a.detach(), dice=1)).backward()
        assert a.grad.isfinite().all()


def test_sobel_is_opencvs():
    a, _ = maps(1)
    image = a[0, 0].numpy()
    for ours, (dx, dy) in zip(sobel(a), [(1, 0), (0, 1)], strict=True):
        theirs = torch.from_numpy(cv2.Sobel(image, cv2.CV_32F, dx, dy, ksize=3))[1:-1, 1:-1]
        torch.testing.assert_close(ours[0, 0], theirs, rtol=0, atol=1e-5)


def test_edge_sees_edges_and_not_levels():
    a, b = maps()
    assert edge(a, a + 0.3) < 1e-6
    expected = sum((x - y).abs().mean() for x, y in zip(sobel(a), sobel(b), strict=True))
    assert float(edge(a, b)) == pytest.approx(float(expected), rel=1e-4)


def test_l1_bce_and_log():
    a, b = maps()
    assert float(l1(a, b)) == pytest.approx(float(nn.functional.l1_loss(a, b)))
    logits = 5 * (a - 0.5)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, b)
    assert float(bce(logits, b)) == pytest.approx(float(expected))
    target = torch.full((1, 1, 4, 4), 0.5)
    assert float(log_l1(1.01 * target, target)) == pytest.approx(0.01, rel=0.01)


def test_dice_loss():
    target = torch.zeros(2, 1, 8, 8)
    target[0, :, :4] = 1
    assert float(dice_loss(target, target)) == 0  # the second pair is empty
    assert float(dice_loss(1 - target, target)) > 0.9


def test_weights_and_terms_of_depth_loss():
    a, b = maps()
    total, terms = depth_loss(a, b, terms=True)
    assert list(terms) == ["l1", "edge", "ssim"]
    assert float(total) == pytest.approx(float(sum(terms.values())))
    assert float(total) == pytest.approx(float(l1(a, b) + edge(a, b) + (1 - ssim(a, b)) / 2))
    assert float(depth_loss(a, b, edge=0, ssim=0)) == pytest.approx(float(l1(a, b)))
    expected = 0.1 * terms["l1"] + terms["edge"] + terms["ssim"]
    assert float(depth_loss(a, b, **WRITE_UP_2020)) == pytest.approx(float(expected))
    assert list(depth_loss(a, b, l1=0, edge=0, ssim=0, log=1, terms=True)[1]) == ["log"]
    assert depth_loss(a, a).abs() < 1e-6


def test_ssim_on_logits_is_the_mistake_and_only_on_request():
    _, target = maps()
    target = (target > 0.5).float()
    perfect = 20 * (target - 0.5)  # probabilities of 0.00005 and 0.99995
    assert mask_loss(perfect, target) < 1e-3
    wrong, terms = mask_loss(perfect, target, ssim_on="logits", terms=True)
    assert terms["ssim"] > 0.2
    assert float(wrong) == pytest.approx(float(terms["bce"] + (1 - ssim(perfect, target)) / 2))
    # what it asks for instead: logits of 0 and 1
    assert mask_loss(target, target, bce=0, ssim_on="logits") < 1e-6


def test_cut_asks_for_the_right_side_of_one_half():
    target = torch.tensor([0.2, 0.45, 0.55, 0.9]).view(1, 1, 2, 2)
    exact, swapped = torch.logit(target), torch.logit(target)
    swapped[..., 0, 1], swapped[..., 1, 0] = torch.logit(torch.tensor([0.55, 0.45]))  # two pixels on the wrong side
    costs = {name: float(term(swapped, target) - term(exact, target)) for name, term in (("bce", bce), ("cut", cut))}
    assert costs["cut"] > 10 * costs["bce"] > 0
    expected = torch.nn.functional.binary_cross_entropy(torch.sigmoid(4 * exact), (target > 0.5).float())
    assert float(cut(exact, target)) == pytest.approx(float(expected), rel=1e-5)
    assert float(mask_loss(exact, target, bce=0, ssim=0, cut=0.5)) == pytest.approx(0.5 * float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda a: ssim(a[..., :10, :], a[..., :10, :]), r"ssim: expected at least 11 x 11.*\(10, 56\)"),
        (lambda a: l1(a, a[:, 0]), r"l1: expected two tensors of one shape.*\(3, 40, 56\)"),
        (lambda a: depth_loss(a, a[:1]), "one shape"),
        (lambda a: depth_loss(a, a, l1=0, edge=0, ssim=0), "at least one weight"),
        (lambda a: mask_loss(a, a, ssim_on="probabilities"), "ssim_on"),
        (lambda a: UncertaintyWeighting()({"mask": l1(a, a)}), "losses: expected"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(maps()[0])


def test_uncertainty_weighting_is_equation_10_and_finds_its_optimum():
    weighting = UncertaintyWeighting()
    losses = {"mask": torch.tensor(0.4), "depth": torch.tensor(0.01)}
    mask, depth = 1.3, 0.6  # the sigmas
    with torch.no_grad():
        weighting.log_variance["mask"].fill_(2 * math.log(mask))
        weighting.log_variance["depth"].fill_(2 * math.log(depth))
        expected = 0.4 / mask**2 + 0.01 / (2 * depth**2) + math.log(mask) + math.log(depth)
        assert float(weighting(losses)) == pytest.approx(expected, abs=1e-6)
    # by calculus: sigma^2 = L for regression, 2 L for classification
    optimizer = torch.optim.Adam(weighting.parameters(), 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        weighting(losses).backward()
        optimizer.step()
    variance = {name: float(value.detach().exp()) for name, value in weighting.log_variance.items()}
    assert variance == pytest.approx({"mask": 0.8, "depth": 0.01}, rel=0.02)
    assert float(weighting.weights()["depth"].detach()) == pytest.approx(50, rel=0.02)
    assert set(weighting.state_dict()) == {"log_variance.mask", "log_variance.depth"}
