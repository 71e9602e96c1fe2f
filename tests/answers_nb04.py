"""Answers to the exercises of notebook 04."""

import torch
import torch.nn.functional as F
from answers import LOSS, Exercise
from answers_nb02 import draw_logits

from maskdepth_utils import losses
from maskdepth_utils.course.checks.nb04 import SAME_SLOPE


def steepness(depth):
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    right, down = F.conv2d(depth, torch.stack([kernel, kernel.T])[:, None]).split(1, dim=1)
    return 10 / 8 * torch.hypot(right, down)


def steepness_with_epsilon(depth):
    right, down = losses.sobel(10 * depth / 8)
    return torch.sqrt(right**2 + down**2 + 1e-8)


def neighbours(depth):
    return 10 * torch.hypot(*torch.gradient(depth, dim=(2, 3)))[..., 1:-1, 1:-1]


def draw_depth(g):
    n, height, width = g.integers(1, 4), *g.integers(3, 9, 2)
    return (torch.from_numpy(g.random((n, 1, height, width))).float(),)


def balanced(logits, target):
    costs = F.softplus(-logits), F.softplus(logits)
    means, there = 0, 0
    for weight, cost in zip((target, 1 - target), costs):
        pixels = weight.sum(dim=(1, 2, 3))
        means = means + (weight * cost).sum(dim=(1, 2, 3)) / pixels.clamp(min=1e-6)
        there = there + (pixels > 0)
    return (means / there).mean()


def balanced_of_each(logits, target):
    found = []
    for x, y in zip(logits, target):
        pairs = (y, -F.logsigmoid(x)), (1 - y, -F.logsigmoid(-x))
        sides = [(weight * cost).sum() / weight.sum() for weight, cost in pairs if weight.sum() > 0]
        found.append(sum(sides) / len(sides))
    return torch.stack(found).mean()


def weighted_bce(x, y):
    """Each side averages one cross-entropy per pixel: something else for soft masks."""
    cost = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    sides = [(w * cost).sum((1, 2, 3)) / w.sum((1, 2, 3)).clamp(min=1e-9) for w in (y, 1 - y)]
    return ((sides[0] + sides[1]) / sum((w.sum((1, 2, 3)) > 0).float() for w in (y, 1 - y))).mean()


def unclamped(x, y, average=torch.mean):
    """Balanced cross-entropy that divides 0 by 0; with `nanmean` the value is right, but the gradient is nan."""
    on = (y * F.softplus(-x)).sum((1, 2, 3)) / y.sum((1, 2, 3))
    off = ((1 - y) * F.softplus(x)).sum((1, 2, 3)) / (1 - y).sum((1, 2, 3))
    return average(torch.stack([on, off]), 0).mean()


def draw_masks(g):
    logits, target = draw_logits(g)
    return logits, target if g.random() < 0.5 else target.round()


def depth_loss(depth, target):
    return losses.l1(depth, target) + losses.edge(depth, target)


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
            (12, "Try a smaller number"),
            (0.8, "expected metres from 5 to 20, found 0.8"),
        ],
    ),
    "check_steepness": Exercise(
        right=[steepness, steepness_with_epsilon],
        draw=draw_depth,
        tolerance=SAME_SLOPE,
        wrong=[
            (neighbours, "Three maps: at index"),
            (lambda d: F.pad(steepness(d), [1] * 4), "expected values of shape (1, 1, 5, 7), found a tensor"),
        ],
    ),
    "check_balanced_bce": Exercise(
        right=[balanced, balanced_of_each],
        draw=draw_masks,
        names=LOSS,
        wrong=[
            (unclamped, "An image without an object: expected 1.0516, found nan"),
            (lambda x, y: unclamped(x, y, torch.nanmean), "An image without an object, gradient: at index"),
            (weighted_bce, "Soft masks: expected"),
            (lambda x, y: balanced(x, y).detach(), "no gradient reaches"),
            (lambda x, y: 0.7 * balanced(x, y) + 0.3 * balanced(x.detach(), y), "gradient: all values are 0.7 times"),
        ],
    ),
    "check_depth_loss": Exercise(
        right=[depth_loss, depth_loss_by_hand, losses.depth_loss],
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
            (lambda a, b: depth_loss(a[:1], b[:1]), "no gradient reaches 90 of 120 patches"),
            (lambda a, b: depth_loss(a[..., :16, :16], b[..., :16, :16]), "no gradient reaches 104 of 120 patches"),
            (lambda a, b: 1 - torch.exp(-losses.l1(a, b) * 1e3), "expected a rising loss, found 1, 1, 1"),
            (lambda a, b: ((a - b).abs() > 0.05).float().mean(), "no gradient reaches its input"),
            (lambda a, b: losses.ssim(a, b), "The truth itself: expected a loss of 0, found 1"),
        ],
    ),
}
