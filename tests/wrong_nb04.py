"""Wrong answers to the exercises of notebook 04: {check: [(answer, words of the verdict), ...]}."""

import torch
import torch.nn.functional as F

from maskdepth_utils import losses
from maskdepth_utils.course.checks.nb04 import balanced_bce, steepness


def neighbours(depth):
    return 10 * torch.hypot(*torch.gradient(depth, dim=(2, 3)))[..., 1:-1, 1:-1]


def unclamped(x, y, average=torch.mean):
    """Balanced cross-entropy that divides 0 by 0; with `nanmean` the value is right, but the gradient is nan."""
    on = (y * F.softplus(-x)).sum((1, 2, 3)) / y.sum((1, 2, 3))
    off = ((1 - y) * F.softplus(x)).sum((1, 2, 3)) / (1 - y).sum((1, 2, 3))
    return average(torch.stack([on, off]), 0).mean()


WRONG = {
    "check_flat_wall": [
        (6, "SSIM 0.984, expected 0.9"),
        (12, "Nearer, then"),
        (0.8, "expected metres, more than 5 and at most 20, found 0.8"),
    ],
    "check_steepness": [
        (neighbours, "Three maps: at index"),
        (lambda d: F.pad(steepness(d), [1] * 4), "expected shape (1, 1, 5, 7), found (1, 1, 7, 9)"),
    ],
    "check_balanced_bce": [
        (unclamped, "An image without an object: expected 1.0766, found nan"),
        (lambda x, y: unclamped(x, y, torch.nanmean), "An image without an object: the gradient is not finite"),
        (lambda x, y: balanced_bce(x, (y > 0.5).float()), "Soft masks: expected"),
    ],
    "check_depth_loss": [
        (losses.l1, "This loss hardly sees where the edges are"),
        (losses.edge, "1 m too far: expected a loss above 0"),
        (losses.dssim, "costs 4.5% of what plain gray costs, expected at least 10%"),
        (lambda a, b: losses.depth_loss(a, b, **losses.WRITE_UP_2020), "hardly sees the level"),
        (lambda a, b: ((a - b) ** 2).mean().sqrt(), "The truth itself: the gradient is not finite"),
        (lambda a, b: (a.log() - b.log()).abs().mean(), "Black: the loss is not finite"),
        (lambda a, b: (a - b).abs().sum(), "found 2 times as much"),
        (lambda a, b: (a - b).mean().abs(), "Half too far, half too near: expected a loss above 0"),
        (lambda a, b: (a - b)[0].abs().mean(), "The last image 1 m too far: expected a loss above 0"),
        (lambda a, b: ((a - b).abs() > 0.05).float().mean(), "no gradient reaches the prediction"),
        (lambda a, b: losses.ssim(a, b), "The truth itself: expected a loss of 0, found 1"),
    ],
}
