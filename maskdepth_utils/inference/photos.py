"""Your own photos: read them, and turn a prediction into pictures of their size. Used in notebook 05."""

from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ..models.networks import MINIMUM_SIZE

REFINE_FROM = 1.5  # times larger than the network's picture: below, there is hardly a finer edge to find
STEEPER = 4  # an edge enlarged bilinearly rises over 2 x factor pixels; the filter's window is half as wide
WIDEST_REFINED = 2048  # pixels; larger masks are refined at this size, since memory grows with the pixels


def read_picture(picture, name: str) -> np.ndarray:
    """An array, Pillow image or path as uint8 (H, W, 3); `name` is for messages.

    Gray becomes RGB, 16 bits become 8, transparent parts white, and a photo is turned upright as its EXIF data
    says. Raises FileNotFoundError, ValueError or TypeError, saying what was found.
    """
    if isinstance(picture, str | Path):
        picture = _open(Path(picture), name)
    if isinstance(picture, Image.Image):
        picture = np.asarray(_to_rgb(ImageOps.exif_transpose(picture), name))
    if not isinstance(picture, np.ndarray):
        raise TypeError(f"{name}: expected a uint8 array, a Pillow image or a path, found {type(picture).__name__}")
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"{name}: expected shape (H, W, 3), found {picture.shape}")
    if picture.dtype != np.uint8:
        raise ValueError(f"{name}: expected uint8 values 0 to 255, found {picture.dtype}")
    if min(picture.shape[:2]) < MINIMUM_SIZE:
        raise ValueError(f"{name}: expected at least {MINIMUM_SIZE} x {MINIMUM_SIZE} pixels, found {size_of(picture)}")
    return picture


def _open(path: Path, name: str) -> Image.Image:
    if path.is_dir():
        raise IsADirectoryError(f"{name}: {path} is a folder, expected a picture")
    if not path.is_file():
        raise FileNotFoundError(f"{name}: no such file: {path}")
    try:
        with Image.open(path) as picture:
            picture.load()  # its file can be closed after that
            return picture
    except (UnidentifiedImageError, OSError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: {path} is no picture that can be read, or damaged ({error})") from error


def _to_rgb(picture: Image.Image, name: str) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bit, or 32 bit as some versions of Pillow open a 16-bit PNG
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"{name}: expected 8 or 16 bits per colour, found values {values.min()} to {values.max()}")
        picture = Image.fromarray(np.uint8(values // 257))  # 65535 = 257 x 255
    if picture.mode == "F":  # how bright is white, nobody says
        raise ValueError(f"{name}: expected 8 or 16 bits per colour, found Pillow mode F; convert it first")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def check_sizes(image: np.ndarray, background: np.ndarray) -> None:
    """Raise ValueError unless both pictures are of one size."""
    if image.shape != background.shape:
        raise ValueError(
            "image and background: expected equal sizes, "
            f"found {size_of(image)} and {size_of(background)} (width x height)"
        )


def size_of(picture) -> str:
    """160 x 120 (width x height), as people say it."""
    return f"{picture.shape[1]} x {picture.shape[0]}"


def refine_mask(mask: np.ndarray, image: np.ndarray, background: np.ndarray, factor: float) -> np.ndarray:
    """Let an enlarged mask follow the photo's own edges. float32 (H, W) in [0, 1] in and out.

    mask: probabilities, enlarged by `factor` from the network's size, so its edges are blurred over about
    `factor` pixels; image, background: uint8 (H, W, 3). A guided filter (He, Sun and Tang 2010; kornia's)
    explains the mask in each small window as a linear function of the colours, and of how they differ from the
    background's: where these step, so does the result. The blurred edge is made steeper before, so that a window
    can hold all of it. A mask enlarged less than 1.5 times is returned as it is.
    """
    if factor < REFINE_FROM:
        return mask
    from kornia.filters import guided_blur  # here, because only large photos need it

    height, width = mask.shape
    shrink = min(1.0, WIDEST_REFINED / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small_mask, photo, empty = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (mask, image, background))
    guide = np.concatenate([photo, cv2.absdiff(photo, empty)], axis=2).astype(np.float32) / 255
    steep = np.clip((small_mask - 0.5) * STEEPER + 0.5, 0, 1)
    window = 2 * max(1, round(factor * shrink / 2)) + 1
    # Its coefficients vary slowly, so a part of the pixels is enough to find them; all of them would take gigabytes.
    # Older kornias (0.8.2, the last for Python 3.10) want sides that can be divided by that: the rims are repeated.
    part = max(1, window // 4)
    rims = 0, -size[1] % part, 0, -size[0] % part
    guide, steep = (cv2.copyMakeBorder(x, *rims, cv2.BORDER_REPLICATE) for x in (guide, steep))
    guide, steep = torch.from_numpy(guide).permute(2, 0, 1)[None], torch.from_numpy(steep)[None, None]
    refined = guided_blur(guide, steep, window, 1e-4, subsample=part)
    refined = refined[0, 0, : size[1], : size[0]].clamp(0, 1).contiguous().numpy()
    return refined if shrink == 1 else cv2.resize(refined, (width, height), interpolation=cv2.INTER_LINEAR)


def cut_out(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The object alone: uint8 (H, W, 4), the mask as alpha. Its rim keeps the colours of the photo."""
    return np.dstack([image, np.uint8(np.rint(np.clip(mask, 0, 1) * 255))])
