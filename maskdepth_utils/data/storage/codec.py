"""Write samples in the 2020 project's layout: zip files of pictures and a label table, which `ZipDataset`
reads back.

fg_bg.zip (composites, JPEG), bg.zip (backgrounds, JPEG), mask.zip (coverage, 8-bit PNG), depth.zip (z-depth
in millimetres, 16-bit PNG) and labels.csv. With gap "none" a background is stored once for each view of a
room, as in the original; with any other gap each sample has a shot of its own.
"""

import csv
import errno
import os
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ...files import sync_file
from ..shots import LEVELS
from ..tensors import resized

ZIPS = {"background": "bg.zip", "image": "fg_bg.zip", "mask": "mask.zip", "depth": "depth.zip"}
ENDINGS = {"background": ".jpg", "image": ".jpg", "mask": ".png", "depth": ".png"}
LABELS = "labels.csv"
TRIAL = 50  # samples after which the space that all of them need is estimated


class DiskFull(OSError):
    """Too little space for an export: how much is needed, where, and that nothing was kept."""


def export(dataset, folder, indices=None, quality=95, overwrite=False, progress=True):
    """Write samples of a MaskDepthDataset or SceneDataset -> {"folder", "samples", "bytes"}.

    indices: which samples, in this order (default: all). quality: of the JPEGs, 1 to 100. overwrite: replace
    an earlier export. Files are written beside their final names and renamed at the end, so that an
    interrupted export leaves nothing. Raises FileExistsError rather than overwrite, and OSError, saying how
    much is needed, if the disk is too small.
    """
    folder, indices = Path(folder), range(len(dataset)) if indices is None else list(indices)
    if len(indices) == 0:
        raise ValueError("nothing to export: indices is empty")
    targets = [folder / name for name in (*ZIPS.values(), LABELS)]
    present = [path.name for path in targets if path.exists()]
    if present and not overwrite:
        raise FileExistsError(
            f"{folder} already has {', '.join(present)}: choose another folder, or pass overwrite=True"
        )
    parts = [path.with_name(f".part-{path.name}") for path in targets]
    done = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        archives = {field: zipfile.ZipFile(part, "w") for field, part in zip(ZIPS, parts, strict=False)}
        rows = []
        try:
            for index in tqdm(indices, desc=f"export to {folder}", unit="sample", disable=not progress):
                rows.append(_write(archives, dataset.shot(index), dataset.size, quality))
                done += 1
                if done == TRIAL:
                    _check_trial(folder, parts, len(indices))
        finally:
            for archive in archives.values():
                archive.close()
        with open(parts[-1], "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        size = sum(part.stat().st_size for part in parts)
        for part in parts:
            sync_file(part)
        for part, target in zip(parts, targets, strict=True):
            os.replace(part, target)
    except DiskFull:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(folder, f"it was full after {done} of {len(indices)} samples") from error
        raise
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return {"folder": str(folder), "samples": done, "bytes": size}


def _write(archives, shot, size, quality):
    """Add one sample to the zip files -> its row of the label table."""
    about = shot.about
    stem = f"{about['index']:07d}"
    shared = about.get("scene") or f"{about['room']}_view{about.get('view', 0)}{'_flip' if about['flip'] else ''}"
    names = {
        "image": f"{stem}.jpg",
        "background": f"{stem if LEVELS[about['gap']].exposes else shared}.jpg",
        "mask": f"{stem}.png",
        "depth": f"{stem}.png",
    }
    new = [field for field in names if names[field] not in archives[field].NameToInfo]
    for field, code in encode(shot, size, quality, new).items():
        # A fixed date: the same samples make the same file.
        archives[field].writestr(zipfile.ZipInfo(names[field], (1980, 1, 1, 0, 0, 0)), code)
    return names | to_row(about)


def to_row(about: dict) -> dict:
    """What `describe` tells as a row of a table: truth values as 0 and 1."""
    return {key: int(value) if isinstance(value, bool) else value for key, value in about.items()}


def to_arrays(shot, size: int) -> dict[str, np.ndarray]:
    """A shot as it is stored: RGB uint8 twice, coverage uint8 (255 is 1), millimetres uint16."""
    image, background, mask, depth = (resized(array, size) for array in shot[:4])
    return {
        "image": np.uint8(image + 0.5), "background": np.uint8(background + 0.5),
        "mask": np.uint8(mask * 255 + 0.5), "depth": np.uint16(np.clip(depth * 1000 + 0.5, 0, 65535)),
    }  # fmt: skip


def encode(shot, size: int, quality: int, fields=tuple(ENDINGS)) -> dict[str, bytes]:
    """The shot's pictures as files: JPEG for the photos, PNG for mask (8 bits) and depth (16 bits, millimetres)."""
    arrays, codes = to_arrays(shot, size), {}
    for field in fields:
        array = arrays[field]
        if array.ndim == 3:
            array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
        options = [cv2.IMWRITE_JPEG_QUALITY, quality] if ENDINGS[field] == ".jpg" else []
        codes[field] = cv2.imencode(ENDINGS[field], array, options)[1].tobytes()
    return codes


def _check_trial(folder, parts, total):
    """Raise at once if all samples will not fit: better than after hours."""
    written = sum(part.stat().st_size for part in parts if part.exists())
    check_space(folder, total, written / TRIAL * total, shutil.disk_usage(folder).free + written)


def check_space(folder, total: int, needed: float, free: float) -> None:
    """Raise DiskFull if `total` samples of `needed` bytes do not fit into `free` bytes."""
    if needed > free:
        raise _no_space(folder, f"{total} samples need about {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free")


def _no_space(folder, why):
    hint = "Nothing was kept. Export fewer samples, or to another disk."
    return DiskFull(errno.ENOSPC, f"Not enough disk space in {folder}: {why}. {hint}")
