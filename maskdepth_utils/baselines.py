"""Predictions without a network, with which the course compares every result. Built in notebook 01.

Each is called like a network in `evaluation.evaluate`: baseline(image, background) -> (mask, depth), one of them None.
Tune a baseline on validation data, as you would a network, and never on test data.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from .metrics import Means, iou

STEPS_OF_8_BITS = [(step + 0.5) / 255 for step in range(100)]  # halfway between them


class DifferenceThreshold:
    """Mask: 1 where the largest difference of the three colours exceeds a threshold from 0 to 1."""

    def __init__(self, threshold: float = 0.1):
        self.threshold = threshold
        self.curve: list[tuple[float, float]] = []

    def difference(self, image: Tensor, background: Tensor) -> Tensor:
        """The difference of two pictures (N, 3, H, W) in [0, 1]: (N, 1, H, W) in [0, 1]."""
        return (image - background).abs().amax(1, keepdim=True)

    def __call__(self, image: Tensor, background: Tensor) -> tuple[Tensor, None]:
        return (self.difference(image, background) > self.threshold).float(), None

    def fit(self, loader: Iterable[dict]) -> "DifferenceThreshold":
        """Choose the threshold with the best mean IoU on the loader's samples; `self.curve` keeps all scores."""
        means = Means()
        for sample in loader:
            difference = self.difference(sample["image"], sample["background"])
            means.add(**{str(value): iou(difference > value, sample["mask"]) for value in STEPS_OF_8_BITS})
        if not means.values:
            raise ValueError("fit: expected a loader with samples, found none")
        self.curve = list(zip(STEPS_OF_8_BITS, means.mean().values(), strict=True))
        self.threshold = max(self.curve, key=lambda point: point[1])[0]
        return self


class MeanDepth:
    """Depth: the mean of the training depths at each pixel. It captures that floors are near and walls are far."""

    depth: Tensor  # (1, H, W), from `fit`

    def __call__(self, image: Tensor, background: Tensor) -> tuple[None, Tensor]:
        return None, self.depth.to(image).expand(len(image), 1, *image.shape[-2:])

    def fit(self, loader: Iterable[dict]) -> "MeanDepth":
        """Take the mean of the loader's depths (training); float64 sums stay precise over 400,000 samples."""
        total, count = 0.0, 0
        for sample in loader:
            total = total + sample["depth"].cpu().double().sum(dim=0)
            count += len(sample["depth"])
        if not count:
            raise ValueError("fit: expected a loader with samples, found none")
        self.depth = (total / count).float()
        return self


class ConstantDepth:
    """Depth: the same gray for every picture: the mean of the training depths, the gray with the lowest RMSE."""

    depth: float  # from `fit`

    def __call__(self, image: Tensor, background: Tensor) -> tuple[None, Tensor]:
        return None, torch.full_like(image[:, :1], self.depth)

    def fit(self, loader: Iterable[dict]) -> "ConstantDepth":
        """Take the mean of the loader's depths (training)."""
        self.depth = MeanDepth().fit(loader).depth.mean().item()
        return self
