"""Cast shadows by shadow mapping: which pixels of a room an object hides from a lamp (Williams, SIGGRAPH 1978).

The object's relief views together are a cloud of points. Seen from the lamp, they make a small depth map, the shadow
map. Each pixel of the room, whose place in space follows from its depth, looks itself up there: it is in shadow where
the map is nearer to the lamp.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ..camera import EYE_HEIGHT, FOCAL, IMAGE_SIZE, camera_rotation
from .library import Room, cutout_distances, load_cutout
from .projection import Projection

Sphere = tuple[np.ndarray, float]  # centre (3,) and radius, metres

GRID = 0.025  # metres between an object's points
TEXEL = 0.02  # metres that a pixel of the shadow map covers at the object's centre
BIAS = 0.06  # metres by which the object must be nearer to the lamp than what it shadows
WIDEST = 2.5  # largest slope that a shadow map covers: for lamps close to a large object
SPOTS = 4  # points of all lamps of a sample together: what a sample may cost
STEP = 4  # pixels: how coarsely the part of the picture that a shadow can reach is searched
GAMMA = 2.2  # light to the power of 1 / 2.2 is about an sRGB value

CLOSING = np.ones((3, 3), np.uint8)
ROW, COLUMN = np.float32((np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE] + (0.5 - IMAGE_SIZE / 2)) / FOCAL)  # slopes of rays


@dataclass(frozen=True)
class Lamp:
    """A small lamp, or a window: a sphere that shines evenly in all directions."""

    position: tuple[float, float, float]  # metres, room axes: right, height above the floor, ahead
    radius: float  # metres: the larger, the softer the shadow
    share: float  # of the light in the room, 0 to 1


def light_factor(room: Room, projection: Projection, points: np.ndarray, lamps: Sequence[Lamp]) -> np.ndarray:
    """The factor on the room's sRGB values that an object's shadows make, float32 (160, 160), 0 to 1.

    Light adds up: where a lamp is hidden, its share is missing. The object's own pixels mean nothing.

    Args:
        points: The object's `object_points`.
    """
    turn = camera_rotation(0, -projection.cutout.yaw)
    points = points @ turn.T.astype(np.float32) + np.float32([0, EYE_HEIGHT, projection.distance])
    points = points @ projection.rotation.T.astype(np.float32)  # where it stands, in the frame of the room's camera
    depth = room.depth
    pixels = cv2.merge([COLUMN * depth, ROW * depth, depth])
    to_camera = camera_rotation(room.pitch, -room.pan)
    light = np.ones(room.depth_mm.shape, np.float32)
    for lamp in lamps:
        right, height, ahead = lamp.position
        center = to_camera @ (right, EYE_HEIGHT - height, ahead)
        light -= np.float32(lamp.share) * hidden_share(pixels, points, center, lamp.radius, max(1, SPOTS // len(lamps)))
    return cv2.pow(cv2.GaussianBlur(light, (3, 3), 0), 1 / GAMMA)


@lru_cache(maxsize=200)  # 12 MB for 200 objects
def object_points(name: str, data: str) -> np.ndarray:
    """The points of an object that its views show, float32 (N, 3), metres: right, down and away, from its anchor."""
    found = []
    for yaw in range(8):
        cutout = load_cutout(name, yaw, len(cutout_distances(name, data)) - 1, data)
        row, column = np.nonzero(cutout.premultiplied[..., 3] > 127)
        z = cutout.distance + cutout.relief[row, column]
        x = (cutout.x0 + column + 0.5) / cutout.focal * z
        y = (cutout.y0 + row + 0.5) / cutout.focal * z
        points = np.stack([x, y - EYE_HEIGHT, z - cutout.distance], -1)
        found.append(points @ camera_rotation(0, cutout.yaw).T)
    cells = np.unique(np.rint(np.concatenate(found) / GRID).astype(np.int16), axis=0)
    return cells.astype(np.float32) * np.float32(GRID)


def hidden_share(pixels: np.ndarray, points: np.ndarray, lamp: np.ndarray, radius: float, spots: int) -> np.ndarray:
    """The share of a lamp's `spots` that the points (N, 3) hide from the pixels' points (H, W, 3): float32 (H, W).

    The spots cover a disk of this radius around the lamp (3,) that faces the object, in a sunflower pattern.
    """
    low, high = cv2.reduce(points, 0, cv2.REDUCE_MIN)[0], cv2.reduce(points, 0, cv2.REDUCE_MAX)[0]
    sphere = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    side, up, _ = axes_towards(sphere[0] - lamp)
    hidden = np.zeros(pixels.shape[:2], np.float32)
    part = reachable_part(pixels, lamp, radius, sphere)
    for number in range(spots if hidden[part].size else 0):
        angle = number * math.pi * (3 - math.sqrt(5))
        away = radius * math.sqrt((number + 0.5) / spots)
        spot = lamp + away * (math.cos(angle) * side + math.sin(angle) * up)
        hidden[part] += in_shadow(pixels[part], points, spot, sphere)
    return hidden / np.float32(spots)


def axes_towards(direction: np.ndarray) -> np.ndarray:
    """Three orthogonal unit vectors as rows (3, 3), the last along `direction`."""
    x, y, z = direction / math.hypot(*direction)
    level = math.hypot(x, z) + 1e-9
    side = z / level, 0.0, -x / level
    return np.array([side, (-y * x / level, level, -y * z / level), (x, y, z)])


def map_matrix(lamp: np.ndarray, sphere: Sphere) -> tuple[np.ndarray, int]:
    """The projective map (4, 4) from a point to column, row and 1 / depth in the shadow map; and the map's size."""
    center, reach = sphere
    away = math.dist(center, lamp)
    slope = reach / math.sqrt(max(away**2 - reach**2, (reach / WIDEST) ** 2))
    size = 2 * math.ceil(slope * away / TEXEL) + 3
    axes = axes_towards(center - lamp)
    to_lamp = np.column_stack([axes, -axes @ lamp])
    matrix = np.zeros((4, 4))
    matrix[:2] = to_lamp[:2] * (away / TEXEL) + size // 2 * to_lamp[2]
    matrix[2, 3] = 1
    matrix[3] = to_lamp[2]
    return matrix, size


def reachable_part(pixels: np.ndarray, lamp: np.ndarray, radius: float, sphere: Sphere) -> tuple[slice, slice]:
    """The rows and columns of the picture that the shadow of anything in the sphere can reach: mostly a small part."""
    matrix, size = map_matrix(lamp, sphere)
    column, row, inverse = cv2.split(cv2.perspectiveTransform(pixels[::STEP, ::STEP].copy(), matrix))
    limit = size / 2 + radius / TEXEL
    reachable = (np.maximum(np.abs(column - size // 2), np.abs(row - size // 2)) < limit) & (inverse > 0)
    x, y, width, height = cv2.boundingRect(reachable.view(np.uint8))
    return np.s_[max(0, (y - 1) * STEP) : (y + height) * STEP, max(0, (x - 1) * STEP) : (x + width) * STEP]


def in_shadow(pixels: np.ndarray, points: np.ndarray, lamp: np.ndarray, sphere: Sphere) -> np.ndarray:
    """Whether the points, all inside the sphere, hide the lamp from the pixels: bool (H, W)."""
    matrix, size = map_matrix(lamp, sphere)
    column, row, inverse = cv2.split(cv2.perspectiveTransform(points[None], matrix))
    column, row = (cv2.min(cv2.max(x, 0), size - 1).astype(np.intp) for x in (column + 0.5, row + 0.5))
    shadow_map = np.zeros((size, size), np.float32)
    # Of the points at one place the last one stays, not the nearest: all are nearer to the lamp than what they shadow.
    shadow_map[row, column] = cv2.max(inverse / (1 + np.float32(BIAS) * inverse), 0)  # 1 / (depth + BIAS)
    shadow_map = cv2.morphologyEx(shadow_map, cv2.MORPH_CLOSE, CLOSING)  # between the points
    column, row, inverse = cv2.split(cv2.perspectiveTransform(np.ascontiguousarray(pixels), matrix))
    nearest = cv2.remap(shadow_map, column, row, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return (nearest > inverse) & (inverse > 0)
