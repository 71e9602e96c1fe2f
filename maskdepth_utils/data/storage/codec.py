"""A stored sample: how a shot becomes whole numbers and encoded pictures, and how it comes back.

Zips and shards hold the pictures, .npy files the numbers. JPEG changes the photos a little; coverage and depth are
exact to half a step, which is 1/255 or a millimetre.
"""

import cv2
import numpy as np

from ...camera import MAX_DEPTH
from ..library import Shot
from ..tensors import resized

# The stored fields, in the order of a `Shot`, and the endings of their picture files.
ENDINGS = {"image": ".jpg", "background": ".jpg", "mask": ".png", "depth": ".png"}


def to_arrays(shot: Shot, size: int) -> dict[str, np.ndarray]:
    """A shot as whole numbers: RGB uint8 (size, size, 3) twice, coverage uint8 (255 is 1), millimetres uint16."""
    image, background, mask, depth = (resized(array, size) for array in shot[:4])
    return {
        "image": np.uint8(image + 0.5), "background": np.uint8(background + 0.5),
        "mask": np.uint8(mask * 255 + 0.5), "depth": np.uint16(np.clip(depth * 1000 + 0.5, 0, 65535)),
    }  # fmt: skip


def to_shot(arrays: dict[str, np.ndarray]) -> Shot:
    """Undo `to_arrays`. Depth of 8 bits, as in the 2020 project's files, is relative: 255 becomes 10 m."""
    step = 1 / 1000 if arrays["depth"].dtype == np.uint16 else MAX_DEPTH / 255
    mask, depth = arrays["mask"] * np.float32(1 / 255), arrays["depth"] * np.float32(step)
    return Shot(arrays["image"], arrays["background"], mask, depth, {})


def encode(field: str, array: np.ndarray) -> bytes:
    """One array of `to_arrays` as a picture file, JPEG of quality 95 (OpenCV's default) or PNG."""
    array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR) if array.ndim == 3 else array
    return cv2.imencode(ENDINGS[field], array)[1].tobytes()


def decode(field: str, content: bytes) -> np.ndarray:
    """The pixels of a picture file, RGB (H, W, 3) or (H, W). Raises ValueError if it is not a picture."""
    flags = cv2.IMREAD_COLOR if ENDINGS[field] == ".jpg" else cv2.IMREAD_ANYDEPTH  # the latter is gray, of 8 or 16 bits
    array = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if array is None:
        raise ValueError("not a picture")
    return cv2.cvtColor(array, cv2.COLOR_BGR2RGB) if array.ndim == 3 else array
