"""The losses of the course, compared with each other in notebook 04.

Every function takes tensors (N, 1, H, W) and returns a scalar. All compute in float32, whatever autocast
says: SSIM and edges subtract nearly equal numbers, and bf16 keeps three digits of them (notebook 04 shows an
SSIM of 0.916 turn into 0.723).

    depth_loss(depth, target)        depth and target in [0, 1] (metres / 10)
    mask_loss(logits, target)        logits before the sigmoid; target is the coverage in [0, 1]
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The SSIM paper's window: 11 samples of a Gaussian with sigma 1.5, and its two constants, for values from 0
# to 1.
WINDOW = 11
_RAW = [math.exp(-((i - WINDOW // 2) ** 2) / (2 * 1.5**2)) for i in range(WINDOW)]
GAUSSIAN = [value / sum(_RAW) for value in _RAW]
C1, C2 = 0.01**2, 0.03**2
SHARPER = 4.0  # what `cut` multiplies logits by


def in_float32(function):
    """Decorator: run `function(a, b, ...)` with both tensors in float32 and autocast off, after checking
    their shapes."""

    @functools.wraps(function)
    def wrapped(a: Tensor, b: Tensor, *args, **kwargs):
        if a.shape != b.shape or a.dim() != 4:
            raise ValueError(
                f"{function.__name__}: expected two tensors of one shape (N, 1, H, W), "
                f"found {tuple(a.shape)} and {tuple(b.shape)}"
            )
        with torch.autocast(a.device.type, enabled=False):
            return function(a.float(), b.float(), *args, **kwargs)

    return wrapped


# ---------------------------------------------------------------------------------------- single terms


@in_float32
def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference: how far off each pixel is."""
    return (a - b).abs().mean()


@in_float32
def log_l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of logarithms: for small errors the relative error, as AbsRel counts it.
    Clipped at 0.01."""
    return (a.clamp(min=0.01).log() - b.clamp(min=0.01).log()).abs().mean()


def sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's horizontal and vertical derivatives, each (N, 1, H-2, W-2): a slope of s per pixel gives 8 s.

    The kernel [-1 0 1] x [1 2 1] is applied as its two factors. No padding: a border of zeros would be a
    false edge.
    """
    horizontal = x[..., :, 2:] - x[..., :, :-2]
    vertical = x[..., 2:, :] - x[..., :-2, :]
    return (
        horizontal[..., :-2, :] + 2 * horizontal[..., 1:-1, :] + horizontal[..., 2:, :],
        vertical[..., :, :-2] + 2 * vertical[..., :, 1:-1] + vertical[..., :, 2:],
    )


@in_float32
def edge(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the Sobel derivatives: are the edges in the same places, and as high?

    Sobel is linear, so one pass over the difference is enough.
    """
    horizontal, vertical = sobel(a - b)
    return horizontal.abs().mean() + vertical.abs().mean()


def _local_means(x: Tensor) -> Tensor:
    """Gaussian-weighted mean around each pixel, per channel, where the window fits: (N, C, H-10, W-10).

    A Gaussian is a row times a column, so 11 + 11 products per pixel do instead of 121. Channels last, since
    a CPU then handles all channels of a pixel at once: with the maps as separate pictures it is eight times
    slower.
    """
    channels = x.shape[1]
    row = torch.tensor(GAUSSIAN, device=x.device).expand(channels, 1, 1, WINDOW)
    x = x.contiguous(memory_format=torch.channels_last)
    x = F.conv2d(F.conv2d(x, row, groups=channels), row.transpose(2, 3), groups=channels)
    return x.contiguous()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004) of two maps (N, 1, H, W) in [0, 1]: 1 where equal, about
    0 if unrelated.

    In a Gaussian window around each pixel it compares mean, variance and covariance. Same values as
    scikit-image's structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=1), whose mean is over the pixels that have a whole window too. H and W of at least 11;
    otherwise ValueError.
    """
    return ssim_map(a, b).mean()


@in_float32
def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """The structural similarity around each pixel that has a whole window: (N, 1, H-10, W-10). See `ssim`."""
    size = tuple(a.shape[-2:])
    if min(size) < WINDOW:
        raise ValueError(f"ssim: expected at least {WINDOW} x {WINDOW} px (its window), found {size}")
    # Four local means are enough: of a, of b, of a^2 + b^2 (the variances only occur added up) and of ab.
    means = _local_means(torch.cat([a, b, a * a + b * b, a * b], dim=1))
    mean_a, mean_b, mean_squares, mean_product = means.chunk(4, dim=1)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    variances, covariance = mean_squares - squares, mean_product - product
    return (2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))


def dssim(a: Tensor, b: Tensor) -> Tensor:
    """SSIM as a loss: (1 - SSIM) / 2, from 0 (equal) to 1 (opposite)."""
    return (1 - ssim(a, b)) / 2


@in_float32
def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy from logits; the target may be a soft coverage."""
    return F.binary_cross_entropy_with_logits(logits, target)


@in_float32
def dice(probability: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice, averaged over images: 0 if equal. It weighs objects, not pixels: a small one counts as
    much as a big one.

    The 1 added above and below makes two empty masks score 0 instead of 0 / 0.
    """
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


@in_float32
def cut(logits: Tensor, target: Tensor) -> Tensor:
    """Is each pixel on the right side of one half, as IoU counts it? BCE of sharpened logits against the cut target.

    `bce` asks for the coverage itself, and hardly minds 0.45 where 0.55 was right. Four times the logits make
    a probability's way from 0.4 to 0.6 one from 0.16 to 0.84.
    """
    return F.binary_cross_entropy_with_logits(SHARPER * logits, (target > 0.5).float())


# ---------------------------------------------------------------------------------------- sums of terms


def depth_loss(
    depth: Tensor, target: Tensor, l1: float = 1.0, edge: float = 1.0, ssim: float = 1.0, log: float = 0.0,
    terms: bool = False,
):  # fmt: skip
    """Weighted sum of L1, Sobel edges, (1 - SSIM) / 2 and log-L1; a term of weight 0 is not computed. A
    scalar.

    The write-up's weights are l1=0.1, edge=1, ssim=1 (`depth_loss(depth, target, **WRITE_UP_2020)`). They
    come from a paper whose depths run to 100; on depths in [0, 1] they leave L1, the only term that knows how
    far away things are, next to nothing to say, and the depth turned gray (notebook 04). terms=True returns
    (loss, {"l1": ..., "edge": ...}), the terms unweighted.
    """
    weights = {"l1": l1, "edge": edge, "ssim": ssim, "log": log}
    values = {name: _DEPTH_TERMS[name](depth, target) for name, weight in weights.items() if weight}
    return _weighted_sum("depth_loss", weights, values, terms)


def mask_loss(
    logits: Tensor, target: Tensor, bce: float = 1.0, ssim: float = 1.0, dice: float = 0.0,
    cut: float = 0.0, ssim_on: str = "probability", terms: bool = False,
):  # fmt: skip
    """Weighted sum of BCE, (1 - SSIM) / 2, 1 - Dice and `cut`; a term of weight 0 is not computed. A scalar.

    ssim_on="logits" is the 2020 code's mistake, kept for the comparison in notebook 04: SSIM compares values
    in [0, 1], but logits run from minus to plus infinity, and pulling them to 0 and 1 means probabilities of
    0.5 and 0.73. terms as in `depth_loss`.
    """
    if ssim_on not in ("probability", "logits"):
        raise ValueError(f'mask_loss: expected ssim_on="probability" or "logits", found {ssim_on!r}')
    weights = {"bce": bce, "ssim": ssim, "dice": dice, "cut": cut}
    probability = logits.float().sigmoid()
    compared = {"bce": logits, "ssim": probability, "dice": probability, "cut": logits}
    if ssim_on == "logits":
        compared["ssim"] = logits
    values = {name: _MASK_TERMS[name](compared[name], target) for name, weight in weights.items() if weight}
    return _weighted_sum("mask_loss", weights, values, terms)


WRITE_UP_2020 = {"l1": 0.1, "edge": 1.0, "ssim": 1.0}
# By name, because depth_loss and mask_loss use the same names for their weights.
_DEPTH_TERMS = {"l1": l1, "edge": edge, "ssim": dssim, "log": log_l1}
_MASK_TERMS = {"bce": bce, "ssim": dssim, "dice": dice, "cut": cut}


def _weighted_sum(name: str, weights: dict, values: dict, terms: bool):
    if not values:
        raise ValueError(f"{name}: expected at least one weight that is not 0, found {weights}")
    total = sum(weights[term] * value for term, value in values.items())
    return (total, values) if terms else total


class UncertaintyWeighting(nn.Module):
    """Learned weights for several losses (Kendall, Gal and Cipolla 2018): each task gets a noise level sigma,
    trained along.

        UncertaintyWeighting(mask="classification", depth="regression")({"mask": ..., "depth": ...}) -> scalar

    adds up L / sigma^2 + log sigma for classification and L / (2 sigma^2) + log sigma for regression (their
    equation 10). A noisy task raises its sigma and so counts less; log sigma keeps sigma from running away.
    What is learned is log sigma^2, which may take any value and starts at 0 (sigma = 1). Losses must not be
    negative. Its parameters have to be given to the optimizer, too.
    """

    def __init__(self, **tasks: str):
        super().__init__()
        tasks = tasks or {"mask": "classification", "depth": "regression"}
        for name, kind in tasks.items():
            if kind not in ("classification", "regression"):
                raise ValueError(f'{name}: expected "classification" or "regression", found {kind!r}')
        self.factors = {name: 1.0 if kind == "classification" else 0.5 for name, kind in tasks.items()}
        self.log_variance = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in tasks})

    def forward(self, losses: dict[str, Tensor]) -> Tensor:
        if losses.keys() != self.factors.keys():
            raise ValueError(f"losses: expected {sorted(self.factors)}, found {sorted(losses)}")
        weights, log_variance = self.weights(), self.log_variance
        return sum(weights[name] * loss.float() + log_variance[name] / 2 for name, loss in losses.items())

    def weights(self) -> dict[str, Tensor]:
        """What each loss is multiplied by at present."""
        return {name: factor * torch.exp(-self.log_variance[name]) for name, factor in self.factors.items()}
