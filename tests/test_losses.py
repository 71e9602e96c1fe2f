"""Losses equal their references and compute in float32; weights select their terms."""

import math

import cv2
import pytest
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity

from maskdepth_utils import losses


def maps(count=3, height=40, width=56, seed=0):
    """Two smooth depth-like maps and noise between them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 5, 7, generator=generator)
    a = F.interpolate(coarse, (height, width), mode="bilinear")
    b = (a + 0.1 * torch.randn(a.shape, generator=generator)).clamp(0, 1)
    return a, b


def reference_ssim(a, b):
    options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
    pairs = zip(a[:, 0].double().numpy(), b[:, 0].double().numpy(), strict=True)
    return sum(structural_similarity(x, y, **options) for x, y in pairs) / len(a)


@pytest.mark.parametrize("shape", [(3, 40, 56), (1, 11, 11), (2, 160, 160), (2, 33, 12)])
def test_ssim_equals_scikit_image(shape):
    a, b = maps(*shape)
    assert float(losses.ssim(a, b)) == pytest.approx(reference_ssim(a, b), abs=1e-4)
    assert float(losses.ssim(a, 1 - b)) == pytest.approx(reference_ssim(a, 1 - b), abs=1e-4)
    assert float(losses.ssim(a, a)) == pytest.approx(1, abs=1e-6)


def test_ssim_stays_exact_for_flat_bright_maps():
    """E[x^2] - E[x]^2 cancels most for nearly constant maps near 1."""
    a, b = (0.95 + 0.01 * x for x in maps())
    assert float(losses.ssim(a, b)) == pytest.approx(reference_ssim(a, b), abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", [losses.ssim, losses.edge, losses.l1, losses.depth_loss, losses.mask_loss])
def test_losses_are_float32_under_autocast(loss, dtype):
    a, b = (x.to(dtype) for x in maps())
    expected = loss(a.float(), b.float())
    with torch.autocast("cpu", dtype):
        found = loss(a, b)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradients_are_finite_for_a_perfect_prediction(value):
    a = torch.full((1, 1, 16, 16), value, requires_grad=True)
    (losses.depth_loss(a, a.detach(), log=1) + losses.mask_loss(a, a.detach(), dice=1)).backward()
    assert a.grad.isfinite().all()


def test_sobel_equals_opencv():
    a, _ = maps(1)
    for ours, (dx, dy) in zip(losses.sobel(a), [(1, 0), (0, 1)], strict=True):
        theirs = torch.from_numpy(cv2.Sobel(a[0, 0].numpy(), cv2.CV_32F, dx, dy, ksize=3))[1:-1, 1:-1]
        torch.testing.assert_close(ours[0, 0], theirs, rtol=0, atol=1e-5)


def test_edge_measures_edges_and_not_levels():
    a, b = maps()
    assert losses.edge(a, a + 0.3) < 1e-6
    expected = sum((x - y).abs().mean() for x, y in zip(losses.sobel(a), losses.sobel(b), strict=True))
    assert float(losses.edge(a, b)) == pytest.approx(float(expected), rel=1e-4)


def test_simple_terms_equal_their_definitions():
    a, b = maps()
    assert float(losses.l1(a, b)) == pytest.approx(float(F.l1_loss(a, b)))
    assert float(losses.bce(5 * a - 2, b)) == pytest.approx(float(F.binary_cross_entropy_with_logits(5 * a - 2, b)))
    half = torch.full((1, 1, 4, 4), 0.5)
    assert float(losses.log_l1(1.01 * half, half)) == pytest.approx(0.01, rel=0.01)
    square_and_nothing = torch.zeros(2, 1, 8, 8)
    square_and_nothing[0, :, :4] = 1
    assert float(losses.dice_loss(square_and_nothing, square_and_nothing)) == 0
    assert float(losses.dice_loss(1 - square_and_nothing, square_and_nothing)) > 0.9


def test_cut_punishes_the_wrong_side_of_one_half():
    target, swapped = torch.tensor([[0.2, 0.45, 0.55, 0.9], [0.2, 0.55, 0.45, 0.9]]).view(2, 1, 1, 2, 2)
    cost = {
        term: float(term(swapped.logit(), target) - term(target.logit(), target)) for term in (losses.bce, losses.cut)
    }
    assert cost[losses.cut] > 10 * cost[losses.bce] > 0


@pytest.mark.parametrize("name, defaults", [("depth", ["l1", "edge", "ssim"]), ("mask", ["bce", "ssim"])])
def test_weights_select_and_weight_the_terms_of_the_tables(name, defaults):
    loss, table = getattr(losses, f"{name}_loss"), getattr(losses, f"{name.upper()}_TERMS")
    a, b = maps()
    none = dict.fromkeys(table, 0)
    values = {term: float(loss(a, b, **(none | {term: 1}))) for term in table}
    assert float(loss(a, b)) == pytest.approx(sum(values[term] for term in defaults))
    for term, value in values.items():
        assert float(loss(a, b, **(none | {term: 0.5}))) == pytest.approx(0.5 * value) != 0


def test_ssim_on_logits_is_the_mistake_of_2020_and_only_on_request():
    target = (maps()[1] > 0.5).float()
    perfect = 20 * (target - 0.5)  # probabilities of 0.00005 and 0.99995
    assert losses.mask_loss(perfect, target) < 1e-3
    wrong = float(losses.mask_loss(perfect, target, bce=0, ssim_on="logits"))
    assert wrong == pytest.approx(float(losses.dssim(perfect, target))) and wrong > 0.2
    assert losses.mask_loss(target, target, bce=0, ssim_on="logits") < 1e-6  # its best logits are 0 and 1


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda a: losses.l1(a, a[:, 0]), ValueError, r"l1: expected two tensors of one shape.*\(3, 40, 56\)"),
        (lambda a: losses.depth_loss(a, a[:1]), ValueError, "one shape"),
        (lambda a: losses.depth_loss(a, a, l1=0, edge=0, ssim=0), ValueError, "at least one weight"),
        (lambda a: losses.depth_loss(a, a, l2=1), TypeError, "expected weights of l1, edge, ssim, log; found l2"),
        (lambda a: losses.mask_loss(a, a, ssim_on="probabilities"), ValueError, "ssim_on"),
        (lambda a: losses.UncertaintyWeighting()({"mask": losses.l1(a, a)}), ValueError, "losses: expected"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(maps()[0])


def test_uncertainty_weighting_is_equation_10_and_finds_its_optimum():
    weighting = losses.UncertaintyWeighting()
    values = {"mask": torch.tensor(0.4), "depth": torch.tensor(0.01)}
    sigma = {"mask": 1.3, "depth": 0.6}
    with torch.no_grad():
        for name, value in sigma.items():
            weighting.log_variance[name].fill_(2 * math.log(value))
        expected = 0.4 / sigma["mask"] ** 2 + 0.01 / (2 * sigma["depth"] ** 2) + sum(map(math.log, sigma.values()))
        assert float(weighting(values)) == pytest.approx(expected, abs=1e-6)
    optimizer = torch.optim.Adam(weighting.parameters(), 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        weighting(values).backward()
        optimizer.step()
    variance = {name: float(value.detach().exp()) for name, value in weighting.log_variance.items()}
    assert variance == pytest.approx({"mask": 0.8, "depth": 0.01}, rel=0.02)  # by calculus: 2 L and L
    assert set(weighting.state_dict()) == {"log_variance.mask", "log_variance.depth"}
