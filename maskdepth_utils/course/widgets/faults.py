"""Faults of a depth map or a mask, and what each loss makes of them: the computations of the loss explorer.

A map is a float32 tensor (1, 1, H, W): depth as metres / 10, or the object's coverage, whose spoiled version is read
as a probability.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from ...camera import MAX_DEPTH
from ...data.datasets import MaskDepthDataset
from ...losses import bce, dice_loss, dssim, edge, l1

# The losses by the names that notebook 04 uses, as functions of a network's output (depth, mask logits) and the truth.
LOSSES = {
    "depth": {"L1": l1, "edge": edge, "SSIM": dssim},
    "mask": {
        "BCE": bce,
        "Dice": lambda logits, truth: dice_loss(logits.sigmoid(), truth),
        "SSIM": lambda logits, truth: dssim(logits.sigmoid(), truth),
    },
}
UNITS = {"depth": MAX_DEPTH, "mask": 1.0}  # what 1 on a map means: 10 metres, or certainty
SAMPLES = 40  # validation samples, as many as notebook 04 uses
CERTAIN = 0.001  # a spoiled mask stays this far from 0 and 1, whose logits are infinite
ROUNDING = 1e-5  # a loss below this share of plain gray's consists of rounding errors, and so does its gradient


@dataclass(frozen=True)
class Fault:
    """Ways to spoil a map, in the order in which they are applied; the defaults change nothing."""

    blur: float = 0.0  # standard deviation of a Gaussian in pixels
    shift: int = 0  # pixels to the right
    gray: float = 0.0  # share of the contrast that is removed, 0 to 1
    scale: float = 1.0  # a factor
    offset: float = 0.0  # what is added: metres, or probability
    noise: float = 0.0  # standard deviation of noise, likewise


PLAIN_GRAY = Fault(gray=1.0)
TRUTH = "none: the truth"
COMMON = {
    TRUTH: Fault(),
    "plain gray": PLAIN_GRAY,
    "blurred": Fault(blur=2.0),
    "2 px to the right": Fault(shift=2),
    "half the contrast": Fault(gray=0.5),
}
PRESETS = {
    "depth": COMMON | {"1 m too far": Fault(offset=1.0), "noise, 0.5 m": Fault(noise=0.5)},
    "mask": COMMON | {"nothing found": Fault(scale=0.0), "noise, 0.2": Fault(noise=0.2)},
}


class LossReport(NamedTuple):
    """One loss of a map."""

    value: float
    relative: float  # the value as a multiple of plain gray's loss
    descent: np.ndarray  # minus the gradient (H, W) for the output; positive: to greater depth, or a greater logit


@functools.lru_cache(maxsize=2 * SAMPLES)
def load_truth(task: str = "depth", index: int = 5) -> Tensor:
    """Load a validation sample's true depth or mask (1, 1, 80, 80). Do not write to it."""
    return MaskDepthDataset("val", size=80, gap="tripod")[index][task][None]


def spoil(truth: Tensor, fault: Fault, task: str = "depth") -> Tensor:
    """Apply a fault to a map (1, 1, H, W); noise is the same at every strength.

    The result is not clipped: clipping walls at 10 m would turn an offset into edges.
    """
    truth = truth.cpu()
    x = truth
    if fault.blur:
        side = 2 * math.ceil(3 * fault.blur) + 1
        blurred = cv2.GaussianBlur(x[0, 0].numpy(), (side, side), fault.blur, borderType=cv2.BORDER_REPLICATE)
        x = torch.from_numpy(blurred)[None, None]
    width = x.shape[-1]
    x = x[..., (torch.arange(width) - int(fault.shift)).clamp(0, width - 1)]
    if fault.gray:  # skip a step that changes nothing: it would leave rounding errors
        x = truth.mean() + (1 - fault.gray) * (x - truth.mean())
    x = fault.scale * x + fault.offset / UNITS[task]
    if fault.noise:
        x = x + fault.noise / UNITS[task] * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return x


def to_output(spoiled: Tensor, task: str) -> Tensor:
    """A map as a network outputs it: depth unchanged, a probability as a logit."""
    return spoiled if task == "depth" else spoiled.clamp(CERTAIN, 1 - CERTAIN).logit()


def report_losses(truth: Tensor, spoiled: Tensor, task: str = "depth") -> dict[str, LossReport]:
    """Report each loss of a spoiled map (1, 1, H, W) and its gradient.

    The true depth has zero loss. A true mask has a small one: its soft outline is neither 0 nor 1, and no probability
    is nearer to either than `CERTAIN`. The descent is zero where a loss consists of rounding errors, since the slope
    of an absolute value is as large there as anywhere.
    """
    truth = truth.cpu()
    gray = to_output(spoil(truth, PLAIN_GRAY), task)
    output = to_output(spoiled.detach().cpu(), task).requires_grad_()
    reports = {}
    for name, loss in LOSSES[task].items():
        value = loss(output, truth)
        relative = value.item() / loss(gray, truth).item()
        (gradient,) = torch.autograd.grad(value, output)
        if relative <= ROUNDING:
            gradient = torch.zeros_like(gradient)
        reports[name] = LossReport(value.item(), relative, -gradient[0, 0].numpy())
    return reports
