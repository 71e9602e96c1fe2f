"""Baselines: they find what is to be found, and are called like networks."""

import pytest
import torch

from maskdepth_utils.baselines import ConstantDepth, DifferenceThreshold, EmptyRoomDepth, MeanDepth, mean_depth
from maskdepth_utils.evaluation import evaluate
from maskdepth_utils.metrics import iou


def batches(count=3, noise=0.05, seed=0):
    """Squares that are 0.3 brighter than their background, in noise; depth falls from top to bottom."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        background = 0.5 * torch.rand(4, 3, 32, 32, generator=generator)
        mask = torch.zeros(4, 1, 32, 32)
        mask[:, :, 8:20, 10:22] = 1
        shot = noise * (torch.rand(4, 3, 32, 32, generator=generator) - 0.5)
        depth = torch.linspace(1, 0.2, 32).view(1, 1, 32, 1).expand(4, 1, 32, 32) * 0.9
        depth = depth + 0.1 * torch.rand(4, 1, 1, 1, generator=generator)
        yield {
            "image": background + 0.3 * mask + shot,
            "background": background,
            "mask": mask,
            "depth": torch.where(mask > 0, 0.5 * depth, depth),
            "background_depth": depth,
        }


@pytest.mark.parametrize("channels", ["max", "mean"])
@pytest.mark.parametrize("smooth", [1, 3])
def test_difference_threshold_separates_what_can_be_separated(channels, smooth):
    baseline = DifferenceThreshold(channels=channels, smooth=smooth).fit(batches())
    assert 0.02 < baseline.threshold < 0.3
    score = evaluate(baseline, batches(seed=1))["iou"]
    assert score == 1 if smooth == 1 else score > 0.9


def test_fit_chooses_the_best_mean_iou():
    thresholds = [0.05, 0.1, 0.2, 0.28, 0.5]
    baseline = DifferenceThreshold().fit(batches(noise=0.4), thresholds)
    tried = {t: evaluate(DifferenceThreshold(t), batches(noise=0.4))["iou"] for t in thresholds}
    assert baseline.threshold == max(tried, key=tried.get)
    assert dict(baseline.curve) == pytest.approx(tried)
    assert tried[0.05] < tried[baseline.threshold] > tried[0.5]


def test_difference_is_the_channels_maximum_or_mean_and_smoothing_averages():
    background = torch.zeros(1, 3, 32, 32)
    image = background.clone()
    image[0, 0, 10, 10] = 0.9
    assert DifferenceThreshold().difference(image, background)[0, 0, 10, 10] == pytest.approx(0.9)
    assert DifferenceThreshold(channels="mean").difference(image, background).max() == pytest.approx(0.3)
    assert DifferenceThreshold(smooth=3).difference(image, background)[0, 0, 9, 11] == pytest.approx(0.1)
    bright = torch.ones(1, 3, 32, 32)
    corner = DifferenceThreshold(smooth=5).difference(bright, background)[0, 0, 0, 0]
    assert corner == pytest.approx(1)  # the border is not darkened


def test_mask_baseline_returns_a_mask_and_no_depth():
    sample = next(batches())
    mask, depth = DifferenceThreshold(0.15)(sample["image"], sample["background"])
    assert depth is None and mask.dtype == torch.float32 and set(mask.unique().tolist()) == {0, 1}
    assert iou(mask, sample["mask"]).mean() > 0.9


def test_depth_baselines_each_know_more():
    constant, per_pixel = ConstantDepth().fit(batches()), MeanDepth().fit(batches())
    all_depths = torch.cat([sample["depth"] for sample in batches()])
    assert constant.depth == pytest.approx(float(all_depths.mean()), abs=1e-6)
    torch.testing.assert_close(per_pixel.depth, all_depths.mean(dim=0))
    errors = [evaluate(b, batches(seed=1))["rmse"] for b in (ConstantDepth(0.2), constant, per_pixel)]
    assert errors == sorted(errors, reverse=True)


def test_constants_error_is_the_depths_standard_deviation():
    """Why the original's RMSE of 0.18 is worse than a gray picture: its own statistics give a std of
    0.039."""
    sample = next(batches())
    one = {name: value[:1] for name, value in sample.items()}
    error = evaluate(ConstantDepth().fit([one]), [one])["rmse"]
    assert error == pytest.approx(float(one["depth"].std(correction=0)), rel=1e-4)


def test_the_oracle_gets_the_empty_rooms_depth():
    result = evaluate(EmptyRoomDepth(), batches())
    assert 0 < result["rmse"] < result["rmse_object"]
    with pytest.raises(KeyError, match="background_depth"):
        sample = next(batches())
        del sample["background_depth"]
        evaluate(EmptyRoomDepth(), [sample])


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda image: DifferenceThreshold(channels="red"), ValueError, "channels"),
        (lambda image: DifferenceThreshold(smooth=4), ValueError, "odd"),
        (lambda image: MeanDepth()(image, image), RuntimeError, "fit"),
        (lambda image: MeanDepth(torch.zeros(1, 8, 8))(image, image), ValueError, r"\(8, 8\).*\(32, 32\)"),
        (lambda image: mean_depth([]), ValueError, "at least one sample"),
        (lambda image: DifferenceThreshold().fit([]), ValueError, "at least one sample"),
    ],
)
def test_wrong_use_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.rand(2, 3, 32, 32))
