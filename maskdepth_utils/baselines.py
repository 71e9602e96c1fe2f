"""What costs nothing: predictions without a network. Built in notebook 01; every result of the course stands
beside them.

Each is called like a network in `metrics.evaluate`: baseline(image, background) -> (mask, depth), one of them
None. Tune a baseline on validation data, as one would a network, and never on test data.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .metrics import Means


class DifferenceThreshold:
    """Mask: 1 where image and background differ by more than a threshold.

    threshold  on the difference, 0 to 1; `fit` finds the best
    channels   "max" (largest difference of the three colours) or "mean"
    smooth     odd number of pixels: the difference is averaged over squares of this side first; 1 is none

    Perfect when the background has not moved, lightened or gained a shadow between the shots; they always do.
    """

    def __init__(self, threshold: float = 0.1, channels: str = "max", smooth: int = 1):
        if channels not in ("max", "mean"):
            raise ValueError(f'channels: expected "max" or "mean", found {channels!r}')
        if smooth < 1 or smooth % 2 == 0:
            raise ValueError(f"smooth: expected an odd number of pixels, found {smooth}")
        self.threshold, self.channels, self.smooth = threshold, channels, smooth

    def difference(self, image: Tensor, background: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] twice -> (N, 1, H, W) in [0, 1]."""
        apart = (image - background).abs()
        apart = apart.amax(1, keepdim=True) if self.channels == "max" else apart.mean(1, keepdim=True)
        if self.smooth > 1:
            apart = F.avg_pool2d(apart, self.smooth, 1, self.smooth // 2, count_include_pad=False)
        return apart

    def __call__(self, image: Tensor, background: Tensor) -> tuple[Tensor, None]:
        return (self.difference(image, background) > self.threshold).float(), None

    def fit(self, loader, thresholds=None) -> "DifferenceThreshold":
        """Choose the threshold with the best mean IoU on the loader's images (validation); keeps the curve in
        `self.curve`.

        By default tries 100 of them: halfway between the steps of 8-bit pictures, 0.5/255 to 99.5/255.
        """
        if thresholds is None:
            thresholds = [(step + 0.5) / 255 for step in range(100)]
        means, levels = Means(), torch.tensor(sorted(thresholds))
        for sample in loader:
            # How many thresholds each pixel exceeds, counted from the top: the masks of all thresholds at once.
            exceeded = torch.bucketize(self.difference(sample["image"], sample["background"]), levels).flatten(1)
            true = (sample["mask"] > 0.5).flatten(1).float()
            predicted, both = (count_above(exceeded, weight, len(levels)) for weight in (torch.ones_like(true), true))
            either = predicted + true.sum(1, keepdim=True) - both
            scores = torch.where(either > 0, both / either.clamp(min=1), 1.0)  # as metrics.iou
            means.add(**{str(number): column for number, column in enumerate(scores.T)})
        scores = means.mean()
        if not scores:
            raise ValueError("expected a loader with at least one sample, found none")
        self.curve = [(threshold, scores[str(number)]) for number, threshold in enumerate(sorted(thresholds))]
        self.threshold = max(self.curve, key=lambda point: point[1])[0]
        return self

    def __repr__(self):
        return f"DifferenceThreshold({self.threshold:.4f}, channels={self.channels!r}, smooth={self.smooth})"


def count_above(exceeded: Tensor, weight: Tensor, count: int) -> Tensor:
    """Pixels above each of `count` thresholds, (N, count), of exceeded (N, pixels): how many. Each counts `weight`."""
    histogram = torch.zeros(len(exceeded), count + 1).scatter_add_(1, exceeded, weight)
    return histogram.flip(1).cumsum(1).flip(1)[:, 1:]


class ConstantDepth:
    """Depth: one gray for every pixel of every picture, the mean of the training depths (which has the least
    RMSE)."""

    def __init__(self, depth: float = 0.5):
        self.depth = depth

    def __call__(self, image: Tensor, background: Tensor) -> tuple[None, Tensor]:
        return None, torch.full_like(image[:, :1], self.depth)

    def fit(self, loader) -> "ConstantDepth":
        """Take the mean of the loader's depths (training)."""
        self.depth = mean_depth(loader).mean().item()
        return self

    def __repr__(self):
        return f"ConstantDepth({self.depth:.4f})"


class MeanDepth:
    """Depth: the training depths' mean at each pixel. It knows that floors are near below and walls are far
    in the middle."""

    def __init__(self, depth: Tensor | None = None):
        self.depth = depth  # (1, H, W)

    def __call__(self, image: Tensor, background: Tensor) -> tuple[None, Tensor]:
        if self.depth is None:
            raise RuntimeError("MeanDepth has no depth yet: call .fit(training loader) first")
        if self.depth.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f"MeanDepth: expected pictures of the size it was fitted on, {tuple(self.depth.shape[-2:])}, "
                f"found {tuple(image.shape[-2:])}"
            )
        return None, self.depth.to(image).expand(len(image), 1, -1, -1)

    def fit(self, loader) -> "MeanDepth":
        """Take the per-pixel mean of the loader's depths (training)."""
        self.depth = mean_depth(loader)
        return self

    def __repr__(self):
        return "MeanDepth()"


class EmptyRoomDepth:
    """Depth: the empty room's own, exactly. An oracle: it is told what nobody knows, so it has no place among
    results, but it tells how much of the depth error the room makes and how much the object. It needs
    `background_depth` (N, 1, H, W) in the sample."""

    needs = ("background_depth",)

    def __call__(self, image: Tensor, background: Tensor, background_depth: Tensor) -> tuple[None, Tensor]:
        return None, background_depth

    def __repr__(self):
        return "EmptyRoomDepth()"


def mean_depth(loader) -> Tensor:
    """Per-pixel mean of a loader's depths, (1, H, W) float32. Sums in float64: 400,000 float32 would lose
    digits."""
    total, count = 0.0, 0
    for sample in loader:
        total = total + sample["depth"].double().sum(dim=0)
        count += len(sample["depth"])
    if count == 0:
        raise ValueError("expected a loader with at least one sample, found none")
    return (total / count).float()
