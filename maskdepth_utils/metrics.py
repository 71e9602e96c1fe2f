"""Metrics per image, averages over images, and `evaluate` for a whole data set. Built in notebooks 02 (mask)
and 03 (depth).

Every metric takes tensors (N, 1, H, W) and returns (N,): one figure per image, to be averaged over images.
(Adding up pixels over the whole set instead would let the big objects speak for the small ones.)

Masks: the prediction is a probability, the truth a coverage, both in [0, 1]; a pixel belongs to the object
above 0.5. Depths: in [0, 1] (metres / 10), unless you give both in metres. `region`, bool (N, 1, H, W),
limits a depth metric to some pixels; an image without any of them scores NaN, which `Means` leaves out.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .losses import ssim_map

MINIMUM_DEPTH = 0.01  # relative metrics clip depths here: 10 cm on the scale 0 to 1, nearer than any data

# ------------------------------------------------------------------------------------------------ masks


def iou(probability: Tensor, coverage: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union (Jaccard index), (N,) in [0, 1]. Both masks empty: 1. Only one of them: 0."""
    predicted, true = _binary(probability, coverage, threshold)
    both = (predicted & true).sum(dim=(1, 2, 3)).float()
    either = (predicted | true).sum(dim=(1, 2, 3)).float()
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def dice(probability: Tensor, coverage: Tensor, threshold: float = 0.5) -> Tensor:
    """Dice coefficient (F1 score of the pixels), (N,) in [0, 1]; 2 IoU / (1 + IoU). Empty masks score as in
    `iou`."""
    overlap = iou(probability, coverage, threshold)
    return 2 * overlap / (1 + overlap)


def boundary_f(probability: Tensor, coverage: Tensor, tolerance: int = 2) -> Tensor:
    """Boundary F-score (Csurka et al. 2013), (N,) in [0, 1]: does the outline run where it should?

    Precision is the share of the predicted outline's pixels that have a true one within `tolerance` pixels
    (rows and columns each), recall the share of the true outline's that have a predicted one; F is their
    harmonic mean. IoU hardly notices a lost chair leg, this does. The outline: object pixels that touch a
    pixel of the background, diagonally too. Both masks empty: 1. Only one of them: 0.
    """
    outlines = [mask & ~_shrink(mask) for mask in _binary(probability, coverage, 0.5)]
    predicted, true = outlines
    counts = [outline.sum(dim=(1, 2, 3)).float() for outline in outlines]
    near = [(predicted & _grow(true, tolerance)), (true & _grow(predicted, tolerance))]
    precision, recall = (x.sum(dim=(1, 2, 3)) / n.clamp(min=1) for x, n in zip(near, counts, strict=True))
    score = 2 * precision * recall / (precision + recall).clamp(min=1e-9)
    return torch.where((counts[0] == 0) & (counts[1] == 0), 1.0, score)


def edge_band(coverage: Tensor, pixels: int = 3) -> Tensor:
    """Where an object's outline is at most `pixels` away, on either side: bool (N, 1, H, W)."""
    mask = coverage > 0.5
    return _grow(mask, pixels) & ~_shrink(mask, pixels)


def _grow(mask: Tensor, pixels: int = 1) -> Tensor:
    return F.max_pool2d(mask.float(), 2 * pixels + 1, stride=1, padding=pixels) > 0


def _shrink(mask: Tensor, pixels: int = 1) -> Tensor:
    """What lies outside the picture takes nothing away: an object that is cut off has no outline there."""
    return ~_grow(~mask, pixels)


def soft_overlap_2020(probability: Tensor, coverage: Tensor) -> Tensor:
    """What the original called IoU: sum(p y) / sum(p + y), (N,). Wrong: the overlap is counted twice below,
    never taken off.

    A perfect mask scores 0.5. Kept to show it (notebook 02), and to read the original's "about 0.2".
    """
    probability, coverage = _floats(probability, coverage)
    return (probability * coverage).sum(dim=(1, 2, 3)) / (probability + coverage).sum(dim=(1, 2, 3))


def _binary(probability: Tensor, coverage: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    _check(probability, coverage)
    low, high = float(probability.min()), float(probability.max())
    if not (0 <= low and high <= 1):
        raise ValueError(f"mask: expected probabilities in [0, 1], found {low:.3g} to {high:.3g}; a sigmoid forgotten?")
    return probability > threshold, coverage > 0.5


# ----------------------------------------------------------------------------------------------- depths


def rmse(depth: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
    """Root of the mean squared error, (N,), in the unit of its inputs (scale 0 to 1: times 10 for metres)."""
    depth, target = _floats(depth, target)
    return _mean((depth - target) ** 2, region).sqrt()


def abs_rel(depth: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean of |depth - target| / target, (N,): 0.05 is 5 % off. The divisor is clipped at MINIMUM_DEPTH."""
    depth, target = _floats(depth, target)
    return _mean((depth - target).abs() / target.clamp(min=MINIMUM_DEPTH), region)


def log10(depth: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean of |log10 depth - log10 target|, (N,). Both are clipped at MINIMUM_DEPTH."""
    depth, target = (x.clamp(min=MINIMUM_DEPTH) for x in _floats(depth, target))
    return _mean((depth.log10() - target.log10()).abs(), region)


def delta(depth: Tensor, target: Tensor, region: Tensor | None = None, *, threshold: float = 1.25) -> Tensor:
    """Share of pixels whose depth is right within the factor `threshold`, (N,) in [0, 1]; 1.25, 1.25**2 and
    1.25**3 are usual. Both depths are clipped at MINIMUM_DEPTH."""
    depth, target = (x.clamp(min=MINIMUM_DEPTH) for x in _floats(depth, target))
    return _mean((torch.maximum(depth / target, target / depth) < threshold).float(), region)


def similarity(depth: Tensor, target: Tensor) -> Tensor:
    """SSIM of each image (losses.ssim_map), (N,): 1 where equal. Inputs in [0, 1]."""
    return ssim_map(depth, target).mean(dim=(1, 2, 3))


def spread(depth: Tensor, target: Tensor) -> Tensor:
    """Standard deviation of a prediction's depths over that of the true ones, (N,): a gray image has 0."""
    depth, target = _floats(depth, target)
    return depth.std(dim=(1, 2, 3)) / target.std(dim=(1, 2, 3))


def _floats(prediction: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    _check(prediction, truth)
    return prediction.float(), truth.float()


def _mean(error: Tensor, region: Tensor | None) -> Tensor:
    """Mean per image of a map of errors, over `region` if there is one."""
    if region is None:
        return error.mean(dim=(1, 2, 3))
    _check(error, region)
    region = region > 0.5 if region.is_floating_point() else region.bool()
    return torch.where(region, error, 0.0).sum(dim=(1, 2, 3)) / region.sum(dim=(1, 2, 3))  # 0 / 0 is NaN


def _check(prediction: Tensor, truth: Tensor) -> None:
    # Broadcasting would take (N, H, W) against (N, 1, H, W) without a word, and compare each image with all
    # the others.
    if prediction.shape != truth.shape or prediction.dim() != 4:
        raise ValueError(
            "expected prediction and truth of one shape (N, 1, H, W), "
            f"found {tuple(prediction.shape)} and {tuple(truth.shape)}"
        )


# --------------------------------------------------------------------------------------------- averages


class Means:
    """Collects figures per image and averages them: `means.add(iou=iou(p, y))` per batch, then
    `means.mean()`."""

    def __init__(self):
        self.values: dict[str, list[float]] = {}

    def add(self, **figures: Tensor) -> None:
        """Each figure is a tensor (N,)."""
        for name, figure in figures.items():
            self.values.setdefault(name, []).extend(figure.detach().double().cpu().tolist())

    def mean(self) -> dict[str, float]:
        """Mean of each figure over the images that have it (not NaN); NaN if none has."""
        columns = {name: torch.tensor(values, dtype=torch.float64) for name, values in self.values.items()}
        return {name: column.nanmean().item() for name, column in columns.items()}


def measure(sample: dict, mask: Tensor | None, depth: Tensor | None) -> dict[str, Tensor]:
    """All figures of one batch, each (N,); without mask or depth, or without a true depth, without theirs.

    Mask: iou, dice, boundary_f. Depth: rmse (scale 0 to 1), rmse_metres, abs_rel, log10, delta1 (below 1.25),
    delta2, delta3 on the whole image; the same with `_object` on the object's pixels only, and with `_edge`
    within 3 pixels of its outline; ssim and spread on the whole image.
    """
    figures = {}
    if mask is not None:
        truth = sample["mask"].to(mask.device)
        figures |= {"iou": iou(mask, truth), "dice": dice(mask, truth), "boundary_f": boundary_f(mask, truth)}
    if depth is not None and "depth" in sample:
        truth, coverage = sample["depth"].to(depth.device), sample["mask"].to(depth.device)
        regions = {"": None, "_object": coverage > 0.5, "_edge": edge_band(coverage)}
        for name, region in regions.items():
            error = rmse(depth, truth, region)
            figures |= {f"rmse{name}": error, f"rmse_metres{name}": 10 * error}
            figures |= {f"abs_rel{name}": abs_rel(depth, truth, region), f"log10{name}": log10(depth, truth, region)}
            figures |= {f"delta{i}{name}": delta(depth, truth, region, threshold=1.25**i) for i in (1, 2, 3)}
        figures |= {"ssim": similarity(depth, truth), "spread": spread(depth, truth)}
    return figures


def interval(values, groups, repeats: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of a mean over images, drawing whole groups of them with replacement (notebook 05).

    values: a figure per image; groups: for each image what it shares with others, such as its room's name.
    Images of one room are alike: drawing single ones would promise more than is known. NaN values are left out.
    """
    values, groups = np.asarray(values, float), np.asarray(groups)
    if values.shape != groups.shape or values.ndim != 1:
        raise ValueError(f"interval: expected as many groups as values, found {groups.shape} and {values.shape}")
    known = ~np.isnan(values)
    _, number = np.unique(groups[known], return_inverse=True)
    sums, sizes = np.bincount(number, values[known]), np.bincount(number)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(repeats, len(sums)))
    low, high = np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5])
    return float(low), float(high)
