"""Samples: from pictures to the tensors that a network reads, and their statistics.

A sample is a dict of float32 tensors: `image` and `background` (3, H, W) in [0, 1], `mask` (1, H, W), the
object's coverage in [0, 1], and `depth` (1, H, W), z-depth / 10 m clipped to [0, 1].
"""

import operator
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.utils.data

from ..camera import MAX_DEPTH


class Shot(NamedTuple):
    """A sample before it becomes tensors. Arrays are (H, W, ...)."""

    image: np.ndarray  # uint8 RGB
    background: np.ndarray  # uint8 RGB
    mask: np.ndarray  # float32 coverage, 0 to 1
    depth: np.ndarray  # float32 z-depth, metres
    about: dict  # what `describe` tells


def to_sample(shot, size=160):
    """A Shot at 160 pixels -> the dict of float32 tensors. At size 80 each value is the mean of 2x2
    pixels."""
    image, background, mask, depth = (resized(array, size) for array in shot[:4])
    return {
        "image": planes(image),
        "background": planes(background),
        "mask": torch.from_numpy(mask[None]),
        "depth": torch.from_numpy(np.minimum(depth * np.float32(1 / MAX_DEPTH), 1)[None]),
    }


def resized(array, size):
    """(H, W) or (H, W, 3) -> the same array if it has this size, else a float32 one of size x size, averaged
    over areas."""
    if array.shape[:2] == (size, size):
        return array
    return cv2.resize(
        array.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA
    )  # in float: nothing is rounded


def mean_std(arrays):
    """Mean and standard deviation of each channel over any number of (N, C, H, W) arrays or tensors -> two
    float64 arrays (C,).

    One pass, whatever the size of the data: counts, means and sums of squared differences of two parts merge
    exactly (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979). Summing squares and subtracting would lose the digits; averaging each batch's own
    deviation, as the 2020 notebook did, is something else.
    """
    count, mean, squares = 0, 0.0, 0.0
    for array in arrays:
        array = np.asarray(array, np.float64)
        if array.ndim != 4:
            raise ValueError(f"expected arrays of shape (N, C, H, W), got {array.shape}")
        n = array.size // array.shape[1]
        if n == 0:
            continue
        new_mean = array.mean((0, 2, 3))
        new_squares = ((array - new_mean[:, None, None]) ** 2).sum((0, 2, 3))
        shift = new_mean - mean
        mean = mean + shift * n / (count + n)
        squares = squares + new_squares + shift**2 * count * n / (count + n)
        count += n
    if count == 0:
        raise ValueError("no data to take the mean of")
    return mean, np.sqrt(squares / count)


def planes(image):
    """(H, W, 3) values from 0 to 255 -> float32 tensor (3, H, W) from 0 to 1."""
    split = np.empty((3, *image.shape[:2]), image.dtype)
    cv2.split(image, list(split))  # four times as fast as transposing
    return torch.from_numpy(np.multiply(split, np.float32(1 / 255), dtype=np.float32))


def checked_index(index, length):
    """A dataset's index as one of 0 to length - 1; negative ones count from the end. Raises IndexError or TypeError."""
    index = operator.index(index)  # any integer type, but no float
    if not -length <= index < length:
        raise IndexError(f"sample {index} of a dataset of {length}")
    return index % length
