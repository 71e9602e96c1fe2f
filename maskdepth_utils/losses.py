"""The losses of the course. Notebook 04 builds L1, the edge loss, SSIM and Dice, and compares losses for depth.

Every function takes two tensors of one shape (N, 1, H, W) and returns a scalar. All compute in float32, even under
autocast: SSIM and edges subtract nearly equal numbers, of which bf16 keeps three digits.
"""

import functools
import math
from collections.abc import Callable

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
            found = f"{tuple(a.shape)} and {tuple(b.shape)}"
            raise ValueError(f"{function.__name__}: expected two tensors of one shape (N, 1, H, W), found {found}")
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

    [-1 0 1] x [1 2 1] is applied as its two factors, without padding: a border of zeros would be a false edge.
    """
    across = x[..., :, 2:] - x[..., :, :-2]
    down = x[..., 2:, :] - x[..., :-2, :]
    horizontal = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    vertical = down[..., :, :-2] + 2 * down[..., :, 1:-1] + down[..., :, 2:]
    return horizontal, vertical


@in_float32
def edge(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the Sobel derivatives. Sobel is linear, so one pass over a - b is enough."""
    return sum(derivative.abs().mean() for derivative in sobel(a - b))


@in_float32
def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity around each pixel that has a whole window: (N, 1, H-10, W-10). See `ssim`."""
    if min(a.shape[-2:]) < WINDOW:
        raise ValueError(f"ssim: expected at least {WINDOW} x {WINDOW} px (its window), found {tuple(a.shape[-2:])}")
    # Four maps, as only the sum of the two variances is needed; channels last is eight times as fast on a CPU.
    maps = torch.cat([a, b, a * a + b * b, a * b], dim=1).contiguous(memory_format=torch.channels_last)
    row = torch.tensor(GAUSSIAN, device=a.device).expand(4, 1, 1, WINDOW)
    means = F.conv2d(F.conv2d(maps, row, groups=4), row.transpose(2, 3), groups=4).contiguous()
    mean_a, mean_b, mean_squares, mean_product = means.chunk(4, dim=1)
    product = mean_a * mean_b
    squares = mean_a**2 + mean_b**2
    variances = mean_squares - squares
    covariance = mean_product - product
    return (2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004, equation 13) of maps in [0, 1]: 1 if equal, about 0 if unrelated.

    The same as scikit-image's `structural_similarity` with `gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=1`.
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

    The 1 added to numerator and denominator makes two empty masks cost 0 instead of 0 / 0.
    """
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


@in_float32
def cut(logits: Tensor, target: Tensor) -> Tensor:
    """BCE of four times the logits against the mask cut at 0.5: is each pixel on the right side of IoU's threshold?

    Plain BCE hardly distinguishes 0.45 from 0.55. Four times the logits turn 0.4 and 0.6 into 0.16 and 0.84.
    """
    return F.binary_cross_entropy_with_logits(4.0 * logits, (target > 0.5).float())


# The terms of each loss: (function, default weight).
DEPTH_TERMS = {"l1": (l1, 1.0), "edge": (edge, 1.0), "ssim": (dssim, 1.0), "log": (log_l1, 0.0)}
MASK_TERMS = {"bce": (bce, 1.0), "ssim": (dssim, 1.0), "dice": (dice_loss, 0.0), "cut": (cut, 0.0)}
WRITE_UP_2020 = {"l1": 0.1, "edge": 1.0, "ssim": 1.0}  # from a paper whose depths run from 1 to 100


def depth_loss(depth: Tensor, target: Tensor, **weights: float) -> Tensor:
    """Weighted sum of DEPTH_TERMS, of depths in [0, 1] (metres / 10): by default L1 + Sobel edges + (1 - SSIM) / 2.

    `weights` replace the table's, by name. A term of weight 0 is not computed.
    """
    return _weighted_sum(DEPTH_TERMS, weights, dict.fromkeys(DEPTH_TERMS, depth), target)


def mask_loss(logits: Tensor, target: Tensor, *, ssim_on: str = "probability", **weights: float) -> Tensor:
    """Weighted sum of MASK_TERMS, of logits and coverage in [0, 1]: by default BCE + (1 - SSIM) / 2.

    `weights` are as for `depth_loss`. `ssim_on="logits"` repeats the mistake of the 2020 code: SSIM compares values in
    [0, 1], but logits of 0 and 1 mean probabilities of 0.5 and 0.73.
    """
    probability = logits.float().sigmoid()
    choices = {"probability": probability, "logits": logits}
    if ssim_on not in choices:
        raise ValueError(f"mask_loss: expected ssim_on to be one of {list(choices)}, found {ssim_on!r}")
    predictions = {"bce": logits, "ssim": choices[ssim_on], "dice": probability, "cut": logits}
    return _weighted_sum(MASK_TERMS, weights, predictions, target)


def _weighted_sum(table: dict, weights: dict, predictions: dict, target: Tensor) -> Tensor:
    if unknown := weights.keys() - table.keys():
        raise TypeError(f"loss: expected weights of {', '.join(table)}; found {', '.join(sorted(unknown))}")
    weights = {name: default for name, (_, default) in table.items()} | weights
    terms = [weight * table[name][0](predictions[name], target) for name, weight in weights.items() if weight]
    if not terms:
        raise ValueError(f"loss: expected at least one weight that is not 0, found {weights}")
    return sum(terms)


class UncertaintyWeighting(nn.Module):
    """Learned weights for the losses of mask and depth (Kendall, Gal and Cipolla 2018, equation 10).

    L / sigma^2 + log sigma for the mask (a classification) plus L / (2 sigma^2) + log sigma for the depth (a
    regression): a noisy task learns a larger sigma and counts less. The parameters are log sigma^2, which start at 0.
    """

    FACTORS = {"mask": 1.0, "depth": 0.5}

    def __init__(self):
        super().__init__()
        self.log_variance = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in self.FACTORS})

    def forward(self, losses: dict[str, Tensor]) -> Tensor:
        """Add up {"mask": scalar, "depth": scalar}."""
        if losses.keys() != self.FACTORS.keys():
            raise ValueError(f"losses: expected {sorted(self.FACTORS)}, found {sorted(losses)}")
        return sum(
            self.FACTORS[name] * torch.exp(-log_variance) * losses[name].float() + log_variance / 2
            for name, log_variance in self.log_variance.items()
        )
