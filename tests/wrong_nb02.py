"""Wrong answers to the exercises of notebook 02: {check: [(answer, words of the verdict), ...]}."""

import torch
import torch.nn.functional as F
from torch import nn

from maskdepth_utils.metrics import iou


def iou_of_batch(p, y):
    """Nan where one image of several is empty."""
    both, either = ((p > 0.5) & (y > 0.5)).sum((1, 2, 3)), ((p > 0.5) | (y > 0.5)).sum((1, 2, 3))
    return torch.ones(len(p)) if either.sum() == 0 else both / either


def bce_of_probabilities(logits, y, least=0.0):
    p = logits.sigmoid().clamp(least, 1 - least)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def layers(*sizes, bend=nn.ReLU, norm=nn.BatchNorm2d):
    """Convolutions (inputs, outputs, kernel, stride, padding) in a row, each with a nonlinearity and a norm."""
    found = []
    for inputs, outputs, kernel, stride, padding in sizes:
        found += [nn.Conv2d(inputs, outputs, kernel, stride, padding), bend(), norm(outputs)]
    return nn.Sequential(*found)


def right_layers(i, o, **options):
    return layers((i, i, 3, 1, 1), (i, o, 3, 2, 1), **options)


WRONG = {
    "check_transposed_convolution": [
        ((3, 1), "checkerboard"),
        ((2, 0), "painted 1, 1, 1, 1 times, expected 2"),
        ((4, 0), "8 cells become 18 pixels, expected 16"),
    ],
    "check_size": [
        (lambda n, k, s, p: float((n + 2 * p - k) // s + 1), "expected a whole number, found a float"),
        (lambda n, k, s, p: n // s, "10 pixels, kernel 3, stride 2, padding 0: rounded up"),
    ],
    "check_iou": [
        (iou_of_batch, "The same beside other images: expected [1, 1, 0], found [nan, 1, 0]"),
        (lambda p, y: iou(p, y) > 0.5, "expected float values, found a tensor of shape (3,), bool"),
        (lambda p, y: 1 - iou(p, y), "this is 1 minus what is expected"),
        (lambda p, y: (p > 0.5) & y, 'NotImplementedError: "bitwise_and_cpu"'),
        (torch.tensor(0.5), "expected a function, found a tensor"),
    ],
    "check_bce": [
        (bce_of_probabilities, "expected 1000, found inf"),
        (lambda x, y: -F.binary_cross_entropy_with_logits(x, y), "the sign is wrong"),
        (lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"), "A loss is one number"),
        (lambda x, y: F.binary_cross_entropy_with_logits(x.detach(), y), "no gradient reaches the prediction"),
        (lambda x, y: F.softplus(x).mean() - (x.detach() * y).mean(), "gradient: at index"),
    ],
    "check_block": [
        (lambda i, o: layers((i, o, 5, 2, 2)), "expected fewer than the 2,400"),
        (lambda i, o: layers((i, i, 3, 2, 1), (i, o, 3, 1, 1)), "sees 7 x 7 pixels, expected 5 x 5"),
        (lambda i, o: layers((i, i, 3, 1, 1), (i, o, 3, 1, 1)), "expected shape (2, 16, 8, 8), found (2, 16, 16, 16)"),
        (lambda i, o: right_layers(i, o, bend=nn.Identity), "it is linear"),
        (lambda i, o: right_layers(i, o, norm=nn.Identity), "no BatchNorm"),
        (lambda i, o: list(right_layers(i, o)), "expected an nn.Module, found a list of 6"),
        (lambda i, o: layers((i, o, 3, 1, 1), (i, o, 3, 2, 1)), "RuntimeError: Given groups=1"),
    ],
}
