"""Typical wrong answers to the exercises of notebook 04: {check: [(answers, words of the verdict), ...]}."""

import torch
import torch.nn.functional as F

from maskdepth_utils import losses


def slopes(depth, padding=0):
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return F.conv2d(depth, torch.stack([kernel, kernel.T])[:, None], padding=padding).split(1, dim=1)


def steepness(depth, factor=10 / 8, padding=0):
    return factor * torch.hypot(*slopes(depth, padding))


def means(x, y, dims=(1, 2, 3), least=0.0):
    """Mean cross-entropy over the object and over the rest."""
    pairs = (y, F.softplus(-x)), (1 - y, F.softplus(x))
    return [(weight * cost).sum(dims) / weight.sum(dims).clamp(min=least) for weight, cost in pairs]


def falling(a, b):
    """It grows with small errors only."""
    error = (a - b).abs().mean()
    return error / (1 + (8 * error) ** 2)


def of_probabilities(x, y):
    p = x.sigmoid()
    return (
        -((y * p.log()).sum((1, 2, 3)) / y.sum((1, 2, 3))).mean() / 2
        - (((1 - y) * (1 - p).log()).sum((1, 2, 3)) / (1 - y).sum((1, 2, 3))).mean() / 2
    )


WRONG = {
    "check_flat_wall": [
        (6, "SSIM 0.984, expected 0.9"),
        (12, "Nearer, then"),
        (0.8, "expected metres, found 0.8"),
        (3.1, "expected something farther than 5 m"),
        (800, "expected something farther than 5 m, found 800"),
        ("8 m", "expected one number, found str '8 m'"),
    ],
    "check_steepness": [
        (lambda d: steepness(d, 10), "8 times too steep"),
        (lambda d: steepness(d, 1 / 8), "not in metres yet"),
        (lambda d: steepness(d, 1), "neither the 8 nor the metres"),
        (lambda d: 10 / 8 * sum(x.abs() for x in slopes(d)), "both slopes are simply added"),
        (lambda d: 10 / 8 * slopes(d)[0].abs(), "only the slope to the right counts"),
        (lambda d: 10 / 8 * slopes(d)[1].abs(), "only the slope downwards counts"),
        (lambda d: steepness(d) ** 2, "this is the squared steepness"),
        (lambda d: steepness(d, padding=1), "padded with zeros, a false edge"),
        (lambda d: steepness(F.pad(d, [1] * 4, mode="replicate")), "expected shape (1, 1, 5, 7), found (1, 1, 7, 9)"),
        (lambda d: slopes(d), "expected a tensor of shape (1, 1, 5, 7), found a tuple of 2"),
        (lambda d: 10 * torch.hypot(*torch.gradient(d, dim=(2, 3)))[..., 1:-1, 1:-1], "not Sobel's"),
        (lambda d: steepness(d[0, 0]), "RuntimeError"),
    ],
    "check_balanced_bce": [
        (F.binary_cross_entropy_with_logits, "every pixel counts the same"),
        (lambda x, y: sum(means(x, y)).mean(), "both means are added, not averaged"),
        (lambda x, y: sum(means(x, y)).mean() / 2, "An image without an object: expected 1.077, found nan"),
        (lambda x, y: sum(means(x, y, least=1e-6)).mean() / 2, "the other counts only half"),
        (lambda x, y: sum(means(x, y, (0, 1, 2, 3))) / 2, "all images are thrown together"),
        (lambda x, y: means(x, y)[0].mean(), "only the object counts"),
        (lambda x, y: means(x, y)[1].mean(), "only the background counts"),
        (lambda x, y: sum(means(x, y)) / 2, "expected shape (), found (1,)"),
        (of_probabilities, "nan"),
        (lambda x, y: sum(means(x, (y > 0.5).float())).mean() / 2, "Soft masks: expected"),
    ],
    "check_depth_loss": [
        (losses.l1, "This loss hardly sees where the edges are"),
        (losses.edge, "1 m too far: expected a loss above 0"),
        (losses.dssim, "costs 4.5% of what plain gray costs, expected at least 10%"),
        (lambda a, b: losses.depth_loss(a, b, **losses.WRITE_UP_2020), "hardly sees the level"),
        (lambda a, b: ((a - b) ** 2).mean().sqrt(), "The truth itself: the gradient is not finite"),
        (lambda a, b: (a.log() - b.log()).abs().mean(), "Black: the loss is inf"),
        (lambda a, b: (a - b).abs().sum(), "found 2 times as much"),
        (lambda a, b: (a - b).mean(), "expected a loss above 0"),
        (lambda a, b: (a - b).mean().abs(), "Half too far, half too near: expected a loss above 0"),
        (lambda a, b: ((a - b).abs() > 0.05).float().mean(), "no gradient reaches the depth"),
        (lambda a, b: (a - b).abs(), "expected shape (), found (4, 1, 40, 48)"),
        (lambda a, b: losses.ssim(a, b), "The truth itself: expected a loss of 0, found 1"),
        (lambda a, b: (a - b).abs().mean().item(), "expected a tensor of shape (), found the number 0"),
        (falling, "expected a rising loss"),
    ],
}
