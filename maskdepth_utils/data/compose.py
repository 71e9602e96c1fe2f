"""Stand an object's cutout in a room: image, mask and exact depth. Pure NumPy, with OpenCV for the
resampling.

A cutout was rendered by a level camera facing its floor anchor from distance D. Its relief r tells how much
farther than the anchor each pixel is, so a pixel at (x, y) from the principal point shows the point (x / f, y
/ f, 1) (D + r). To stand the object at distance d and azimuth a of a room's camera, each point is pushed back
by d - D, then turned into the camera's frame:

    R ((x / f) (D + r), (y / f) (D + r), d + r)        R = Rx(pitch) Ry(azimuth)

What the cutout's camera could not see stays unknown, and what the room's camera should not see may show:
hence several distances D, of which the nearest is taken. Notebook 01 does this step by step, in its simple
form for r = 0, which is a homography.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..camera import EYE_HEIGHT, FOCAL, IMAGE_SIZE, camera_rotation
from .library import Cutout, Room

OVERLAP = 0.05  # metres that the room must be nearer to hide an object: more than the relief's error
LOOKS = 3  # at the relief: 1 leaves a large sofa's mask at IoU 0.986 to a direct render, 3 at 0.996
SUPERSAMPLE_BELOW = 0.75  # bilinear sampling at a smaller scale would skip pixels of the cutout
CENTER = IMAGE_SIZE / 2 - 0.5  # the principal point, as a pixel index
PROJECTION = np.array([[FOCAL, 0, CENTER], [0, FOCAL, CENTER], [0, 0, 1]])  # from camera frame to pixel index


def _srgb_tables():
    """sRGB bytes -> light from 0 to 1, float32 (256,), and back from light in 4095 steps, uint8 (4096,).

    After IEC 61966-2-1; so many steps bring each of the 256 bytes back to itself."""
    byte, light = np.arange(256) / 255, np.arange(4096) / 4095
    linear = np.where(byte <= 0.04045, byte / 12.92, ((byte + 0.055) / 1.055) ** 2.4)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return linear.astype(np.float32), np.uint8(np.rint(255 * srgb))


TO_LINEAR, TO_SRGB = _srgb_tables()


@dataclass(frozen=True)
class Composite:
    """A cutout in a room. Arrays are (160, 160, ...) and the caller's own."""

    image: np.ndarray  # uint8 RGB
    background: np.ndarray  # uint8 RGB, the empty room
    mask: np.ndarray  # float32, soft coverage by the object, 0 to 1
    depth: np.ndarray  # float32, z-depth, metres; the object's where mask > 0.5
    inside: float  # share of the object's area that lies inside the image
    visible: float  # share of the part inside that nothing in the room hides


def compose(
    room: Room, cutout: Cutout, distance, azimuth, flip=False, shadow=True, gain=1.0, gloss=0.0, linear=False
):  # fmt: skip
    """Stand `cutout` in `room` at horizontal `distance` (metres) and `azimuth` (degrees, right of the
    camera's heading) -> Composite.

    flip mirrors the finished composite, with its background, mask and depth. shadow: False for none, True for
    the rendered contact shadow, or its strength from 0 to 1. gain multiplies the object's colours, to match
    the room's light; a 3x3 matrix mixes them. gloss: how much of the object the floor mirrors, from 0 to 1.
    linear: mix object and room at the outline as light, as a lens does, and not as sRGB values, as pasting does:
    half a black leg before a white wall is then 188 of 255, and not 128.
    Whether the object fits there is not looked at: see place.py.
    """
    rotation = camera_rotation(room.pitch, azimuth)
    image, depth, mask = room.image.copy(), room.depth, np.zeros(room.depth_mm.shape, np.float32)
    floor = room.floor
    if shadow:
        _cast_shadow(image, floor, cutout, rotation, distance, float(shadow))
    if gloss:
        _mirror(image, floor, cutout, rotation, distance, gain, float(gloss))
    inside, visible = _paste(image, mask, depth, floor, cutout, rotation, distance, gain, linear)
    background = room.image if flip else room.image.copy()
    arrays = image, background, mask, depth
    return Composite(*(cv2.flip(array, 1) if flip else array for array in arrays), inside, visible)


def nearest_distance(distances, distance):
    """Index of the cutout distance that is nearest to `distance` in ratio: the one whose camera saw the most
    alike."""
    return min(range(len(distances)), key=lambda i: abs(math.log(distances[i] / distance)))


def _paste(image, mask, depth, floor, cutout, rotation, distance, gain, linear):
    """Paint the object into image, mask and depth, in place -> (share inside the image, share of it visible)."""
    window = _bounds(_corners(cutout, rotation, distance))
    scale = (FOCAL / distance) / (cutout.focal / cutout.distance)
    color, relief, toward = _resample(cutout, rotation, distance, window, 2 if scale < SUPERSAMPLE_BELOW else 1)
    whole = int(cv2.sumElems(color)[3])  # the object's area, inside the image or not
    part, (x0, y0, x1, y1) = _crop(window)
    color, here = color[part], np.s_[y0:y1, x0:x1]
    inside = int(cv2.sumElems(color)[3]) if color.size else 0
    if inside == 0:
        return 0.0, 0.0
    # In the cutout's frame a pixel's ray p is R^T p; its point with depth d + r there has z = (d + r) / (R^T p)_z.
    z = (relief[part] + np.float32(distance)) / toward[part]

    behind = depth[here]
    hidden = (behind < z - np.float32(OVERLAP)) & ~floor[here]  # the floor cannot hide what stands on it
    if hidden.any():
        color[hidden] = 0
    alpha = color[..., 3] * np.float32(1 / 255)
    _blend(image, here, alpha, color, gain, linear=linear)
    mask[here] = alpha
    depth[here] = np.where(alpha > 0.5, z, behind)
    return inside / whole, 255 * float(alpha.sum(dtype=np.float64)) / inside


def _blend(image, here, alpha, color, gain, share=1.0, linear=False):
    """Blend premultiplied RGBA `color` times gain over image[here], with `share` of its opacity alpha, in place; as
    light, if linear."""
    # OpenCV mixes three channels with one several times as fast as NumPy's broadcasting
    opacity, paint = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB), cv2.cvtColor(color, cv2.COLOR_RGBA2RGB)
    paint = paint.astype(np.float32)
    if np.ndim(gain) or gain != 1:
        paint = cv2.transform(paint, np.float32(gain * np.eye(3) if np.ndim(gain) == 0 else gain))
        paint = np.minimum(np.maximum(paint, 0), 255 * opacity)  # premultiplied: white is as large as alpha
    if share != 1:
        opacity, paint = opacity * np.float32(share), paint * np.float32(share)
    if linear:
        straight = np.uint8(paint / np.maximum(opacity, np.float32(1 / 255)) + np.float32(0.5))
        light = TO_LINEAR[image[here]] * (1 - opacity) + TO_LINEAR[straight] * opacity
        image[here] = TO_SRGB[np.uint16(light * (len(TO_SRGB) - 1) + np.float32(0.5))]
        return
    image[here] = cv2.add(image[here] * (1 - opacity), paint, dtype=cv2.CV_8U)  # rounds


def _mirror(image, floor, cutout, rotation, distance, gain, gloss):
    """Blend the object's mirror image into the floor (only the floor) of `image`, in place: a little blurred, as no
    floor is a mirror, and as the search for the relief does not settle everywhere at the outline."""
    window = _bounds(_corners(cutout, rotation, distance, mirrored=True))
    color = cv2.blur(_resample(cutout, rotation, distance, window, 1, mirrored=True)[0], (3, 3))
    part, (x0, y0, x1, y1) = _crop(window)
    color, here = color[part], np.s_[y0:y1, x0:x1]
    if color.size:
        color[~floor[here]] = 0
        _blend(image, here, color[..., 3] * np.float32(1 / 255), color, gain, gloss)


def _resample(cutout, rotation, distance, window, oversample, mirrored=False):
    """The cutout as the room's camera sees it, or its mirror image in the floor, in the window (x0, y0, x1, y1).

    Returns colour (premultiplied RGBA uint8), relief (float32 metres) and (R^T p)_z for each pixel's ray p.
    To know which cutout pixel to fetch one must know the relief there: look it up as if it were 0, then where
    that relief points to, and again: a fixed-point iteration. Mirror images, which get blurred, are never oversampled.
    """
    x, y, toward = _rays(rotation, window, 1)
    pictured, relief = cutout.relief, np.float32(0)
    for _ in range(LOOKS + 1):
        scale = _scale(relief, cutout, distance)
        seen = _floor_slope(relief, distance) - y if mirrored else y
        relief = _fetch(pictured, x, seen, scale, cutout)
    if oversample > 1:
        size = oversample * (window[2] - window[0]), oversample * (window[3] - window[1])
        x, y, _ = _rays(rotation, window, oversample)
        scale, seen = cv2.resize(scale, size, interpolation=cv2.INTER_NEAREST), y
    color = _fetch(cutout.premultiplied, x, seen, scale, cutout)
    if oversample > 1:
        color = cv2.resize(color, toward.shape[::-1], interpolation=cv2.INTER_AREA)
    return color, relief, toward


def _rays(rotation, window, oversample):
    """Slopes x / z and y / z of the window's pixels' rays in the cutout's frame, and z = (R^T p)_z: float32 (h, w)."""
    x0, y0, x1, y1 = window
    column = (np.arange(oversample * (x1 - x0)) + 0.5) / oversample + (x0 - 0.5 - CENTER)
    row = (np.arange(oversample * (y1 - y0)) + 0.5) / oversample + (y0 - 0.5 - CENTER)
    column, row = (column / FOCAL).astype(np.float32), (row / FOCAL).astype(np.float32)[:, None]
    m = rotation.astype(np.float32)  # R^T p: columns of R
    z = column * m[0, 2] + (row * m[1, 2] + m[2, 2])
    inverse = 1 / z
    x = column * m[0, 0] + (row * m[1, 0] + m[2, 0])
    x *= inverse
    y = (row * m[1, 1] + m[2, 1]) * inverse  # m[0, 1] is 0: the cameras' x axes are both level
    return x, y, z


def _floor_slope(relief, distance):
    """Twice the slope y / z at which the floor lies there: a point h above it, and its mirror image h below, have
    slopes that add up to this."""
    return np.float32(2 * EYE_HEIGHT) / (relief + np.float32(distance))


def _scale(relief, cutout, distance):
    """Cutout pixels per unit of slope: f (d + r) / (D + r), from the projection of the same point by both
    cameras."""
    return (relief + np.float32(distance)) * np.float32(cutout.focal) / (relief + np.float32(cutout.distance))


def _fetch(picture, x, y, scale, cutout):
    """The cutout's picture at the slopes x, y times scale: colours bilinear, the relief nearest."""
    x = x * scale
    y = y * scale
    x -= np.float32(cutout.x0 + 0.5)
    y -= np.float32(cutout.y0 + 0.5)
    if picture.ndim == 3:
        return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return cv2.remap(picture, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def _cast_shadow(image, floor, cutout, rotation, distance, strength):
    """Darken the floor (only the floor) of `image` by the cutout's shadow picture."""
    step, away = cutout.shadow_step, distance - cutout.distance
    x, y, f = cutout.shadow_x0 + step / 2, cutout.shadow_y0 + step / 2, cutout.focal
    ray = np.array([[step / f, 0, x / f], [0, step / f, y / f], [0, 0, 1]])  # from pixel index to ray
    # A ray meets the floor at depth 1.5 / (y / f). Pushing that point back by `away` is linear in the ray: a
    # homography.
    push = np.array([[1, 0, 0], [0, 1, 0], [0, away / EYE_HEIGHT, 1]])
    homography = PROJECTION @ rotation @ push @ ray
    bottom, right = cutout.shadow.shape[0] - 0.5, cutout.shadow.shape[1] - 0.5
    corners = np.array([[-0.5, right, -0.5, right], [-0.5, -0.5, bottom, bottom], [1, 1, 1, 1]])
    _, (x0, y0, x1, y1) = _crop(_bounds(homography @ corners))
    if x0 >= x1 or y0 >= y1:
        return
    move = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]])
    factor = cv2.warpPerspective(cutout.shadow, move @ homography, (x1 - x0, y1 - y0), borderValue=255).astype(
        np.float32
    )
    here = np.s_[y0:y1, x0:x1]
    factor *= np.float32(strength / 255)
    factor += np.float32(1 - strength)
    factor = np.where(floor[here], factor, np.float32(1))
    image[here] = cv2.multiply(image[here], cv2.cvtColor(factor, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)


def _corners(cutout, rotation, distance, mirrored=False):
    """Projected points (3, 8) around the object, or its mirror image in the floor, in the image or not."""
    height, width = cutout.relief_code.shape
    x, y = np.array([0, width, 0, width]) + cutout.x0, np.array([0, 0, height, height]) + cutout.y0
    relief = np.float32(cutout.relief_range)[:, None]
    scale, rays = _scale(relief, cutout, distance), np.ones((3, 2, 4))
    rays[0], rays[1] = x / scale, y / scale
    if mirrored:
        rays[1] = _floor_slope(relief, distance) - rays[1]
    return PROJECTION @ rotation @ rays.reshape(3, 8)


def _bounds(points):
    """The smallest window (x0, y0, x1, y1) of pixels around projected points (3, N); all the image if one is
    behind the camera."""
    x, y, z = points.tolist()  # of so few numbers Python itself finds the extremes sooner than NumPy
    if min(z) <= 0:
        return 0, 0, IMAGE_SIZE, IMAGE_SIZE
    x, y = [a / c for a, c in zip(x, z, strict=True)], [b / c for b, c in zip(y, z, strict=True)]
    return math.floor(min(x)), math.floor(min(y)), math.ceil(max(x)) + 1, math.ceil(max(y)) + 1


def _crop(window):
    """The slices that cut an array of the window's size to the image, and the window cut so."""
    x0, y0, x1, y1 = window
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, IMAGE_SIZE), min(y1, IMAGE_SIZE)
    return np.s_[top - y0 : max(bottom - y0, 0), left - x0 : max(right - x0, 0)], (left, top, right, bottom)
