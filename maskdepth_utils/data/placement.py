"""Find places where an object can stand: on free floor, in view, large enough.

Placing is a search: draw a candidate, check whether it is valid, draw again.
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..camera import EYE_HEIGHT, FOCAL, IMAGE_SIZE, floor_point
from ..draws import Draws
from .library import Cutout, Rectangle, Room, cutout_distances, load_cutout, nearest_distance
from .projection import Projection, project_cutout

MIN_DISTANCE = 1.6  # metres
MIN_COVER = 0.01  # share of the image's pixels that the visible part of the object must cover
MAX_COVER = 0.7  # beyond that the picture shows little but the object
MIN_INSIDE = 0.6  # share of the object that must lie inside the image
MIN_VISIBLE = 0.5  # share of the part inside that nothing may hide
CLEARANCE = 0.03  # metres kept free around the footprint
MAX_AZIMUTH = 29.0  # degrees: the anchor itself lies inside the image
ATTEMPTS = 40
Corners = list[tuple[float, float]]  # (X, Z) of a rectangle on the floor, in room axes, metres, in order around it


def place(room: Room, object_name: str, draws: Draws, data: str | Path | None = None) -> Projection | None:
    """The object in the room at a valid place, as the constants above define it; None if it fits nowhere."""
    distances = cutout_distances(object_name, data)
    for yaw, azimuth, share in _candidates(draws):
        nearest, farthest = _distance_range(room, load_cutout(object_name, yaw, 0, data), azimuth)
        if nearest < farthest:
            # Log-uniform, so that sizes in the image vary evenly.
            distance = nearest * (farthest / nearest) ** share
            cutout = load_cutout(object_name, yaw, nearest_distance(distances, distance), data)
            if _fits_floor_plan(room, cutout, distance, azimuth):
                projection = project_cutout(room, cutout, distance, azimuth)
                if _is_seen(projection):
                    return projection
    return None


def _candidates(draws: Draws) -> Iterator[tuple[int, float, float]]:
    """(yaw number, azimuth, how far between the nearest and the farthest distance that may fit, 0 to 1)."""
    first_yaw = draws.integer(8)
    for _ in range(ATTEMPTS):
        yield draws.integer(8), draws.uniform(-MAX_AZIMUTH, MAX_AZIMUTH), draws.uniform()
    # A fixed grid, for the rare object that hardly fits anywhere.
    for turn, azimuth, step in itertools.product(range(8), sorted(range(-28, 29, 4), key=abs), range(8)):
        yield (first_yaw + turn) % 8, float(azimuth), step / 7.5


def _distance_range(room: Room, cutout: Cutout, azimuth: float) -> tuple[float, float]:
    """The nearest and the farthest distance at which this view may fit: anchor in view, far wall, object's size."""
    # The anchor's row is 160 at the image's lower edge; the edge is lower than that for an anchor at the side.
    edge = math.radians(room.pitch) + math.atan(0.5 * IMAGE_SIZE / FOCAL * 0.99)
    nearest = EYE_HEIGHT / math.tan(edge) / math.cos(math.radians(azimuth))
    nearest = max(MIN_DISTANCE, nearest, 0.9 + math.hypot(*cutout.size[:2]) / 2)
    farthest = FOCAL * math.sqrt(cutout.area / (1.05 * MIN_COVER * IMAGE_SIZE**2))
    # How far a ray along the floor goes from the point below the eye until it leaves the room's box.
    heading = math.radians(azimuth + room.pan)
    x0, x1, z0, z1 = room.box
    sides = ((x0, x1, math.sin(heading)), (z0, z1, math.cos(heading)))
    wall = min((high if step > 0 else low) / step for low, high, step in sides if abs(step) > 1e-9)
    return nearest, min(farthest, max(0.0, wall) - min(cutout.size[:2]) / 2)


def _fits_floor_plan(room: Room, cutout: Cutout, distance: float, azimuth: float) -> bool:
    """Whether the footprint is on free floor, and the anchor inside the image and not behind the room's walls."""
    if not is_free(room, footprint(room, cutout.size, cutout.yaw, distance, azimuth)):
        return False
    column, row, z = floor_point(room.pitch, distance, azimuth)
    if not (0 <= column < IMAGE_SIZE and 0 <= row < IMAGE_SIZE):
        return False
    # The picture shows the floor there or something in front of it; were it farther, the floor plan would be wrong.
    return room.depth_mm[int(row), int(column)] * 0.001 < 1.03 * z + 0.1


def _is_seen(projection: Projection) -> bool:
    """Whether enough of the object is in the picture, at 160 pixels and at 80."""
    if projection.inside < MIN_INSIDE or projection.visible < MIN_VISIBLE:
        return False
    small = cv2.resize(projection.mask, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cover, small_cover = (np.count_nonzero(mask > 0.5) / mask.size for mask in (projection.mask, small))
    return MIN_COVER <= cover <= MAX_COVER and small_cover >= MIN_COVER


def footprint(room: Room, size: tuple[float, float, float], yaw: float, distance: float, azimuth: float) -> Corners:
    """The corners of the floor rectangle of an object of this size and yaw, as in `Cutout`."""
    heading = math.radians(azimuth + room.pan)
    x, z = distance * math.sin(heading), distance * math.cos(heading)
    s, c = math.sin(heading - math.radians(yaw)), math.cos(heading - math.radians(yaw))
    w, d = size[0] / 2, size[1] / 2
    return [(x + u * c + v * s, z - u * s + v * c) for u, v in ((-w, -d), (w, -d), (w, d), (-w, d))]


def is_free(room: Room, corners: Corners) -> bool:
    """Whether the rectangle with these corners lies in the room, at least `CLEARANCE` away from all obstacles."""
    x0, x1, z0, z1 = room.box
    inside = all(
        x0 <= x - CLEARANCE and x + CLEARANCE <= x1 and z0 <= z - CLEARANCE and z + CLEARANCE <= z1 for x, z in corners
    )
    return inside and not any(_overlap(corners, obstacle) for obstacle in room.obstacles)


def _overlap(corners: Corners, obstacle: Rectangle) -> bool:
    """Whether two rectangles come closer than `CLEARANCE`: no line along one of their sides separates them."""
    box = list(itertools.product(obstacle[:2], obstacle[2:]))
    (ax, az), (bx, bz), _, (cx, cz) = corners
    for u, v in ((1, 0), (0, 1), (bx - ax, bz - az), (cx - ax, cz - az)):
        gap = CLEARANCE * math.hypot(u, v)
        mine, its = ([u * x + v * z for x, z in rectangle] for rectangle in (corners, box))
        if min(mine) >= max(its) + gap or max(mine) <= min(its) - gap:
            return False
    return True
