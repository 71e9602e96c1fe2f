"""A small ray caster for boxes in box-shaped rooms: simple enough to trust, so composites are compared with it."""

import math

import numpy as np

FOCAL = 160 / (2 * math.tan(math.radians(30)))
EYE = np.array([0.0, 1.5, 0.0])
CEILING = 2.7


def turned(points, degrees):
    """Points (..., 3) (right, up, forward) turned to the right about the vertical axis."""
    a = math.radians(degrees)
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x * math.cos(a) + z * math.sin(a), y, -x * math.sin(a) + z * math.cos(a)], -1)


def rays(width, height, focal, pitch=0.0, pan=0.0, x0=None, y0=None, samples=1, step=1):
    """Directions (H * samples, W * samples, 3) (right, up, forward), each one metre of z-depth long."""
    x0, y0 = -width * step / 2 if x0 is None else x0, -height * step / 2 if y0 is None else y0
    x = (x0 + (np.arange(width * samples) + 0.5) / samples * step) / focal
    y = (y0 + (np.arange(height * samples) + 0.5) / samples * step) / focal
    p = math.radians(pitch)
    x, y = np.meshgrid(x, y)
    up, forward = -y * math.cos(p) - math.sin(p), math.cos(p) - y * math.sin(p)
    return turned(np.stack([x, up, forward], -1), pan)


def cast_box(origin, direction, box, inside=False):
    """Where each ray meets the box (x0, x1, y0, y1, z0, z1), infinity if it does not, and on which side (0 to 5)."""
    direction = np.ascontiguousarray(np.moveaxis(direction, -1, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = ((plane - origin)[:, None, None] / direction for plane in np.reshape(box, (3, 2)).T)
    near, far = np.minimum(a, b), np.maximum(a, b)
    enter, leave = near.max(0), far.min(0)
    x, y, _ = far == leave if inside else near == enter
    axis = np.where(x, 0, np.where(y, 1, 2))
    side = 2 * axis + (np.choose(axis, direction) > 0)
    return (leave if inside else np.where((enter < leave) & (enter > 0), enter, np.inf)), side


def paint(points, side, colors):
    """Checked boxes: a colour for each side, darker in every second square of 30 cm."""
    checks = np.floor(points / 0.3 + 1e-6).astype(int).sum(-1) % 2
    return np.array(colors, float)[side] * (0.8 + 0.2 * checks)[..., None]


def cast_room(direction, room):
    _, _, (x0, x1, z0, z1), obstacles = room
    wall = (200, 195, 180)
    depth, side = cast_box(EYE, direction, (x0, x1, 0, CEILING, z0, z1), inside=True)
    colors = [wall, (190, 185, 170), (150, 110, 70), (230, 230, 230), (180, 175, 165), (170, 170, 175)]
    color = paint(EYE + direction * depth[..., None], side, colors)
    for x0, x1, z0, z1 in obstacles:
        t, side = cast_box(EYE, direction, (x0, x1, 0, CEILING, z0, z1))
        front = t < depth
        depth = np.where(front, t, depth)
        color[front] = paint(EYE + direction[front] * t[front][:, None], side[front], [(120, 140, 120)] * 6)
    return depth, color


def cast_object(direction, boxes, yaw, distance, heading=0.0):
    """The object at (distance, heading): yaw as seen from the eye, anticlockwise seen from above."""
    origin = turned(turned(EYE, -heading) - np.array([0, 0, distance]), yaw)
    local = turned(turned(direction, -heading), yaw)
    depth, color = np.full(direction.shape[:2], np.inf), np.zeros(direction.shape)
    sides = [(200, 60, 50), (60, 60, 200), (90, 90, 90), (220, 210, 60), (60, 160, 70), (160, 70, 170)]
    for box in boxes:
        t, side = cast_box(origin, local, box)
        front = t < depth
        depth = np.where(front, t, depth)
        color[front] = paint(origin + local[front] * t[front][:, None], side[front], sides)
    return depth, color


def mean_of(array, samples):
    h, w = array.shape[0] // samples, array.shape[1] // samples
    return array.reshape(h, samples, w, samples, -1).mean((1, 3)).squeeze()


def direct(room, boxes, yaw, distance, azimuth, samples=3):
    """Render the object in the room at 160 pixels: uint8 image, float coverage and z-depth in metres."""
    pitch, pan = room[:2]
    directions = rays(160, 160, FOCAL, pitch, pan, samples=samples)
    back, color = cast_room(directions, room)
    front, object_color = cast_object(directions, boxes, yaw, distance, azimuth + pan)
    hit = front < back
    image = mean_of(np.where(hit[..., None], object_color, color), samples)
    directions = rays(160, 160, FOCAL, pitch, pan)
    depth = np.minimum(cast_room(directions, room)[0], cast_object(directions, boxes, yaw, distance, azimuth + pan)[0])
    return np.uint8(image + 0.5), mean_of(hit.astype(float), samples), depth
