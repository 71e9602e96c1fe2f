"""Samples: from pictures to the tensors that a network reads."""

import operator

import cv2
import numpy as np
import torch

from ..camera import MAX_DEPTH
from .library import Shot


def to_sample(shot: Shot, size: int = 160) -> dict[str, torch.Tensor]:
    """A Shot at 160 pixels -> the dict of float32 tensors. At size 80 each value is the mean of 2x2 pixels.

    `image` and `background` are (3, size, size), `mask` (1, size, size), the object's coverage, and `depth`, if the
    shot has one, (1, size, size), z-depth / 10 m clipped to 1: all from 0 to 1.
    """
    sample = {name: planes(resized(getattr(shot, name), size)) for name in ("image", "background")}
    sample["mask"] = torch.from_numpy(resized(shot.mask, size)[None])
    if shot.depth is not None:
        depth = resized(shot.depth, size) * np.float32(1 / MAX_DEPTH)
        sample["depth"] = torch.from_numpy(np.minimum(depth, 1)[None])
    return sample


def resized(array: np.ndarray, size: int) -> np.ndarray:
    """(H, W) or (H, W, 3) -> the array itself if it has this size, else a float32 one of area averages, unrounded."""
    if array.shape[:2] == (size, size):
        return array
    return cv2.resize(array.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)


def planes(image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) values from 0 to 255 -> float32 tensor (3, H, W) from 0 to 1."""
    split = np.empty((3, *image.shape[:2]), image.dtype)
    cv2.split(image, list(split))  # four times as fast as transposing
    return torch.from_numpy(np.multiply(split, np.float32(1 / 255), dtype=np.float32))


def checked_index(index: int, length: int) -> int:
    """A dataset's index as one of 0 to length - 1; negative ones count from the end. Raises IndexError or TypeError."""
    index = operator.index(index)  # any integer type, but no float
    if not -length <= index < length:
        raise IndexError(f"sample {index} of a dataset of {length}")
    return index % length
