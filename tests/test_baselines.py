"""Baselines find what is possible without a network, and are called like networks."""

import pytest
import torch

from maskdepth_utils.baselines import ConstantDepth, DifferenceThreshold, MeanDepth
from maskdepth_utils.evaluation import evaluate


def batches(noise=0.05, seed=0):
    """Squares that are 0.3 brighter than their background, in noise; depth falls from top to bottom."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(3):
        background = 0.5 * torch.rand(4, 3, 32, 32, generator=generator)
        mask = torch.zeros(4, 1, 32, 32)
        mask[:, :, 8:20, 10:22] = 1
        shot = noise * (torch.rand(4, 3, 32, 32, generator=generator) - 0.5)
        depth = torch.linspace(1, 0.2, 32).view(1, 1, 32, 1).expand(4, 1, 32, 32) * 0.9
        depth = depth + 0.1 * torch.rand(4, 1, 1, 1, generator=generator)
        depth = torch.where(mask > 0, 0.5 * depth, depth)
        yield {"image": background + 0.3 * mask + shot, "background": background, "mask": mask, "depth": depth}


def test_difference_threshold_separates_what_can_be_separated():
    baseline = DifferenceThreshold().fit(batches())
    assert 0.02 < baseline.threshold < 0.3
    assert evaluate(baseline, batches(seed=1))["iou"] == 1
    sample = next(batches())
    mask, depth = baseline(sample["image"], sample["background"])
    assert depth is None and mask.dtype == torch.float32 and set(mask.unique().tolist()) == {0, 1}


def test_fit_scores_every_threshold_by_mean_iou():
    baseline = DifferenceThreshold().fit(batches(noise=0.4))
    tried = {t: evaluate(DifferenceThreshold(t), batches(noise=0.4))["iou"] for t, _ in baseline.curve[::11]}
    assert dict(baseline.curve[::11]) == pytest.approx(tried)
    assert baseline.threshold == max(baseline.curve, key=lambda point: point[1])[0]
    assert baseline.curve[5][1] < dict(baseline.curve)[baseline.threshold] > baseline.curve[-1][1]


def test_difference_takes_the_largest_channel():
    background = torch.zeros(1, 3, 32, 32)
    image = background.clone()
    image[0, 0, 10, 10] = 0.9
    assert DifferenceThreshold().difference(image, background)[0, 0, 10, 10] == pytest.approx(0.9)


def test_each_depth_baseline_is_better_than_the_one_before():
    constant, per_pixel = ConstantDepth().fit(batches()), MeanDepth().fit(batches())
    depths = torch.cat([sample["depth"] for sample in batches()])
    assert constant.depth == pytest.approx(float(depths.mean()), abs=1e-6)
    torch.testing.assert_close(per_pixel.depth, depths.mean(dim=0))
    errors = [evaluate(baseline, batches(seed=1))["rmse"] for baseline in (constant, per_pixel)]
    assert errors == sorted(errors, reverse=True)
