"""Answers to the exercises of notebook 04."""

import torch
import torch.nn.functional as F
from answers import Exercise, solutions

from maskdepth_utils import losses
from maskdepth_utils.course.checks.nb04 import SAME_SLOPE, steepness


def steepness_with_epsilon(depth):
    right, down = losses.sobel(10 * depth / 8)
    return torch.sqrt(right**2 + down**2 + 1e-8)


def neighbours(depth):
    return 10 * torch.hypot(*torch.gradient(depth, dim=(2, 3)))[..., 1:-1, 1:-1]


def draw_depth(g):
    n, height, width = g.integers(1, 4), *g.integers(3, 9, 2)
    return (torch.from_numpy(g.random((n, 1, height, width))).float(),)


def depth_loss_by_hand(depth, target):
    error = depth - target
    slopes = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return F.smooth_l1_loss(depth, target, beta=0.05) + 2 * slopes


EXERCISES = {
    "check_flat_wall": Exercise(
        right=[8, 7.9, torch.tensor(8.05)],
        wrong=[
            (6, "SSIM 0.984, expected 0.900"),
            (7.8, "SSIM tolerates more than that"),
            (8.1, "Try a smaller number"),
            (0.8, "expected metres from 5 to 20, found 0.8"),
        ],
    ),
    "check_steepness": Exercise(
        right=[solutions()["check_steepness"], steepness_with_epsilon],
        draw=draw_depth,
        tolerance=SAME_SLOPE,
        wrong=[
            (neighbours, "Three maps: at index"),
            (lambda d: F.pad(steepness(d), [1] * 4), "expected values of shape (1, 1, 5, 7), found a tensor"),
        ],
    ),
    "check_depth_loss": Exercise(
        right=[solutions()["check_depth_loss"], depth_loss_by_hand, losses.depth_loss],
        allowed=("(target, depth)",),
        wrong=[
            (losses.l1, "This loss hardly sees where the edges are"),
            (losses.edge, "too far and too near: expected a loss above 0"),
            (losses.dssim, "of what plain gray costs, expected at least 10%"),
            (lambda a, b: losses.depth_loss(a, b, **losses.WRITE_UP_2020), "hardly sees the level"),
            (lambda a, b: ((a - b) ** 2).mean().sqrt(), "The truth itself: the gradient is not finite"),
            (lambda a, b: (a.log() - b.log()).abs().mean(), "A truth of 0: the loss is nan"),
            (lambda a, b: (a - b).abs().sum(), "found 2 times as much"),
            (lambda a, b: (a - b).abs().sum() / len(a), "Every map twice, side by side: expected the same loss"),
            (lambda a, b: (a - b).mean().abs(), "too far, the right too near: expected a loss above 0"),
            (lambda a, b: (a - b).mean(2).abs().mean(), "too far, the lower too near: expected a loss above 0"),
            (lambda a, b: losses.l1(F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)), "A checkerboard of too far and too near"),
            (lambda a, b: losses.depth_loss(a[:1], b[:1]), "no gradient reaches 90 of 120 patches"),
            (lambda a, b: losses.l1(a[..., :16, :16], b[..., :16, :16]), "no gradient reaches 104 of 120 patches"),
            (lambda a, b: 1 - torch.exp(-losses.l1(a, b) * 1e3), "expected a rising loss, found 1, 1, 1"),
            (lambda a, b: ((a - b).abs() > 0.05).float().mean(), "no gradient reaches its input"),
            (lambda a, b: losses.ssim(a, b), "The truth itself: expected a loss of 0, found 1"),
        ],
    ),
}
