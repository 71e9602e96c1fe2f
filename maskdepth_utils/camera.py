"""The course's camera, and its picture after a turn on the spot.

Camera frame: x right, y down, z forward. Pixel (column, row) has its centre at (column + 0.5, row + 0.5); the
principal point is the image's centre. Angles are in degrees: pitch > 0 looks down, pan or azimuth > 0 is to the right.
"""

import math

import cv2
import numpy as np

from .draws import Draws

IMAGE_SIZE = 160  # pixels, width and height of the canonical image
FOV = 60.0  # degrees, horizontal and vertical
FOCAL = IMAGE_SIZE / (2 * math.tan(math.radians(FOV / 2)))  # pixels, 138.564
EYE_HEIGHT = 1.5  # metres above the floor
MAX_DEPTH = 10.0  # metres: 1.0 on the networks' scale
PITCH = (2.0, 14.0)  # degrees, range of the canonical camera


def camera_rotation(pitch: float, azimuth: float = 0.0) -> np.ndarray:
    """3x3 matrix Rx(pitch) Ry(azimuth): from the frame of a level camera turned right to that of the pitched one."""
    p, a = math.radians(pitch), math.radians(azimuth)
    turn = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    return tilt @ turn


def floor_point(pitch: float, distance: float, azimuth: float) -> tuple[float, float, float]:
    """Column, row and z-depth (metres) of the floor point at a horizontal distance (metres) and azimuth."""
    x, y, z = camera_rotation(pitch, azimuth) @ (0.0, EYE_HEIGHT, distance)
    return IMAGE_SIZE / 2 + FOCAL * x / z, IMAGE_SIZE / 2 + FOCAL * y / z, z


def floor_mask(depth_mm: np.ndarray, pitch: float) -> np.ndarray:
    """Find the floor and anything less than 2 cm above it: z-depth uint16 (160, 160) -> bool (160, 160)."""
    # A pixel's ray goes down by `slope` metres per metre of z-depth, and meets the floor 1.5 m below the eye.
    p = math.radians(pitch)
    y = (np.arange(IMAGE_SIZE) + 0.5 - IMAGE_SIZE / 2) / FOCAL
    slope = y * math.cos(p) + math.sin(p)
    reached = 1000 * (EYE_HEIGHT - 0.02) / np.maximum(slope, 0.01)
    return depth_mm > np.minimum(reached, 65535).astype(np.uint16)[:, None]


def draw_turn(draws: Draws, pitch: float, width: int, height: int) -> tuple[float, float]:
    """Draw a pitch within 2 degrees and a turn within 10 whose view lies inside a larger picture taken with `pitch`."""
    u, v = np.array([0.0, IMAGE_SIZE, 0.0, IMAGE_SIZE]), np.array([0.0, 0.0, IMAGE_SIZE, IMAGE_SIZE])
    for _ in range(100):
        turn = draws.uniform(-10, 10)
        new_pitch = min(PITCH[1], max(PITCH[0], pitch + draws.uniform(-2, 2)))
        rays = _source_rays(pitch, new_pitch, turn, u, v)
        reach = np.abs(rays[:, :2] / rays[:, 2:]).max(0) * FOCAL
        if reach[0] <= width / 2 and reach[1] <= height / 2:
            return new_pitch, turn
    return pitch, 0.0


def turned_view(
    image: np.ndarray, depth_mm: np.ndarray, pitch: float, new_pitch: float, turn: float
) -> tuple[np.ndarray, np.ndarray]:
    """The picture and z-depth of a camera at the same eye, turned right by `turn` and looking down by `new_pitch`.

    image uint8 (H, W, 3), depth_mm uint16 (H, W) -> (160, 160). As the eye does not move, this is a homography: nothing
    hidden comes into view (Hartley and Zisserman, "Multiple View Geometry", section 8.4).
    """
    v, u = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE] + 0.5
    rays = _source_rays(pitch, new_pitch, turn, u, v)
    x = (rays[..., 0] / rays[..., 2] * FOCAL + image.shape[1] / 2 - 0.5).astype(np.float32)
    y = (rays[..., 1] / rays[..., 2] * FOCAL + image.shape[0] / 2 - 0.5).astype(np.float32)
    picture = cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    # On a plane 1 / z is linear in the pixel position, so 1 / z is interpolated, but never across a depth edge.
    inverse = 1 / np.maximum(depth_mm, 1).astype(np.float32)
    smooth = cv2.remap(inverse, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    nearest = cv2.remap(inverse, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    smooth = np.where(np.abs(smooth - nearest) < 0.03 * nearest, smooth, nearest)
    # A point with z = 1 in the new camera has z = rays[2] in the old one.
    return picture, np.clip(np.rint(1 / (smooth * rays[..., 2])), 0, 65535).astype(np.uint16)


def _source_rays(pitch: float, new_pitch: float, turn: float, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Rays (..., 3) through the pixels (u, v) of a turned camera, in the frame of the camera with `pitch`."""
    rays = np.stack([(u - IMAGE_SIZE / 2) / FOCAL, (v - IMAGE_SIZE / 2) / FOCAL, np.ones_like(u)], -1)
    return rays @ (camera_rotation(pitch, turn) @ camera_rotation(new_pitch).T).T
