"""Project a cutout into the camera of a room: which pixels the object covers, in which colours and at which depth.

A cutout was rendered by a level camera facing its floor anchor from distance D. Its relief r tells how much farther
than the anchor each pixel is, so a pixel at (x, y) from the principal point shows the point (x / f, y / f, 1) (D + r).
To stand the object at distance d and azimuth a of a room's camera, each point is pushed back by d - D, then turned
into the camera's frame:

    R ((x / f) (D + r), (y / f) (D + r), d + r)        R = Rx(pitch) Ry(azimuth)

Parts hidden from the cutout's camera stay unknown, and parts hidden from the room's camera may show: hence several
distances D, of which the nearest is taken. The extra composite_geometry does this for r = 0, a homography.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..camera import EYE_HEIGHT, FOCAL, IMAGE_SIZE, camera_rotation
from .library import Cutout, Room

Window = tuple[int, int, int, int]  # of pixels: left, top, right, bottom
OVERLAP = 0.05  # metres that the room must be nearer to hide an object: more than the relief's error
LOOKS = 3  # lookups of the relief: with 1 a large sofa's mask has IoU 0.986 with a direct render, with 3 0.996
SUPERSAMPLE_BELOW = 0.75  # bilinear sampling at a smaller scale would skip pixels of the cutout
CENTER = IMAGE_SIZE / 2 - 0.5  # the principal point, as a pixel index
CAMERA_MATRIX = np.array([[FOCAL, 0, CENTER], [0, FOCAL, CENTER], [0, 0, 1]])  # from camera frame to pixel index


@dataclass(frozen=True)
class Projection:
    """A cutout standing in a room, as the room's camera sees it."""

    cutout: Cutout
    distance: float  # metres, horizontally from the eye to the floor anchor
    azimuth: float  # degrees, right of the camera's heading
    rotation: np.ndarray  # (3, 3), from the frame of the cutout's camera to that of the room's
    mask: np.ndarray  # float32 (160, 160), soft coverage by the object, 0 to 1
    part: tuple[slice, slice]  # rows and columns of the image that the other arrays fill
    color: np.ndarray  # uint8 (h, w, 4), premultiplied RGBA
    depth: np.ndarray  # float32 (h, w), z-depth, metres
    inside: float  # share of the object's area that lies inside the image
    visible: float  # share of the part inside that nothing in the room hides


def project_cutout(room: Room, cutout: Cutout, distance: float, azimuth: float) -> Projection:
    """Project `cutout`, standing at `distance` and `azimuth`, into the room's camera."""
    rotation = camera_rotation(room.pitch, azimuth)
    scale = (FOCAL / distance) / (cutout.focal / cutout.distance)
    window = bounds(project_corners(cutout, rotation, distance))
    color, relief, toward = resample(cutout, rotation, distance, window, 2 if scale < SUPERSAMPLE_BELOW else 1)
    whole = int(cv2.sumElems(color)[3])  # the object's area, inside the image or not
    crop, part = crop_to_image(window)
    # In the cutout's frame a pixel's ray p is R^T p; its point with depth d + r there has z = (d + r) / (R^T p)_z.
    color, depth = color[crop], (relief[crop] + np.float32(distance)) / toward[crop]
    mask = np.zeros(room.depth_mm.shape, np.float32)
    inside, visible = int(cv2.sumElems(color)[3]) if color.size else 0, 0.0
    if inside:
        # The floor cannot hide what stands on it.
        hidden = (room.depth[part] < depth - np.float32(OVERLAP)) & ~room.floor[part]
        if hidden.any():  # much faster than setting no pixels
            color[hidden] = 0
        mask[part] = color[..., 3] * np.float32(1 / 255)
        visible = 255 * float(mask[part].sum(dtype=np.float64)) / inside
    return Projection(cutout, distance, azimuth, rotation, mask, part, color, depth, inside / max(whole, 1), visible)


def resample(
    cutout: Cutout, rotation: np.ndarray, distance: float, window: Window, oversample: int = 1, mirrored: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Resample the cutout, or its mirror image in the floor, to the pixels of the room's camera in the window.

    The cutout pixel to fetch depends on the relief there: look the relief up as if it were 0, then where it points to,
    and so on: a fixed-point iteration. Mirror images, which get blurred, are never oversampled.
    Returns colour (premultiplied RGBA uint8), relief (float32 metres) and (R^T p)_z for each pixel's ray p.
    """
    x, y, toward = _rays(rotation, window, 1)
    relief_picture, relief = cutout.relief, np.float32(0)
    for _ in range(LOOKS + 1):
        scale = _scale(relief, cutout, distance)
        seen = _mirrored_slope(y, relief, distance) if mirrored else y
        relief = _fetch(relief_picture, x, seen, scale, cutout)
    if oversample > 1:
        size = oversample * (window[2] - window[0]), oversample * (window[3] - window[1])
        x, seen, _ = _rays(rotation, window, oversample)
        scale = cv2.resize(scale, size, interpolation=cv2.INTER_NEAREST)
    color = _fetch(cutout.premultiplied, x, seen, scale, cutout)
    if oversample > 1:
        color = cv2.resize(color, toward.shape[::-1], interpolation=cv2.INTER_AREA)
    return color, relief, toward


def _rays(rotation: np.ndarray, window: Window, oversample: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes x / z and y / z of the window's pixels' rays in the cutout's frame, and z = (R^T p)_z: float32 (h, w)."""
    left, top, right, bottom = window
    column = (np.arange(oversample * (right - left)) + 0.5) / oversample + (left - 0.5 - CENTER)
    row = (np.arange(oversample * (bottom - top)) + 0.5) / oversample + (top - 0.5 - CENTER)
    column, row = (column / FOCAL).astype(np.float32), (row / FOCAL).astype(np.float32)[:, None]
    m = rotation.astype(np.float32)  # R^T p: columns of R
    z = column * m[0, 2] + (row * m[1, 2] + m[2, 2])
    inverse = 1 / z
    x = (column * m[0, 0] + (row * m[1, 0] + m[2, 0])) * inverse
    y = (row * m[1, 1] + m[2, 1]) * inverse  # m[0, 1] is 0: the cameras' x axes are both level
    return x, y, z


def _scale(relief: np.ndarray, cutout: Cutout, distance: float) -> np.ndarray:
    """Cutout pixels per unit of slope, f (d + r) / (D + r): the same point projected by both cameras."""
    return (relief + np.float32(distance)) * np.float32(cutout.focal) / (relief + np.float32(cutout.distance))


def _mirrored_slope(y: np.ndarray, relief: np.ndarray, distance: float) -> np.ndarray:
    """The slope of a point's mirror image: the sum of both slopes is twice the floor's."""
    return np.float32(2 * EYE_HEIGHT) / (relief + np.float32(distance)) - y


def _fetch(picture: np.ndarray, x: np.ndarray, y: np.ndarray, scale: np.ndarray, cutout: Cutout) -> np.ndarray:
    """The cutout's picture at the slopes x, y times scale: colours bilinear, the relief nearest."""
    x = x * scale
    y = y * scale
    x -= np.float32(cutout.x0 + 0.5)  # in place, as this runs five times a sample
    y -= np.float32(cutout.y0 + 0.5)
    if picture.ndim == 3:
        return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return cv2.remap(picture, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def project_corners(cutout: Cutout, rotation: np.ndarray, distance: float, mirrored: bool = False) -> np.ndarray:
    """Homogeneous pixel positions (3, 8) of a box around the object, or around its mirror image in the floor."""
    height, width = cutout.relief_code.shape
    x, y = np.array([0, width, 0, width]) + cutout.x0, np.array([0, 0, height, height]) + cutout.y0
    relief = np.float32(cutout.relief_range)[:, None]
    scale, rays = _scale(relief, cutout, distance), np.ones((3, 2, 4))
    rays[0], rays[1] = x / scale, y / scale
    if mirrored:
        rays[1] = _mirrored_slope(rays[1], relief, distance)
    return CAMERA_MATRIX @ rotation @ rays.reshape(3, 8)


def bounds(points: np.ndarray) -> Window:
    """The smallest window around homogeneous points (3, N); the whole image if one is behind the camera."""
    if points[2].min() <= 0:
        return 0, 0, IMAGE_SIZE, IMAGE_SIZE
    x, y = (points[:2] / points[2]).tolist()  # for so few numbers, Python itself is faster than NumPy
    return math.floor(min(x)), math.floor(min(y)), math.ceil(max(x)) + 1, math.ceil(max(y)) + 1


def crop_to_image(window: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices that cut an array of the window's size to the image, and the slices of the image that it then fills."""
    left, top, right, bottom = window
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = max(min(right, IMAGE_SIZE), x0), max(min(bottom, IMAGE_SIZE), y0)
    return np.s_[y0 - top : y1 - top, x0 - left : x1 - left], np.s_[y0:y1, x0:x1]
