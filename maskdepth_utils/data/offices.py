"""The 2020 project's own pictures: real offices and cutouts, composed as it composed them. Used in notebook 05.

They are a test and nothing else: no network of ours has seen them. They stay where they are, in the public
repository garima-mahato/DepthMaskDataset (Apache-2.0), and are fetched from there when somebody asks; what
data/office_photos.txt does not list, or lists with another checksum, is not used. There is no depth.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ..draws import Draws
from ..files import AssetError, data_dir, open_picture
from .shots import LEVELS, check_gap, draw_level, shoot
from .tensors import checked_index, planes

ADDRESS = "https://raw.githubusercontent.com/garima-mahato/DepthMaskDataset/master/data/"
FOLDER_VARIABLE = "MASKDEPTH_OFFICE_PHOTOS"
SIZE = 160
PLACES = 4
SHADE = 0.45  # how much the darkest part of the drawn shadow takes away under `tripod` and `handheld`


def registry() -> dict[str, str]:
    """{"bg/bg001.jpg": sha256, ...}: the files that are used."""
    path = data_dir() / "office_photos.txt"
    try:
        return dict(line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise AssetError(f"{path}: missing or damaged ({error}). Restore it: git checkout {path}") from error


def office_photos(progress: bool = True) -> Path:
    """The folder with bg/, fg/ and fg_mask/, every file's checksum verified; downloaded (2 MB) if need be.

    The environment's MASKDEPTH_OFFICE_PHOTOS names a folder that has them already. Raises AssetError, saying
    what to do, if they cannot be had or are other files than the course was written with.
    """
    import pooch

    files, named = registry(), os.environ.get(FOLDER_VARIABLE)
    if named:
        named = os.path.expanduser(named)
        for name, expected in files.items():
            path = Path(named) / name
            if not path.is_file():
                raise AssetError(f"{path} is missing, though {FOLDER_VARIABLE} says the office photos are in {named}")
            if pooch.file_hash(str(path)) != expected:
                raise AssetError(f"{path} is not the file that the course was written with: its sha256 differs")
        return Path(named)
    cache = pooch.os_cache("maskdepth") / "office-photos"
    fetcher = pooch.create(path=cache, base_url=ADDRESS, registry=files, retry_if_failed=1)
    pooch.get_logger().setLevel("WARNING")
    for number, name in enumerate(files):
        try:
            fetcher.fetch(name)
        except Exception as error:  # requests' own errors, and ValueError for a wrong checksum
            raise AssetError(
                f"{ADDRESS}{name} could not be downloaded ({type(error).__name__}: {error}). Connect to the internet, "
                f"or set {FOLDER_VARIABLE} to a folder with the project's bg/, fg/ and fg_mask/"
            ) from error
        if progress and number % 30 == 0:
            print(f"office photos: {number} of {len(files)} files", flush=True)
    return cache


@lru_cache(maxsize=256)
def _picture(path: str, mode: str):
    return open_picture(path, mode)


class OfficeDataset(Dataset):
    """Cutouts of people and furniture, whole, on photos of empty offices: every pair, mirrored or not, at 4 places.

    Samples {"image", "background": (3, 160, 160), "mask": (1, 160, 160)}, float32 in [0, 1]; no depth. The
    mask is the cutout's alpha: the hand-made masks differ from it (IoU 0.94 on average). gap as in
    `MaskDepthDataset`; a cutout has no contact shadow, so with a gap one is drawn: a flat dark ellipse under
    its foot. folder: as `office_photos` returns it, which is asked if none is given.
    """

    def __init__(self, gap="none", seed=0, folder=None):
        check_gap(gap)
        Draws(seed, "office", 0)  # refuses a bad seed here and now, not in a worker
        self.folder, self.gap, self.seed, self.size = str(folder or office_photos()), gap, seed, SIZE
        names = [name for name in registry() if (Path(self.folder) / name).is_file()]
        self.backgrounds = [name for name in names if name.startswith("bg/")]
        self.cutouts = [name for name in names if name.startswith("fg/")]
        if not (self.backgrounds and self.cutouts):
            raise AssetError(f"{self.folder}: expected the office photos in bg/ and fg/, found none")

    @property
    def settings(self) -> dict:
        """What decides the samples, as plain values."""
        return {"class": type(self).__name__, "size": self.size, "gap": self.gap, "seed": self.seed}

    def __len__(self):
        return len(self.backgrounds) * len(self.cutouts) * 2 * PLACES

    def compose(self, index):
        """(image, background) uint8 (160, 160, 3), mask float32 (160, 160), and what was drawn."""
        index = checked_index(index, len(self))
        turn, pair = divmod(index, len(self.backgrounds) * len(self.cutouts))
        step, column = divmod(pair, len(self.backgrounds))
        name, other = self.backgrounds[column], self.cutouts[(column + step) % len(self.cutouts)]
        draws = Draws(self.seed, "office", index)
        gap = draw_level(self.gap, draws.fork("gap").fork("level"))
        background, cutout = _picture(f"{self.folder}/{name}", "RGB"), _picture(f"{self.folder}/{other}", "RGBA")
        background = background[:SIZE, :SIZE]
        if turn % 2:
            background, cutout = background[:, ::-1], cutout[:, ::-1]
        cutout = cutout[:SIZE, :SIZE]
        height, width = cutout.shape[:2]
        place = draws.fork("place")
        left = place.integer(SIZE - width + 1)
        # With the foot in the lower half, where floors are, as far as the cutout's height lets it.
        top = max(0, SIZE // 2 - height)
        top += place.integer(SIZE - height - top + 1)
        image, mask = background.astype(np.float32), np.zeros((SIZE, SIZE), np.float32)
        if LEVELS[gap].shadow:
            image *= _shadow(left, top, width, height)[..., None]
        here = np.s_[top : top + height, left : left + width]
        mask[here] = cutout[..., 3] / np.float32(255)
        image[here] += (cutout[..., :3] - image[here]) * mask[here][..., None]
        image = np.uint8(np.rint(image))
        image, background = shoot(image, np.ascontiguousarray(background), gap, draws.fork("gap"))
        about = {"index": index, "background": name, "cutout": other, "flip": bool(turn % 2), "gap": gap}
        return image, background, mask, about

    def __getitem__(self, index):
        image, background, mask, _ = self.compose(index)
        return {"image": planes(image), "background": planes(background), "mask": torch.from_numpy(mask[None])}

    def describe(self, index):
        """What sample `index` shows: background, cutout (file names), flip and gap."""
        return self.compose(index)[3]


def _shadow(left, top, width, height):
    """A factor (160, 160) for the floor's light: least under the foot, soft at its rim."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) + 0.5
    along = (x - (left + width / 2)) / (0.55 * width)
    across = (y - (top + height - 0.02 * width)) / (0.12 * width)
    return 1 - np.float32(SHADE) * np.clip(1.3 - np.hypot(along, across), 0, 1)
