"""The 2020 project's own pictures: real offices and cutouts, composed as it composed them. Used in notebook 05.

They serve only as a test: no network of ours has seen them. They stay in the public repository
garima-mahato/DepthMaskDataset (Apache-2.0), and are downloaded (2 MB) when they are needed. They have no depth.
"""

import hashlib
import os
import urllib.request
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..draws import Draws
from ..files import AssetError, data_dir, open_picture, to_asset_error, write_file
from .datasets import ShotDataset
from .library import Shot
from .shots import LEVELS, draw_level, shoot
from .tensors import checked_index

ADDRESS = "https://raw.githubusercontent.com/garima-mahato/DepthMaskDataset/master/data/"
FOLDER_VARIABLE = "MASKDEPTH_OFFICE_PHOTOS"
SIZE = 160
PLACES = 4
SHADE = 0.45  # how much of the light the darkest part of the drawn shadow takes away
open_photo = lru_cache(maxsize=256)(open_picture)


def registry() -> dict[str, str]:
    """{"bg/bg001.jpg": sha256, ...}: the files that are used."""
    path = data_dir() / "office_photos.txt"
    try:
        return dict(line.split() for line in path.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise to_asset_error(path, f"is missing or damaged ({error})") from error


def office_photos(progress: bool = True) -> Path:
    """The folder with bg/ and fg/; missing files are downloaded, unless MASKDEPTH_OFFICE_PHOTOS names the folder.

    Raises AssetError if a photo cannot be obtained, or differs from the file that the course was written with.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(named or f"{cache}/maskdepth/office-photos").expanduser()
    for name, expected in tqdm(registry().items(), "office photos", leave=False, disable=not progress):
        path = folder / name
        download = not (named or path.is_file())
        source = ADDRESS + name if download else path
        try:
            content = urllib.request.urlopen(source, timeout=30).read() if download else path.read_bytes()
        except (OSError, HTTPException) as error:  # no such file; no connection, or one that was cut
            hint = f"Connect to the internet, or set {FOLDER_VARIABLE} to a folder with the project's bg/ and fg/"
            raise AssetError(f"{source} cannot be read ({error}). {hint}") from error
        if hashlib.sha256(content).hexdigest() != expected:
            problem = "is not the file that the course was written with: its sha256 differs"
            raise AssetError(f"{source} {problem}. " + ("Try again later" if download else "Delete it"))
        if download:
            write_file(path, content)
    return folder


class OfficeDataset(ShotDataset):
    """Cutouts of people and furniture, whole, on photos of empty offices: every pair, mirrored or not, at 4 places.

    Samples are like MaskDepthDataset's, but without depth. The mask is the cutout's alpha: the hand-made masks differ
    from it (IoU 0.94 on average). If the gap has contact shadows, a flat dark ellipse is drawn under the foot.
    """

    def __init__(self, gap: str = "none", seed: int = 0, folder: str | Path | None = None):
        super().__init__("office", SIZE, gap, seed)
        self.folder = str(folder or office_photos())
        self.backgrounds = [name for name in registry() if name.startswith("bg/")]
        self.cutouts = [name for name in registry() if name.startswith("fg/")]

    def __len__(self) -> int:
        return len(self.backgrounds) * len(self.cutouts) * 2 * PLACES

    def shot(self, index: int) -> Shot:
        index = checked_index(index, len(self))
        turn, pair = divmod(index, len(self.backgrounds) * len(self.cutouts))
        step, column = divmod(pair, len(self.backgrounds))
        names = self.backgrounds[column], self.cutouts[(column + step) % len(self.cutouts)]
        draws = Draws(self.seed, self.split, index)
        level = draw_level(self.gap, draws.fork("gap").fork("level"))
        background, cutout = (open_photo(f"{self.folder}/{name}", mode) for name, mode in zip(names, ("RGB", "RGBA")))
        background = background[:SIZE, :SIZE]
        if turn % 2:
            background, cutout = background[:, ::-1], cutout[:, ::-1]
        cutout = cutout[:SIZE, :SIZE]
        height, width = cutout.shape[:2]
        place = draws.fork("place")
        left = place.integer(SIZE - width + 1)
        # With the foot in the lower half, where floors are, as far as the cutout's height allows.
        top = max(0, SIZE // 2 - height)
        top += place.integer(SIZE - height - top + 1)
        image, mask = background.astype(np.float32), np.zeros((SIZE, SIZE), np.float32)
        if LEVELS[level].shadow:
            image *= _shadow(left, top, width, height)[..., None]
        here = np.s_[top : top + height, left : left + width]
        mask[here] = cutout[..., 3] / np.float32(255)
        image[here] += (cutout[..., :3] - image[here]) * mask[here][..., None]
        image, background = np.uint8(np.rint(image)), np.ascontiguousarray(background)
        image, background = shoot(image, background, level, draws.fork("gap"))
        about = {"index": index, "background": names[0], "cutout": names[1], "flip": bool(turn % 2), "gap": level}
        return Shot(image, background, mask, None, about)


def _shadow(left: int, top: int, width: int, height: int) -> np.ndarray:
    """A factor (160, 160) for the floor's light: least under the foot, soft at its rim."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) + 0.5
    along = (x - (left + width / 2)) / (0.55 * width)
    across = (y - (top + height - 0.02 * width)) / (0.12 * width)
    return 1 - np.float32(SHADE) * np.clip(1.3 - np.hypot(along, across), 0, 1)
