"""Typical wrong answers to the exercises of notebook 02: {check: [(answers, words of the verdict), ...]}."""

import torch
import torch.nn.functional as F
from torch import nn


def overlap(p, y, soft=False):
    a, b = (p, y) if soft else ((p > 0.5).float(), (y > 0.5).float())
    return (a * b).sum((1, 2, 3)), (a + b - a * b).sum((1, 2, 3)), (a + b).sum((1, 2, 3))


def by_where(p, y, zero=1.0):
    both, either, _ = overlap(p, y)
    return torch.where(either > 0, both / either, zero)


def soft_iou(p, y):
    both, either, _ = overlap(p, y, soft=True)
    return torch.where(either > 0, both / either, 1.0)


def pooled(p, y):
    both, either, _ = overlap(p, y)
    return both.sum() / either.sum()


def bce_of_probabilities(logits, y, least=0.0):
    p = logits.sigmoid().clamp(least, 1 - least)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def one_by_one(logits, y):
    total = 0.0
    for x, t in zip(logits.flatten().tolist(), y.flatten().tolist()):
        total += max(x, 0) - x * t
    return total / logits.numel()


def layers(*sizes, bend=nn.ReLU, norm=nn.BatchNorm2d):
    """Convolutions (inputs, outputs, kernel, stride, padding) in a row, each with its bend and norm."""
    found = []
    for inputs, outputs, kernel, stride, padding in sizes:
        found += [nn.Conv2d(inputs, outputs, kernel, stride, padding), bend(), norm(outputs)]
    return nn.Sequential(*found)


WRONG = {
    "check_painting": [
        ((3, 1), "checkerboard"),
        ((5, 1), "checkerboard"),
        ((2, 0), "touch, but do not overlap"),
        ((6, 2), "painted 3 times, expected 2"),
        ((4, 0), "8 cells become 18 pixels, expected 16"),
        ((4, 2), "8 cells become 14 pixels"),
        ((4, 20), "leave nothing"),
        ((4.5, 1), "my_kernel: expected a whole number"),
        (("4", 1), "expected one number, found str '4'"),
        (((4, 4), 1), "found a tuple of 2"),
    ],
    "check_size": [
        (lambda n, k, s, p: (n + 2 * p - k) // s, "one is missing (expected 20, found 19)"),
        (lambda n, k, s, p: (n + p - k) // s + 1, "the padding counts once"),
        (lambda n, k, s, p: (n - k) // s + 1, "the padding is not counted"),
        (lambda n, k, s, p: (n + 2 * p - k) / s + 1, "// divides and rounds down"),
        (lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1, "rounded up"),
        (lambda n, k, s, p: (n + 2 * p - k + 1) // s, "wrong place"),
        (lambda n, k, s, p: float((n + 2 * p - k) // s + 1), "expected a whole number, found the float"),
        (lambda n, k, s, p: n // s, "10 pixels, kernel 3, stride 2, padding 0: rounded up (expected 4, found 5)"),
        (lambda n, k, s: n, "TypeError"),
    ],
    "check_iou": [
        (lambda p, y: overlap(p, y)[0] / overlap(p, y)[2], "counted twice below the line"),
        (lambda p, y: 2 * overlap(p, y)[0] / overlap(p, y)[2], "this is Dice"),
        (lambda p, y: overlap(p, y)[0] / overlap(p, y)[1], "expected [1], found [nan]"),
        (lambda p, y: by_where(p, y, 0.0), "a rightly empty mask scores 0"),
        (lambda p, y: (overlap(p, y)[0] + 1) / (overlap(p, y)[1] + 1), "one is added above and below"),
        (lambda p, y: by_where(p, y).mean(), "one score for the whole batch"),
        (lambda p, y: by_where(p, y).mean().item(), "expected a tensor of shape (3,), found the number"),
        (soft_iou, "not cut at 0.5"),
        (pooled, "pooled into one score"),
        (lambda p, y: ((p > 0.5) == (y > 0.5)).float().mean((1, 2, 3)), "share of right pixels"),
        (lambda p, y: by_where(p, y)[:, None], "a dimension too many"),
        (lambda p, y: by_where(p, y) > 0.5, "expected float values, found bool"),
        (lambda p, y: (p > 0.5) & y, 'NotImplementedError: "bitwise_and_cpu"'),
        (lambda p, y: by_where(p.sub_(0.1), y), "changes its input in place"),
        (torch.tensor(0.5), "expected a function, found a tensor"),
    ],
    "check_bce": [
        (bce_of_probabilities, "expected 1000, found inf"),
        (lambda x, y: bce_of_probabilities(x.double(), y.double(), 1e-9).float(), "cut off"),
        (lambda x, y: F.binary_cross_entropy(x.sigmoid(), y), "expected 1000, found 100: it is cut off"),
        (lambda x, y: -F.binary_cross_entropy_with_logits(x, y), "the sign is wrong"),
        (lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="sum"), "sum over all pixels"),
        (lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"), "one value for each pixel"),
        (lambda x, y: -(y * F.logsigmoid(x)).mean(), "only the object's pixels count"),
        (lambda x, y: F.binary_cross_entropy(x, y), "RuntimeError"),
        (one_by_one, "expected a tensor of shape (), found the number"),
        (lambda x, y: F.binary_cross_entropy_with_logits(x.detach(), y), "no gradient reaches the logits"),
    ],
    "check_block": [
        (lambda i, o: layers((i, o, 5, 2, 2)), "expected fewer than the 2,400"),
        (lambda i, o: layers((i, o, 3, 1, 1), (o, o, 3, 2, 1)), "3,264 parameters, expected fewer"),
        (lambda i, o: layers((i, i, 3, 2, 1), (i, o, 3, 1, 1)), "sees 7 x 7 pixels, expected 5 x 5"),
        (lambda i, o: layers((i, o, 3, 2, 1)), "sees 3 x 3 pixels"),
        (lambda i, o: layers((i, i, 3, 1, 1), (i, o, 3, 1, 1)), "expected shape (2, 16, 8, 8), found (2, 16, 16, 16)"),
        (lambda i, o: layers((i, i, 3, 1, 0), (i, o, 3, 2, 0)), "found (2, 16, 6, 6)"),
        (lambda i, o: layers((i, i, 3, 1, 1), (i, o, 3, 2, 1), bend=nn.Identity), "it is linear"),
        (lambda i, o: layers((i, i, 3, 1, 1), (i, o, 3, 2, 1), norm=nn.Identity), "no BatchNorm"),
        (lambda i, o: list(layers((i, i, 3, 1, 1), (i, o, 3, 2, 1))), "expected one nn.Module, found a list of 6"),
        (lambda i, o: nn.Sequential, "found the class Sequential"),
        (lambda i, o: layers((i, o, 3, 1, 1), (i, o, 3, 2, 1)), "RuntimeError: Given groups=1"),
    ],
}
