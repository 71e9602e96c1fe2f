"""Metrics for each image of a batch, and their averages. Built in notebooks 02 (mask) and 03 (depth).

Every metric takes tensors (N, 1, H, W) and returns (N,): figures are averaged over images, not over pixels, so that
large objects do not outweigh small ones. Masks: the prediction is a probability, the truth a coverage, both in [0, 1];
a pixel belongs to the object above 0.5. Depths are in [0, 1] (metres / 10) unless both are given in metres. `region`,
bool (N, 1, H, W), limits a depth metric to some pixels; an image without any of them scores NaN, which `Means` omits.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from .losses import in_float32, ssim_map

MINIMUM_DEPTH = 0.01  # relative metrics clip depths here: 10 cm, nearer than any in the data


@in_float32
def iou(probability: Tensor, coverage: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union (Jaccard index), (N,) in [0, 1]; 1 if both masks are empty, 0 if only one is."""
    predicted, true = _binary(probability, coverage, threshold)
    either = _count(predicted | true)
    return torch.where(either > 0, _count(predicted & true) / either.clamp(min=1), 1.0)


@in_float32
def boundary_f(probability: Tensor, coverage: Tensor, tolerance: int = 2) -> Tensor:
    """Boundary F-score (Csurka et al. 2013), (N,) in [0, 1]; it is sensitive to a missing chair leg, unlike IoU.

    The harmonic mean of precision, the share of the predicted outline within `tolerance` pixels (in rows and columns)
    of the true one, and recall, the reverse. An outline consists of the object's pixels that touch the background, even
    diagonally. Both masks empty: 1. Only one of them: 0.
    """
    predicted, true = (mask & ~_erode(mask) for mask in _binary(probability, coverage, 0.5))
    precision = _count(predicted & _dilate(true, tolerance)) / _count(predicted).clamp(min=1)
    recall = _count(true & _dilate(predicted, tolerance)) / _count(true).clamp(min=1)
    score = 2 * precision * recall / (precision + recall).clamp(min=1e-9)
    return torch.where(_count(predicted | true) == 0, 1.0, score)


def edge_band(coverage: Tensor, pixels: int = 3) -> Tensor:
    """The pixels within `pixels` of an object's outline, on either side: bool (N, 1, H, W)."""
    mask = coverage > 0.5
    return _dilate(mask, pixels) & ~_erode(mask, pixels)


@in_float32
def soft_overlap_2020(probability: Tensor, coverage: Tensor) -> Tensor:
    """The score that the 2020 project mistook for IoU: sum(p y) / sum(p + y), (N,). A perfect mask scores 0.5."""
    return (probability * coverage).sum(dim=(1, 2, 3)) / (probability + coverage).sum(dim=(1, 2, 3))


def _count(mask: Tensor) -> Tensor:
    return mask.sum(dim=(1, 2, 3)).float()


def _dilate(mask: Tensor, pixels: int = 1) -> Tensor:
    return F.max_pool2d(mask.float(), 2 * pixels + 1, stride=1, padding=pixels) > 0


def _erode(mask: Tensor, pixels: int = 1) -> Tensor:
    """Erosion that leaves the picture's border alone: an object that is cut off there has no outline there."""
    return ~_dilate(~mask, pixels)


def _binary(probability: Tensor, coverage: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    low, high = float(probability.min()), float(probability.max())
    if not (0 <= low and high <= 1):
        raise ValueError(f"mask: expected probabilities in [0, 1], found {low:.3g} to {high:.3g}; missing a sigmoid?")
    return probability > threshold, coverage > 0.5


@in_float32
def rmse(depth: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
    """Root of the mean squared error, (N,), in the unit of the inputs."""
    return _mean((depth - target) ** 2, region).sqrt()


@in_float32
def abs_rel(depth: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean of ``|depth - target| / target`` (Eigen et al. 2014), (N,); the divisor is clipped at MINIMUM_DEPTH."""
    return _mean((depth - target).abs() / target.clamp(min=MINIMUM_DEPTH), region)


@in_float32
def log10(depth: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean of ``|log10 depth - log10 target|``, (N,), both clipped at MINIMUM_DEPTH."""
    depth, target = depth.clamp(min=MINIMUM_DEPTH), target.clamp(min=MINIMUM_DEPTH)
    return _mean((depth.log10() - target.log10()).abs(), region)


@in_float32
def delta(depth: Tensor, target: Tensor, region: Tensor | None = None, *, threshold: float = 1.25) -> Tensor:
    """Share of pixels within a factor of 1.25, 1.25**2 or 1.25**3 (Eigen et al. 2014), (N,), clipped likewise."""
    depth, target = depth.clamp(min=MINIMUM_DEPTH), target.clamp(min=MINIMUM_DEPTH)
    return _mean((torch.maximum(depth / target, target / depth) < threshold).float(), region)


@in_float32
def spread(depth: Tensor, target: Tensor) -> Tensor:
    """Standard deviation of the predicted depths over that of the true ones, (N,); 0 for a gray picture."""
    return depth.std(dim=(1, 2, 3)) / target.std(dim=(1, 2, 3))


def _mean(error: Tensor, region: Tensor | None) -> Tensor:
    if region is None:
        return error.mean(dim=(1, 2, 3))
    if region.shape != error.shape:
        raise ValueError(f"region: expected the depths' shape {tuple(error.shape)}, found {tuple(region.shape)}")
    inside = region > 0.5
    return torch.where(inside, error, 0.0).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3))  # 0 / 0 is NaN


class Means:
    """Collects figures per image and averages them: `means.add(iou=iou(p, y))` per batch, then `means.mean()`."""

    def __init__(self):
        self.values: dict[str, list[float]] = {}

    def add(self, **figures: Tensor) -> None:
        """Add one batch's figures, each a tensor (N,)."""
        for name, figure in figures.items():
            self.values.setdefault(name, []).extend(figure.detach().cpu().double().tolist())

    def mean(self) -> dict[str, float]:
        """Return each figure's mean over the images where it is defined (not NaN); NaN if there are none."""
        return {name: torch.tensor(v, dtype=torch.float64).nanmean().item() for name, v in self.values.items()}


def measure(sample: dict, mask: Tensor | None, depth: Tensor | None) -> dict[str, Tensor]:
    """All figures of one batch, each (N,); mask or depth figures only if that map is predicted and known.

    A depth figure's name ends in `_object` on the object's pixels and in `_edge` within 3 pixels of its outline.
    """
    figures = {}
    if mask is not None:
        truth = sample["mask"].to(mask.device)
        overlap = iou(mask, truth)
        figures |= {"iou": overlap, "dice": 2 * overlap / (1 + overlap), "boundary_f": boundary_f(mask, truth)}
    if depth is not None and "depth" in sample:
        truth, coverage = (sample[name].to(depth.device) for name in ("depth", "mask"))
        for name, region in {"": None, "_object": coverage > 0.5, "_edge": edge_band(coverage)}.items():
            figures[f"rmse{name}"] = rmse(depth, truth, region)
            figures[f"rmse_metres{name}"] = 10 * figures[f"rmse{name}"]
            figures |= {f"abs_rel{name}": abs_rel(depth, truth, region), f"log10{name}": log10(depth, truth, region)}
            figures |= {f"delta{i}{name}": delta(depth, truth, region, threshold=1.25**i) for i in (1, 2, 3)}
        figures |= {"ssim": ssim_map(depth, truth).mean(dim=(1, 2, 3)), "spread": spread(depth, truth)}
    return figures


def bootstrap_interval(values: ArrayLike, groups: ArrayLike, repeats: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of a mean over images, drawing whole groups with replacement (notebook 05).

    Images of one room are alike, so drawing single images would give too narrow an interval. `values` are one figure
    per image (NaN is left out), `groups` what each image shares with others, such as its room's name.
    """
    values, groups = np.asarray(values, float), np.asarray(groups)
    if values.shape != groups.shape or values.ndim != 1:
        raise ValueError(f"expected as many groups as values, found {groups.shape} and {values.shape}")
    known = ~np.isnan(values)
    _, members = np.unique(groups[known], return_inverse=True)
    sums, sizes = np.bincount(members, values[known]), np.bincount(members)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(repeats, len(sums)))
    return tuple(np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5]).tolist())
