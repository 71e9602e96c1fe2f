"""The gap between two shots of one place: what differs between image and background besides the object.

The sizes follow Background Matting V2 (Lin et al., CVPR 2021), which trains on noise of up to 0.03, colour jitter of
0.18, rotations of up to 1 degree and shifts of 1 %. Notebook 01 shows each step.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..draws import NORMAL_TABLE, Draws


@dataclass(frozen=True)
class Level:
    """What one level of the gap does to a sample."""

    share: float  # how often `mixed` draws it
    help: str  # what differs, in a few words
    exposes: bool = True  # each shot has its own exposure, white balance, noise and JPEG compression
    moves: bool = False  # the camera moves a little between the shots
    shadow: bool = True  # a pasted object casts its contact shadow
    always_linear: bool = False  # in real light, object and room always mix in linear light (`light.draw_real_light`)


LEVELS = {
    "none": Level(0.2, "the same pixels except for the object", exposes=False, shadow=False, always_linear=True),
    "tripod": Level(0.4, "light, noise, shadow"),
    "handheld": Level(0.4, "also a small shift", moves=True),
}
GAPS = (*LEVELS, "mixed")  # what a dataset's `gap` may be: `mixed` draws a level for each sample

EXPOSURE = 0.07  # standard deviation of a shot's exposure, in factors of sRGB values; cut off at 0.18
WHITE_BALANCE = 0.025  # standard deviation of each channel's factor; cut off at 0.08
NOISE = (0.002, 0.03)  # range of the noise's standard deviation at middle gray, values from 0 to 1
QUALITY = (60, 96)  # range of the JPEG quality
ROTATION = 1.0  # degrees, at most
SHIFT = 0.01  # of the image's width, at most
SHARPEN = np.float32([[0, -0.12, 0], [-0.12, 1.48, -0.12], [0, -0.12, 0]])


def draw_level(gap: str, draws: Draws) -> str:
    """Name of one sample's level: `gap` itself, or one of LEVELS for "mixed". Raises ValueError for any other text."""
    if gap not in GAPS:
        raise ValueError(f"unknown gap {gap!r}: choose from {', '.join(GAPS)}")
    return gap if gap in LEVELS else draws.choice(list(LEVELS), [level.share for level in LEVELS.values()])


def shoot(
    image: np.ndarray, background: np.ndarray, gap: str, draws: Draws, motion: float = 1.0, **strengths: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two shots of the same place: uint8 (H, W, 3) arrays -> the same, with the gap between them.

    The image's pixels stay where they are, so that its mask and depth still fit; the background is misaligned.
    `motion` scales the camera's movement, and `strengths` are those of `expose`.
    """
    level = LEVELS[draw_level(gap, draws.fork("level"))]
    if level.moves:
        background = move(background, draws.fork("move"), motion)
    if level.exposes:
        image = expose(image, draws.fork("image"), **strengths)
        background = expose(background, draws.fork("background"), **strengths)
    return image, background


def move(image: np.ndarray, draws: Draws, strength: float = 1.0) -> np.ndarray:
    """Rotate about the centre and shift, by fractions of a pixel: uint8 (H, W, 3) -> the same."""
    height, width = image.shape[:2]
    angle, shift = strength * ROTATION, strength * SHIFT
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), draws.uniform(-angle, angle), 1.0)
    matrix[:, 2] += draws.uniform(-shift, shift) * width, draws.uniform(-shift, shift) * width
    padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)  # OpenCV warps four channels twice as fast as three
    moved = cv2.warpAffine(padded, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    # Bilinear sampling blurs, which would give away the moved shot. Sharpening undoes it faster than bicubic sampling.
    return cv2.filter2D(cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB), -1, SHARPEN)


def expose(
    image: np.ndarray, draws: Draws, light: float = 1.0, noise: float = 1.0, compression: float = 1.0
) -> np.ndarray:
    """One shot with its own exposure, white balance, sensor noise and JPEG compression: uint8 (H, W, 3) -> uint8.

    `light` (exposure and white balance), `noise` and `compression` are strengths: 1 as in the data, 0 hardly any.
    """
    exposure = _draw_factor(draws, EXPOSURE * light, 0.18 * light)
    gains = [exposure * _draw_factor(draws, WHITE_BALANCE * light, 0.08 * light) for _ in range(3)]
    std = 255 * (NOISE[0] + (NOISE[1] - NOISE[0]) * draws.uniform() ** 2) * noise  # mostly small
    quality = QUALITY[0] + draws.integer(QUALITY[1] - QUALITY[0])
    quality = max(5, 100 - round((100 - quality) * compression))

    lit = cv2.transform(image.astype(np.float32), np.diag(gains))
    grain = cv2.LUT(draws.bytes(*image.shape), NORMAL_TABLE[None])
    # Photons are counted: more light, more noise (but relatively less), above a floor of read noise.
    grain *= lit * np.float32(std * 0.4 / 128) + np.float32(std * 0.6)
    return jpeg(cv2.add(lit, grain, dtype=cv2.CV_8U), quality)  # `add` rounds, and clips at 0 and 255


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """The image after JPEG compression with `quality` (1 to 100)."""
    _, code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _draw_factor(draws: Draws, std: float, most: float) -> float:
    """A factor near 1: its logarithm is normal, cut off at `most`."""
    return math.exp(min(most, max(-most, draws.normal(0, std))))
