"""Photos of your own: reading them, and fitting a prediction to their size. Used in notebook 05."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ..models.networks import MINIMUM_SIZE

MAX_SIDE = 32_766  # pixels; OpenCV cannot move larger pictures
MAX_ASPECT = 50  # at the network's size, hardly a row of pixels is left of such a picture
Image.MAX_IMAGE_PIXELS = 150_000_000  # Pillow refuses twice as many; by default less than a phone's 200 million
MIN_REFINED_FACTOR = 1.5  # times the network's size: below, there are hardly any finer edges to find
EDGE_GAIN = 4  # an edge enlarged bilinearly rises over 2 x factor pixels, and the filter's window is half as wide
MAX_REFINED_SIDE = 2048  # pixels; larger masks are refined at this size, which limits the memory


def read_picture(picture: np.ndarray | Image.Image | str | Path | bytes, name: str) -> np.ndarray:
    """Read an array, Pillow image, path or a file's content as uint8 (H, W, 3); `name` is for messages.

    Gray becomes RGB, 16 bits become 8, transparent parts become white, and photos are turned upright as their EXIF data
    says. Raises FileNotFoundError, ValueError or TypeError.
    """
    if isinstance(picture, str | Path):
        if not Path(picture).exists():
            raise FileNotFoundError(f"{name}: no such file: {picture}")
        name += f": {picture}"
    if isinstance(picture, str | Path | bytes | Image.Image):
        picture = _decode(picture, name)
    if not isinstance(picture, np.ndarray):
        raise TypeError(f"{name}: expected a uint8 array, a Pillow image or a path, found {type(picture).__name__}")
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"{name}: expected shape (H, W, 3), found {picture.shape}")
    if picture.dtype != np.uint8:
        raise ValueError(f"{name}: expected uint8 values 0 to 255, found {picture.dtype}")
    shorter, longer = sorted(picture.shape[:2])
    if shorter < MINIMUM_SIZE or longer > min(MAX_SIDE, MAX_ASPECT * shorter):
        expected = f"sides of {MINIMUM_SIZE} to {MAX_SIDE:,} pixels, one at most {MAX_ASPECT} times the other"
        raise ValueError(f"{name}: expected {expected}; found {_size(picture)}")
    return picture


def _decode(picture: Image.Image | str | Path | bytes, name: str) -> np.ndarray:
    """Decode to RGB. Decoders may raise anything on damaged data: here it becomes a ValueError that names the file."""
    content = b""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of many pixels and of damaged metadata
            if not isinstance(picture, Image.Image):
                content = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
                picture = Image.open(io.BytesIO(content))
            is_deep = picture.mode[0] == "I" or ";16" in str(getattr(picture, "tile", ""))  # 16 bits per colour
            array = np.asarray(_to_rgb(_turn_upright(picture)))
        if is_deep and array.max() < 16:
            raise ValueError("expected 16-bit values up to 65535, found none above 4095: scale 12-bit data first")
        return array
    except Exception as error:
        reason = str(error) or type(error).__name__
        if content[4:10] in (b"ftyphe", b"ftypmi", b"ftypms"):
            reason = "it is HEIC, an iPhone's format; save it as JPEG"
        elif isinstance(error, UnidentifiedImageError):
            reason = "damaged, or in a format that Pillow does not know"
        raise ValueError(f"{name} is not a readable picture: {reason}") from error


def _turn_upright(picture: Image.Image) -> Image.Image:
    """Turn a photo as its EXIF data says, unless that is damaged."""
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except MemoryError:
        raise
    except Exception:  # from struct.error to SyntaxError
        return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode[0] in "IF":  # 16 bits, which some Pillow versions open as 32; floats have no defined white
        values = np.asarray(picture)
        if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
            found = f"Pillow mode {picture.mode}, values {values.min()} to {values.max()}"
            raise ValueError(f"expected 8 or 16 bits per colour, found {found}")
        picture = Image.fromarray(np.uint8(values // 257))  # 65535 = 257 x 255
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def check_sizes(image: np.ndarray, background: np.ndarray) -> None:
    """Raise ValueError unless both pictures have the same size."""
    if image.shape != background.shape:
        found = f"{_size(image)} and {_size(background)} (width x height)"
        raise ValueError(f"image and background: expected equal sizes, found {found}")


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"


def resize_array(array: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize an array (H, W) or (H, W, C): averaged over areas if made smaller, interpolated if made larger."""
    if array.shape[:2] == (height, width):
        return array
    smaller = width * height < array.shape[0] * array.shape[1]
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def shrink_array(array: np.ndarray, side: int) -> np.ndarray:
    """Resize an array (H, W) or (H, W, C) such that its longer side has at most `side` pixels."""
    scale = min(1.0, side / max(array.shape[:2]))
    return resize_array(array, *(max(1, round(length * scale)) for length in array.shape[1::-1]))


def refine_mask(mask: np.ndarray, image: np.ndarray, background: np.ndarray, factor: float) -> np.ndarray:
    """Let a mask, float32 (H, W), follow the photo's own edges, with a guided filter (He, Sun and Tang 2010; kornia's).

    In each small window the filter explains the mask as a linear function of the photo's colours and of their
    difference from the background's; where these step, so does the result. `factor`: by how much the mask was
    enlarged from the network's size. Below 1.5 it is returned as it is.
    """
    if factor < MIN_REFINED_FACTOR:
        return mask
    from kornia.filters import guided_blur  # here, because only large photos need it

    shrink = min(1.0, MAX_REFINED_SIDE / max(mask.shape))
    height, width = (max(1, round(side * shrink)) for side in mask.shape)
    small_mask, photo, empty = (resize_array(x, width, height) for x in (mask, image, background))
    guide = np.dstack([photo, cv2.absdiff(photo, empty)]).astype(np.float32) / 255
    steep = np.clip((small_mask - 0.5) * EDGE_GAIN + 0.5, 0, 1)  # so that a window holds all of a blurred edge
    window = 2 * max(1, round(factor * shrink / 2)) + 1
    # The coefficients vary slowly, so some of the pixels are enough to find them; all would take gigabytes. kornia
    # 0.8.2, the last for Python 3.10, needs sides that are multiples of `part`: repeat the border.
    part = max(1, window // 4)
    border = 0, -height % part, 0, -width % part
    padded = (np.atleast_3d(cv2.copyMakeBorder(x, *border, cv2.BORDER_REPLICATE)) for x in (guide, steep))
    refined = guided_blur(*(torch.from_numpy(x).permute(2, 0, 1)[None] for x in padded), window, 1e-4, subsample=part)
    refined = refined[0, 0, :height, :width].clamp(0, 1).contiguous().numpy()
    return resize_array(refined, *mask.shape[::-1])


def cut_out(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The object alone: uint8 (H, W, 4), with the mask as alpha. Its rim keeps the photo's colours."""
    return np.dstack([image, np.uint8(np.rint(np.clip(mask, 0, 1) * 255))])
