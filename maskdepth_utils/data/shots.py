"""The gap between two shots of one place: what differs between image and background besides the object.

Levels, from the easiest: `none` (the same pixels but for the object: the 2020 project's world), `tripod`
(each shot has its own exposure, white balance, sensor noise and JPEG compression), `handheld` (the camera has
also moved a little between the shots). `mixed` draws one of the three for each sample, for training. The
sizes follow Background Matting V2 (Lin et al., CVPR 2021), which trains on noise of up to 0.03, colour jitter
of 0.18, rotations of up to 1 degree and shifts of 1 %. Notebook 01 shows each step.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from ..draws import NORMAL_TABLE, Draws

LEVELS = ("none", "tripod", "handheld", "mixed")
MIXTURE = (0.2, 0.4, 0.4)  # how often `mixed` draws each of the others

EXPOSURE = 0.07  # standard deviation of a shot's exposure, in factors of sRGB values; cut off at 0.18
WHITE_BALANCE = 0.025  # standard deviation of each channel's factor; cut off at 0.08
NOISE = (0.002, 0.03)  # range of the noise's standard deviation at middle gray, values from 0 to 1
QUALITY = (60, 96)  # range of the JPEG quality
ROTATION = 1.0  # degrees, most
SHIFT = 0.01  # of the image's width, most
SHARPEN = np.float32([[0, -0.12, 0], [-0.12, 1.48, -0.12], [0, -0.12, 0]])


class Strengths(NamedTuple):
    """How much of each part of a gap: 1 as in the data, 0 hardly any, 2 twice as much."""

    light: float = 1.0  # exposure and white balance
    noise: float = 1.0
    compression: float = 1.0
    motion: float = 1.0  # under `handheld`


USUAL = Strengths()


def draw_level(level, draws: Draws):
    """The level of one sample: `level` itself, or for "mixed" one of the others. Raises ValueError for any
    other text."""
    if level not in LEVELS:
        raise ValueError(f"unknown gap {level!r}: choose from {', '.join(LEVELS)}")
    return draws.choice(LEVELS[:3], MIXTURE) if level == "mixed" else level


def shoot(image, background, level, draws: Draws, strengths: Strengths = USUAL):
    """Two shots of the same place: uint8 (H, W, 3) arrays -> the same, with the gap of `level` between them.

    The image's pixels stay where they are, so that its mask and depth still fit; it is the background that is
    misaligned.
    """
    level = draw_level(level, draws.fork("level"))
    if level == "none":
        return image, background
    if level == "handheld":
        background = move(background, draws.fork("move"), strengths.motion)
    shots = ((image, "image"), (background, "background"))
    return tuple(expose(picture, draws.fork(name), strengths) for picture, name in shots)


def move(image, draws: Draws, strength: float = 1.0):
    """Rotate about the centre and shift, by fractions of a pixel: uint8 (H, W, 3) -> the same."""
    size = image.shape[1], image.shape[0]
    angle, shift = strength * ROTATION, strength * SHIFT
    matrix = cv2.getRotationMatrix2D(((size[0] - 1) / 2, (size[1] - 1) / 2), draws.uniform(-angle, angle), 1.0)
    matrix[:, 2] += draws.uniform(-shift, shift) * size[0], draws.uniform(-shift, shift) * size[0]
    padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)  # OpenCV warps four channels twice as fast as three
    moved = cv2.warpAffine(padded, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    # Bilinear sampling blurs, which would tell the two shots apart; this gives the sharpness back, faster
    # than bicubic sampling.
    return cv2.filter2D(cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB), -1, SHARPEN)


def expose(image, draws: Draws, strengths: Strengths = USUAL):
    """One shot with its own exposure, white balance, sensor noise and JPEG compression: uint8 (H, W, 3) ->
    uint8."""
    exposure = _limited(draws, EXPOSURE * strengths.light, 0.18 * strengths.light)
    gains = [exposure * _limited(draws, WHITE_BALANCE * strengths.light, 0.08 * strengths.light) for _ in range(3)]
    low, high = NOISE
    noise = 255 * (low + (high - low) * draws.uniform() ** 2) * strengths.noise  # mostly little
    quality = QUALITY[0] + draws.integer(QUALITY[1] - QUALITY[0])
    quality = max(5, 100 - round((100 - quality) * strengths.compression))

    lit = cv2.transform(image.astype(np.float32), np.diag(gains))
    grain = cv2.LUT(draws.bytes(*image.shape), NORMAL_TABLE[None])
    # Photons are counted: more light, more noise (but relatively less), above a floor of read noise.
    strength = lit * np.float32(noise * 0.4 / 128)
    strength += np.float32(noise * 0.6)
    grain *= strength
    shot = cv2.add(lit, grain, dtype=cv2.CV_8U)  # rounds, and clips at 0 and 255
    return jpeg(shot, quality)


def jpeg(image, quality):
    """The image after JPEG compression with `quality` (1 to 100)."""
    _, code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _limited(draws, std, most):
    """A factor near 1: its logarithm is normal, cut off at `most`."""
    return math.exp(min(most, max(-most, draws.normal(0, std))))
