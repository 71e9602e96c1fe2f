"""Predictions without a network, beside which every result of the course stands. Built in notebook 01.

Each is called as a network is in `evaluation.evaluate`: baseline(image, background) -> (mask, depth), one of them None.
Tune a baseline on validation data, as you would a network, and never on test data.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from .metrics import Means

NO_SAMPLES = "expected a loader with at least one sample, found none"


class DifferenceThreshold:
    """Mask: 1 where image and background differ by more than a threshold.

    Args:
        threshold: From 0 to 1; `fit` finds the best.
        channels: "max" (the largest difference of the three colours) or "mean".
        smooth: The side in pixels of the squares over which differences are averaged first; odd, 1 for none.
    """

    def __init__(self, threshold: float = 0.1, channels: str = "max", smooth: int = 1):
        if channels not in ("max", "mean"):
            raise ValueError(f'channels: expected "max" or "mean", found {channels!r}')
        if smooth < 1 or smooth % 2 == 0:
            raise ValueError(f"smooth: expected an odd number of pixels, found {smooth}")
        self.threshold = threshold
        self.channels = channels
        self.smooth = smooth
        self.curve: list[tuple[float, float]] = []

    def difference(self, image: Tensor, background: Tensor) -> Tensor:
        """The difference of two pictures (N, 3, H, W) in [0, 1]: (N, 1, H, W) in [0, 1]."""
        apart = (image - background).abs()
        apart = apart.amax(1, keepdim=True) if self.channels == "max" else apart.mean(1, keepdim=True)
        if self.smooth > 1:
            apart = F.avg_pool2d(apart, self.smooth, 1, self.smooth // 2, count_include_pad=False)
        return apart

    def __call__(self, image: Tensor, background: Tensor) -> tuple[Tensor, None]:
        return (self.difference(image, background) > self.threshold).float(), None

    def fit(self, loader: Iterable[dict], thresholds: Iterable[float] | None = None) -> "DifferenceThreshold":
        """Choose the threshold with the best mean IoU on the loader's samples (validation).

        By default it tries 100 thresholds halfway between the steps of 8-bit pictures, 0.5/255 to 99.5/255. All of
        them, with their scores, are kept in `self.curve`.
        """
        if thresholds is None:
            thresholds = [(step + 0.5) / 255 for step in range(100)]
        thresholds = sorted(thresholds)
        means = Means()
        for sample in loader:
            difference = self.difference(sample["image"], sample["background"])
            scores = iou_by_threshold(difference, sample["mask"], thresholds)
            means.add(**{str(position): column for position, column in enumerate(scores.T)})
        if not means.values:
            raise ValueError(NO_SAMPLES)
        self.curve = list(zip(thresholds, means.mean().values()))
        self.threshold = max(self.curve, key=lambda point: point[1])[0]
        return self


def iou_by_threshold(difference: Tensor, coverage: Tensor, thresholds: list[float]) -> Tensor:
    """`metrics.iou` of the mask `difference > threshold` for all thresholds, in ascending order: (N, thresholds).

    Each pixel is put into one bin of a histogram, by how many thresholds it exceeds; sums of the histogram from the
    top are the areas of all masks, without making any of them.
    """
    exceeded = torch.bucketize(difference, torch.tensor(thresholds)).flatten(1)
    true = (coverage > 0.5).flatten(1).float()
    areas = []
    for weight in (torch.ones_like(true), true):
        histogram = torch.zeros(len(true), len(thresholds) + 1).scatter_add_(1, exceeded, weight)
        areas.append(histogram.flip(1).cumsum(1).flip(1)[:, 1:])
    predicted, both = areas
    either = predicted + true.sum(1, keepdim=True) - both
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


class ConstantDepth:
    """Depth: one gray for every pixel of every picture. The mean of the training depths has the least RMSE."""

    def __init__(self, depth: float = 0.5):
        self.depth = depth

    def __call__(self, image: Tensor, background: Tensor) -> tuple[None, Tensor]:
        return None, torch.full_like(image[:, :1], self.depth)

    def fit(self, loader: Iterable[dict]) -> "ConstantDepth":
        """Take the mean of the loader's depths (training)."""
        self.depth = mean_depth(loader).mean().item()
        return self


class MeanDepth:
    """Depth: the mean of the training depths at each pixel. It knows that floors are near and walls are far."""

    def __init__(self, depth: Tensor | None = None):
        self.depth = depth  # (1, H, W)

    def __call__(self, image: Tensor, background: Tensor) -> tuple[None, Tensor]:
        if self.depth is None:
            raise RuntimeError("MeanDepth has no depth yet: call .fit(training loader) first")
        expected, found = tuple(self.depth.shape[-2:]), tuple(image.shape[-2:])
        if found != expected:
            raise ValueError(f"MeanDepth: expected pictures of the size it was fitted on, {expected}, found {found}")
        return None, self.depth.to(image).expand(len(image), 1, -1, -1)

    def fit(self, loader: Iterable[dict]) -> "MeanDepth":
        """Take the mean of the loader's depths (training) at each pixel."""
        self.depth = mean_depth(loader)
        return self


class EmptyRoomDepth:
    """Depth: the empty room's own. It is an oracle that no one has, and shows how much of the error the room makes.

    It needs `background_depth` (N, 1, H, W) in the sample.
    """

    needs = ("background_depth",)

    def __call__(self, image: Tensor, background: Tensor, background_depth: Tensor) -> tuple[None, Tensor]:
        return None, background_depth


def mean_depth(loader: Iterable[dict]) -> Tensor:
    """Mean of a loader's depths at each pixel, (1, H, W) float32; float64 sums keep their digits over 400,000."""
    total, count = 0.0, 0
    for sample in loader:
        total = total + sample["depth"].double().sum(dim=0)
        count += len(sample["depth"])
    if count == 0:
        raise ValueError(NO_SAMPLES)
    return (total / count).float()
