"""Answers to the exercises of notebook 02."""

import torch
import torch.nn.functional as F
from answers import LOSS, Exercise, solutions
from torch import nn

from maskdepth_utils.course.checks.nb02 import bce, output_size
from maskdepth_utils.metrics import iou


def draw_size(g):
    kernel, stride, padding = int(g.integers(1, 8)), int(g.integers(1, 4)), int(g.integers(0, 4))
    return int(g.integers(max(1, kernel - 2 * padding), 40)), kernel, stride, padding


def iou_with_epsilon(probability, coverage):
    p, y = (probability > 0.5).double(), (coverage > 0.5).double()
    both = (p * y).sum((1, 2, 3), keepdim=True)
    return ((both + 1e-6) / (p.sum((1, 2, 3), keepdim=True) + y.sum((1, 2, 3), keepdim=True) - both + 1e-6)).flatten()


def iou_of_batch(p, y):
    both, either = ((p > 0.5) & (y > 0.5)).sum((1, 2, 3)), ((p > 0.5) | (y > 0.5)).sum((1, 2, 3))
    return torch.ones(len(p)) if either.sum() == 0 else both / either


def draw_maps(g, levels=11):
    """Two tensors (N, 1, H, W) in [0, 1] with exact tenths; some images of both are empty."""
    n, h, w = g.integers(1, 5), g.integers(2, 7), g.integers(2, 7)
    maps = g.integers(0, levels, (2, n, 1, h, w)) / 10 * (g.random((2, n, 1, 1, 1)) > 0.3)
    return tuple(torch.from_numpy(maps).float())


class Bce(nn.Module):
    def forward(self, logits, target):
        zero = torch.zeros_like(logits)
        return torch.logaddexp(zero, logits.double()).sum().div(logits.numel()) - (logits * target).mean()


def bce_of_probabilities(logits, y, least=0.0):
    p = logits.sigmoid().clamp(least, 1 - least)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def bce_by_hand(x, y, high=torch.relu):
    return (high(x) + (-x.abs()).exp().log1p() - x * y).mean()


def draw_logits(g):
    target, _ = draw_maps(g)
    return torch.from_numpy(g.choice([0, 0.5, -2, 3, 30, -1000, 1000], target.shape)).float(), target


EXERCISES = {
    "check_size": Exercise(
        right=[solutions()["check_size"], lambda *sizes: torch.tensor(output_size(*sizes))],
        draw=draw_size,
        wrong=[
            (lambda n, k, s, p: float(output_size(n, k, s, p)), "expected a whole number, found the float 20.0"),
            (lambda n, k, s, p: (n + 2 * p - k) / s + 1, "// divides and rounds down"),
            (lambda n, k, s, p: n // s, "10 pixels, kernel 3, stride 2, padding 0: expected 4, found 5"),
        ],
    ),
    "check_iou": Exercise(
        right=[solutions()["check_iou"], iou_with_epsilon],
        draw=draw_maps,
        wrong=[
            (iou_of_batch, "One empty image among others: expected [1, 1, 0], found [1, nan, 0]"),
            (lambda p, y: iou(p >= 0.5, y), "Values of exactly 0.5: expected"),
            (lambda p, y: iou(p, y) > 0.5, "expected values of shape (3,), found a tensor of shape (3,), bool"),
            (lambda p, y: 1 - iou(p, y), "this is 1 minus what is expected"),
            (lambda p, y: iou(p, y)[:, None], "found a tensor of shape (3, 1), float32"),
            (lambda p, y: (p > 0.5) & y, 'NotImplementedError: "bitwise_and_cpu"'),
            (torch.tensor(0.5), "expected a function, found a tensor"),
        ],
    ),
    "check_bce": Exercise(
        right=[solutions()["check_bce"], Bce()],
        draw=draw_logits,
        names=LOSS,
        wrong=[
            (bce_of_probabilities, "expected 1000, found inf"),
            (lambda x, y: -bce(x, y), "the sign is wrong"),
            (lambda x, y: F.softplus(x) - x * y, "One number is expected"),
            (lambda x, y: bce(x, y).item(), "expected a tensor, found 1."),
            (lambda x, y: F.softplus(x).mean() - (x.detach() * y).mean(), "gradient: at index"),
            (bce_by_hand, "Logits of 0, gradient: the corner of max(x, 0) counts with slope 0"),
            (F.binary_cross_entropy_with_logits, "it calls PyTorch's own binary_cross_entropy_with_logits"),
        ],
    ),
}
