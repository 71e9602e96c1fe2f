"""The losses of the course, built and compared in notebook 04.

Every function takes two tensors of one shape (N, 1, H, W) and returns a scalar. All compute in float32, even under
autocast: SSIM and edges subtract nearly equal numbers, of which bf16 keeps three digits.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The window and the constants of the SSIM paper (Wang et al. 2004): 11 samples of a Gaussian with sigma 1.5.
WINDOW = 11
_SAMPLES = [math.exp(-((i - WINDOW // 2) ** 2) / (2 * 1.5**2)) for i in range(WINDOW)]
GAUSSIAN = [value / sum(_SAMPLES) for value in _SAMPLES]
C1 = 0.01**2
C2 = 0.03**2


def in_float32(function: Callable) -> Callable:
    """Decorate a loss or metric of two maps: check their shapes, then compute in float32 with autocast off."""

    @functools.wraps(function)
    def wrapped(a: Tensor, b: Tensor, *args, **options) -> Tensor:
        if a.shape != b.shape or a.dim() != 4:
            raise ValueError(
                f"{function.__name__}: expected two tensors of one shape (N, 1, H, W), "
                f"found {tuple(a.shape)} and {tuple(b.shape)}"
            )
        with torch.autocast(a.device.type, enabled=False):
            return function(a.float(), b.float(), *args, **options)

    return wrapped


@in_float32
def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (a - b).abs().mean()


@in_float32
def log_l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the logarithms, a relative error; values are clipped at 0.01 from below."""
    return (a.clamp(min=0.01).log() - b.clamp(min=0.01).log()).abs().mean()


def sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's horizontal and vertical derivatives, each (N, 1, H-2, W-2); a slope of s per pixel gives 8 s.

    The kernel [-1 0 1] x [1 2 1] is applied as its two factors, without padding: a border of zeros would be a false
    edge.
    """
    horizontal = x[..., :, 2:] - x[..., :, :-2]
    vertical = x[..., 2:, :] - x[..., :-2, :]
    return (
        horizontal[..., :-2, :] + 2 * horizontal[..., 1:-1, :] + horizontal[..., 2:, :],
        vertical[..., :, :-2] + 2 * vertical[..., :, 1:-1] + vertical[..., :, 2:],
    )


@in_float32
def edge(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the Sobel derivatives. Sobel is linear, so one pass over a - b is enough."""
    horizontal, vertical = sobel(a - b)
    return horizontal.abs().mean() + vertical.abs().mean()


def local_means(x: Tensor) -> Tensor:
    """Gaussian-weighted mean around each pixel that has a whole window: (N, C, H, W) -> (N, C, H-10, W-10).

    Two one-dimensional filters take 11 + 11 products per pixel instead of 121; channels last is eight times as fast
    on a CPU.
    """
    channels = x.shape[1]
    row = torch.tensor(GAUSSIAN, device=x.device).expand(channels, 1, 1, WINDOW)
    x = x.contiguous(memory_format=torch.channels_last)
    x = F.conv2d(F.conv2d(x, row, groups=channels), row.transpose(2, 3), groups=channels)
    return x.contiguous()


@in_float32
def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity around each pixel that has a whole window: (N, 1, H-10, W-10). See `ssim`."""
    size = tuple(a.shape[-2:])
    if min(size) < WINDOW:
        raise ValueError(f"ssim: expected at least {WINDOW} x {WINDOW} px (its window), found {size}")
    # Only the sum of the two variances is needed, so four local means are enough.
    means = local_means(torch.cat([a, b, a * a + b * b, a * b], dim=1))
    mean_a, mean_b, mean_squares, mean_product = means.chunk(4, dim=1)
    product = mean_a * mean_b
    squares = mean_a**2 + mean_b**2
    variances = mean_squares - squares
    covariance = mean_product - product
    return (2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004, equation 13) of maps in [0, 1]: 1 if equal, about 0 if unrelated.

    The same as scikit-image's `structural_similarity` with `gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=1`. Raises ValueError where H or W is below 11.
    """
    return ssim_map(a, b).mean()


def dssim(a: Tensor, b: Tensor) -> Tensor:
    """SSIM as a loss: (1 - SSIM) / 2, from 0 (equal) to 1 (opposite)."""
    return (1 - ssim(a, b)) / 2


@in_float32
def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of logits; the target may be a soft coverage. Built in notebook 02."""
    return F.binary_cross_entropy_with_logits(logits, target)


@in_float32
def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice (Milletari et al. 2016), averaged over images, so that small objects count as much as large ones.

    The 1 added above and below the fraction makes two empty masks cost 0 instead of 0 / 0.
    """
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


@in_float32
def cut(logits: Tensor, target: Tensor) -> Tensor:
    """BCE of four times the logits against the mask cut at one half: is each pixel on the side where IoU wants it?

    Plain BCE hardly distinguishes 0.45 from 0.55. Four times the logits turn 0.4 and 0.6 into 0.16 and 0.84.
    """
    return F.binary_cross_entropy_with_logits(4.0 * logits, (target > 0.5).float())


class Term(NamedTuple):
    """One term of a loss and its weight unless another is given."""

    loss: Callable[[Tensor, Tensor], Tensor]
    weight: float


DEPTH_TERMS = {"l1": Term(l1, 1.0), "edge": Term(edge, 1.0), "ssim": Term(dssim, 1.0), "log": Term(log_l1, 0.0)}
MASK_TERMS = {"bce": Term(bce, 1.0), "ssim": Term(dssim, 1.0), "dice": Term(dice_loss, 0.0), "cut": Term(cut, 0.0)}
WRITE_UP_2020 = {"l1": 0.1, "edge": 1.0, "ssim": 1.0}  # from a paper whose depths run from 1 to 100


def depth_loss(depth: Tensor, target: Tensor, *, terms: bool = False, **weights: float) -> Tensor | tuple:
    """Weighted sum of DEPTH_TERMS: by default L1 + Sobel edges + (1 - SSIM) / 2.

    Args:
        depth: The prediction in [0, 1] (metres / 10), (N, 1, H, W).
        target: The true depth, likewise.
        terms: Whether to return (loss, {"l1": ..., "edge": ...}) instead, the terms without their weights.
        **weights: Other weights than the table's, by name. A term of weight 0 is not computed.

    With `WRITE_UP_2020` L1, the only term that knows how far away things are, counts so little that all depths turn
    gray (notebook 04).
    """
    return _weighted_sum("depth_loss", DEPTH_TERMS, weights, dict.fromkeys(DEPTH_TERMS, depth), target, terms)


def mask_loss(
    logits: Tensor, target: Tensor, *, ssim_on: str = "probability", terms: bool = False, **weights: float
) -> Tensor | tuple:
    """Weighted sum of MASK_TERMS: by default BCE + (1 - SSIM) / 2.

    Args:
        logits: The prediction before the sigmoid, (N, 1, H, W).
        target: The object's coverage in [0, 1], likewise.
        ssim_on: "logits" repeats the mistake of the 2020 code for notebook 04: SSIM compares values in [0, 1], and
            logits of 0 and 1 mean probabilities of 0.5 and 0.73.
        terms: As in `depth_loss`.
        **weights: As in `depth_loss`.
    """
    if ssim_on not in ("probability", "logits"):
        raise ValueError(f'mask_loss: expected ssim_on="probability" or "logits", found {ssim_on!r}')
    probability = logits.float().sigmoid()
    predictions = {"bce": logits, "ssim": probability, "dice": probability, "cut": logits}
    if ssim_on == "logits":
        predictions["ssim"] = logits
    return _weighted_sum("mask_loss", MASK_TERMS, weights, predictions, target, terms)


def _weighted_sum(name: str, table: dict, weights: dict, predictions: dict, target: Tensor, terms: bool):
    if unknown := weights.keys() - table.keys():
        raise TypeError(f"{name}: expected weights of {', '.join(table)}; found {', '.join(sorted(unknown))}")
    weights = {term: weights.get(term, default) for term, (_, default) in table.items()}
    values = {term: table[term].loss(predictions[term], target) for term, weight in weights.items() if weight}
    if not values:
        raise ValueError(f"{name}: expected at least one weight that is not 0, found {weights}")
    total = sum(weights[term] * value for term, value in values.items())
    return (total, values) if terms else total


class UncertaintyWeighting(nn.Module):
    """Learned weights for the losses of mask and depth (Kendall, Gal and Cipolla 2018, equation 10).

    Adds up L / sigma^2 + log sigma for the mask (a classification) and L / (2 sigma^2) + log sigma for the depth (a
    regression). A noisy task learns a larger sigma and counts less; log sigma keeps it from growing without end. The
    parameters are log sigma^2, which start at 0; the optimizer needs them, too.
    """

    FACTORS = {"mask": 1.0, "depth": 0.5}

    def __init__(self):
        super().__init__()
        self.log_variance = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in self.FACTORS})

    def forward(self, losses: dict[str, Tensor]) -> Tensor:
        """Add up the two losses, scalars that are not negative, with their present weights."""
        if losses.keys() != self.FACTORS.keys():
            raise ValueError(f"losses: expected {sorted(self.FACTORS)}, found {sorted(losses)}")
        weights = self.weights()
        return sum(weights[name] * loss.float() + self.log_variance[name] / 2 for name, loss in losses.items())

    def weights(self) -> dict[str, Tensor]:
        """Return the present factor of each loss."""
        return {name: factor * torch.exp(-self.log_variance[name]) for name, factor in self.FACTORS.items()}
