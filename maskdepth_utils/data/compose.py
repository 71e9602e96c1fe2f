"""Stand an object's cutout in a room: image, mask and exact depth."""

import cv2
import numpy as np

from ..camera import EYE_HEIGHT
from ..draws import Draws
from .library import Cutout, Room, Shot
from .projection import CAMERA_MATRIX, Projection, bounds, crop_to_image, project_corners, project_cutout, resample


def _srgb_tables() -> tuple[np.ndarray, np.ndarray]:
    """sRGB bytes -> light from 0 to 1, float32 (256,), and back from light in 4095 steps, uint8 (IEC 61966-2-1)."""
    byte, light = np.arange(256) / 255, np.arange(4096) / 4095
    linear = np.where(byte <= 0.04045, byte / 12.92, ((byte + 0.055) / 1.055) ** 2.4)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return linear.astype(np.float32), np.uint8(np.rint(255 * srgb))


# how `zoom` interpolates
ZOOMED = {name: cv2.INTER_LINEAR for name in ("image", "background", "mask")} | {"depth": cv2.INTER_NEAREST}
OVEREXPOSED = 250  # a pixel of at least this sRGB value in all channels shows a lamp or a window
TO_LINEAR, TO_SRGB = _srgb_tables()


def compose(
    room: Room, cutout: Cutout, distance: float, azimuth: float, flip: bool = False, shadow: float = 1.0,
    gain: float = 1.0, gloss: float = 0.0, linear: bool = False, colors: np.ndarray | None = None,
    light: np.ndarray | None = None, projection: Projection | None = None,
) -> Shot:  # fmt: skip
    """Place `cutout` in `room` without checking whether it fits there; `placement` checks that.

    The caller may change the arrays of the result; its `about` has `inside` and `visible`, as in `Projection`. The
    depth is the object's where mask > 0.5.

    Args:
        distance, azimuth: As in `Projection`.
        flip: Mirror the finished composite, with its background, mask and depth.
        shadow: Strength of the rendered contact shadow, 0 (none) to 1.
        gain: Factor on the object's colours, to match the room's light.
        gloss: How much of the object the floor mirrors, 0 to 1.
        linear: Mix object and room at the outline in linear light, as a lens does, instead of in sRGB values.
        colors: A 3x3 matrix that mixes the object's colours.
        light: A factor on the room's colours, float32 (160, 160): the shadows that lamps cast (`shadows.light_factor`).
        projection: The object's `project_cutout`, if the caller has it already.
    """
    matrix = gain * (np.eye(3) if colors is None else colors)
    projection = projection or project_cutout(room, cutout, distance, azimuth)
    image, mask, depth, part = room.image.copy(), projection.mask, room.depth, projection.part
    if shadow:
        _cast_shadow(image, room.floor, projection, shadow)
    if light is not None:
        # Lamps and windows in the picture emit light themselves: no shadow falls on them.
        light = np.where(cv2.inRange(image, (OVEREXPOSED,) * 3, (255,) * 3), np.float32(1), light)
        image = cv2.multiply(image, cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)
    if gloss:
        _mirror(image, room.floor, projection, matrix, gloss)
    if projection.inside:
        _blend(image[part], projection.color, matrix, linear=linear)
        depth[part] = np.where(mask[part] > 0.5, projection.depth, depth[part])
    arrays = image, room.image.copy(), mask, depth
    if flip:
        arrays = (cv2.flip(array, 1) for array in arrays)
    return Shot(*arrays, {"inside": projection.inside, "visible": projection.visible})


def zoom(composite: Shot, draws: Draws) -> Shot:
    """Enlarge a random part of three composites in four, as a lens that is up to 1 / 0.7 times as long would show it.

    The canonical camera would see the same picture in a room that is compressed along the line of sight, so depth
    shrinks by as much: the floor stays where the network expects it. At least half of the mask stays in the picture.
    Along the outline, the depth is that of the nearest pixel before, which may lie on the other side.
    """
    size, share = composite.mask.shape[0], draws.uniform(0.7, 1.0)
    left, top = (size * (1 - share) * draws.uniform(0.2, 0.8) for _ in range(2))
    if draws.uniform() >= 0.75:
        return composite
    scale = 1 / share
    # A pixel's centre lies half a pixel from its corner: x' + 1/2 = scale (x + 1/2 - left).
    matrix = np.array([[scale, 0, scale * (0.5 - left) - 0.5], [0, scale, scale * (0.5 - top) - 0.5]])
    parts = {
        name: cv2.warpAffine(getattr(composite, name), matrix, (size, size), None, flags, cv2.BORDER_REPLICATE)
        for name, flags in ZOOMED.items()
    }
    if parts["mask"].sum() * share**2 < 0.5 * composite.mask.sum():
        return composite
    return composite._replace(**parts | {"depth": parts["depth"] * np.float32(share)})


def _blend(image: np.ndarray, color: np.ndarray, matrix: np.ndarray, share: float = 1.0, linear: bool = False) -> None:
    """Blend `share` of premultiplied RGBA `color` times the matrix over the image, in place; as light if `linear`."""
    # OpenCV mixes three channels with one several times as fast as NumPy's broadcasting.
    alpha = cv2.cvtColor(color[..., 3] * np.float32(1 / 255), cv2.COLOR_GRAY2RGB)
    paint = cv2.cvtColor(color, cv2.COLOR_RGBA2RGB).astype(np.float32)
    if not np.array_equal(matrix, np.eye(3)):
        paint = cv2.transform(paint, np.float32(matrix))
        paint = np.minimum(np.maximum(paint, 0), 255 * alpha)  # premultiplied: white equals alpha
    if share != 1:
        alpha, paint = alpha * np.float32(share), paint * np.float32(share)
    if linear:
        straight = np.uint8(paint / np.maximum(alpha, np.float32(1 / 255)) + np.float32(0.5))
        light = TO_LINEAR[image] * (1 - alpha) + TO_LINEAR[straight] * alpha
        image[:] = TO_SRGB[np.uint16(light * (len(TO_SRGB) - 1) + np.float32(0.5))]
    else:
        image[:] = cv2.add(image * (1 - alpha), paint, dtype=cv2.CV_8U)  # rounds


def _mirror(image: np.ndarray, floor: np.ndarray, projection: Projection, matrix: np.ndarray, gloss: float) -> None:
    """Blend the object's mirror image into the floor (only the floor) of `image`, in place."""
    pose = projection.cutout, projection.rotation, projection.distance
    window = bounds(project_corners(*pose, mirrored=True))
    crop, part = crop_to_image(window)
    # Blurred a little: no floor is a mirror, and at the outline the search for the relief does not always converge.
    color = cv2.blur(resample(*pose, window, mirrored=True)[0], (3, 3))[crop]
    if color.size:
        color[~floor[part]] = 0
        _blend(image[part], color, matrix, gloss)


def _cast_shadow(image: np.ndarray, floor: np.ndarray, projection: Projection, strength: float) -> None:
    """Darken the floor (only the floor) of `image` with the cutout's shadow picture, in place."""
    cutout = projection.cutout
    step, away = cutout.shadow_step, projection.distance - cutout.distance
    x, y, f = cutout.shadow_x0 + step / 2, cutout.shadow_y0 + step / 2, cutout.focal
    ray = np.array([[step / f, 0, x / f], [0, step / f, y / f], [0, 0, 1]])  # from pixel index to ray
    # A ray meets the floor at depth 1.5 / (y / f). Pushing that point back by `away` is linear in the ray.
    push = np.array([[1, 0, 0], [0, 1, 0], [0, away / EYE_HEIGHT, 1]])
    homography = CAMERA_MATRIX @ projection.rotation @ push @ ray
    bottom, right = np.array(cutout.shadow.shape) - 0.5
    corners = np.array([[-0.5, right, -0.5, right], [-0.5, -0.5, bottom, bottom], [1, 1, 1, 1]])
    _, part = crop_to_image(bounds(homography @ corners))
    height, width = image[part].shape[:2]
    if height and width:
        move = np.array([[1, 0, -part[1].start], [0, 1, -part[0].start], [0, 0, 1]])
        shadow = cv2.warpPerspective(cutout.shadow, move @ homography, (width, height), borderValue=255)
        factor = shadow.astype(np.float32) * np.float32(strength / 255) + np.float32(1 - strength)
        factor = np.where(floor[part], factor, np.float32(1))
        image[part] = cv2.multiply(image[part], cv2.cvtColor(factor, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)
