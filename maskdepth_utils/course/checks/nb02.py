"""Checks of the exercises in notebook 02: sizes, IoU, cross-entropy."""

import math

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ... import metrics
from .compare import LOSS, compare_on_cases
from .verdict import report_verdict, require


def output_size(pixels, kernel, stride, padding):
    return F.conv1d(torch.zeros(1, 1, pixels), torch.zeros(1, 1, kernel), stride=stride, padding=padding).shape[-1]


SIZE_FAULTS = {
    "the 1 is added in the wrong place": lambda n, k, s, p: (n + 2 * p - k + 1) // s,
    "the 1 is missing: a window that just fits moves zero steps": lambda n, k, s, p: (n + 2 * p - k) // s,
    "the padding counts once, but it is put at both ends": lambda n, k, s, p: (n + p - k) // s + 1,
    "rounded up, but a window that does not fit is left out": lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1,
}


@report_verdict
def check_size(my_size):
    """my_size(pixels, kernel, stride, padding) -> how many pixels a convolution outputs; compared with PyTorch."""
    sizes = [(20, 5, 1, 2), (160, 7, 2, 3), (10, 3, 2, 0), (81, 3, 2, 1), (80, 3, 2, 1), (10, 1, 3, 0), (7, 7, 1, 0)]
    cases = {"{} pixels, kernel {}, stride {}, padding {}".format(*case): case for case in sizes}
    hint = "Count the places where the window's left end can be."
    compare_on_cases(my_size, output_size, cases, SIZE_FAULTS, hint, whole=True)
    return f"Tried: {len(cases)} convolutions, against PyTorch's"


def from_counts(score):
    """A score of two masks: a function of the pixels (in both, in the prediction, in the truth) of each image."""

    def score_masks(p, y):
        a, b = (p > 0.5).float(), (y > 0.5).float()
        return score(*(mask.sum((1, 2, 3)) for mask in (a * b, a, b)))

    return score_masks


IOU_FAULTS = {
    "the overlap is counted twice in the denominator": from_counts(lambda both, a, b: both / (a + b)),
    "this is Dice, twice the overlap over the sum": from_counts(lambda both, a, b: 2 * both / (a + b)),
    "this is the share of correct pixels": lambda p, y: ((p > 0.5) == (y > 0.5)).float().mean((1, 2, 3)),
    "the values are not cut at 0.5": lambda p, y: (p * y).sum((1, 2, 3)) / (p + y - p * y).sum((1, 2, 3)),
}


@report_verdict
def check_iou(my_iou):
    """my_iou(probability, coverage): (N, 1, H, W) twice -> IoU of each image, (N,); two empty masks score 1."""
    soft = torch.rand(2, 3, 1, 6, 8)  # prediction and truth; 6 x 8 pixels are not square
    hard = (soft > 0.6).float()
    empty = torch.zeros(1, 1, 8, 8)
    square = F.pad(torch.ones(1, 1, 4, 4), [2, 2, 2, 2])
    cases = {
        "three images": (hard[0], hard[1]),
        "soft masks": (soft[0], soft[1]),
        "an object missed altogether": (empty, square),
        "a false alarm": (square, empty),
        "nothing there and nothing found": (empty, empty),
        "one empty image among others": tuple(torch.cat([square, empty, mask]) for mask in (square, empty)),
        "a single pixel that is missed": (empty, F.pad(torch.ones(1, 1, 1, 1), [3, 4, 2, 5])),
        "values of exactly 0.5": (soft[0].round(decimals=1) / 2 + 0.2, hard[1]),
    }
    hint = "Count the pixels in both masks and those in either, each pixel once, image by image."
    return compare_on_cases(my_iou, metrics.iou, cases, IOU_FAULTS, hint)


def bce(x, y, high=F.softplus):
    """Mean binary cross-entropy of logits; `high` is -log(1 - p)."""
    return (high(x) - x * y).mean()


def corner(positive, x):
    """Softplus as the sum of max(x, 0) and what is missing; its slope at 0 is that of one side."""
    return torch.where(positive, x, 0) + (-x.abs()).exp().log1p()


BCE_FAULTS = {
    "this is the sum over all pixels": lambda x, y: bce(x, y) * x.numel(),
    "only the object's pixels count": lambda x, y: -(y * F.logsigmoid(x)).mean(),
    "large values are cut off": lambda x, y: F.binary_cross_entropy(x.sigmoid(), y),
    "the corner of max(x, 0) counts with slope 0": lambda x, y: bce(x, y, lambda x: corner(x > 0, x)),
    "the corner of max(x, 0) counts with slope 1": lambda x, y: bce(x, y, lambda x: corner(x >= 0, x)),
}


class NoteCrossEntropy(TorchFunctionMode):
    """Notes the names of PyTorch's own cross-entropies that are called."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if "cross_entropy" in getattr(function, "__name__", ""):
            self.names.add(function.__name__)
        return function(*args, **kwargs or {})


@report_verdict
def check_bce(my_bce):
    """my_bce(logits, target): (N, 1, H, W) twice -> mean cross-entropy, a scalar, whatever the logits."""
    logits, soft = 3 * torch.randn(3, 1, 5, 7), torch.rand(3, 1, 5, 7)
    cases = {"moderate logits": (logits, (soft > 0.5).float()), "soft targets": (logits, soft)}
    cases["logits of 0"] = torch.zeros(1, 1, 4, 4), soft[:1, :, :4, :4]
    for x, y in ((1000.0, 0.0), (-1000.0, 1.0), (1000.0, 1.0), (-1000.0, 0.0)):
        cases[f"logit {x:g} where the truth is {y:g}"] = torch.full((1, 1, 2, 2), x), torch.full((1, 1, 2, 2), y)
    hint = "It is -y log p - (1 - y) log(1 - p). Put the sigmoid into the logarithms and simplify, or see F.softplus."
    with NoteCrossEntropy() as own:
        compare_on_cases(my_bce, bce, cases, BCE_FAULTS, hint, names=LOSS)
    words = f"it calls PyTorch's own {' and '.join(sorted(own.names))}"
    require(not own.names, "my_bce", words, "Logarithms and softplus are allowed.")
    return "Tried: moderate logits, soft targets, and logits of 0, 1000 and -1000, with their gradients"
