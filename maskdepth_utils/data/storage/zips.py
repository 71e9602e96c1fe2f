"""Samples in zip files, read as bytes without extracting anything: our own layout and the 2020 project's.

Ours is what `write_zips` writes: fg_bg.zip (the composites, JPEG), bg.zip (backgrounds, JPEG), mask.zip (coverage,
8-bit PNG), depth.zip (millimetres, 16-bit PNG) and labels.csv, which says which four pictures belong together.

The 2020 data take 9 GB: one zip with composites, masks and data_label.txt, one with depths and depth_label.txt, and a
folder of the 100 backgrounds. The tables are tab-separated and have no header line. To read them::

    both = "depth_mask_custom_dataset.zip"
    ZipDataset(folder, image=both, mask=both, background="bg", depth="depth.zip",
               labels="data_label.txt", depth_labels="depth_label.txt")
"""

import contextlib
import csv
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from ...files import AssetError, check_space, replacing
from ..shots import LEVELS
from ..tensors import checked_index, to_sample
from .codec import ENDINGS, decode, encode, to_arrays, to_shot

ZIPS = {"background": "bg.zip", "image": "fg_bg.zip", "mask": "mask.zip", "depth": "depth.zip"}
LABELS = "labels.csv"
TRIAL = 50  # samples after which the space for all of them is estimated

# The columns of the 2020 project's two tables.
LABEL_COLUMNS = ("background", "object", "image", "mask", "x", "y", "width", "height")
DEPTH_COLUMNS = ("batch", "image", "depth")


def write_zips(
    dataset: Dataset, folder: Path, indices: Sequence[int], overwrite: bool = False, progress: bool = True
) -> dict:
    """Write samples of a MaskDepthDataset or SceneDataset as zips. All files appear at the end, or none.

    With gap "none" and no recolouring a background is stored once for each view of a room, as in the original. The
    same samples make the same bytes. Returns the `folder` and the numbers of `samples` and `bytes`.

    Raises:
        FileExistsError: The folder has such files already, and `overwrite` is not set.
        WriteError: The disk is too small; the message says how much space is needed.
    """
    paths = [Path(folder) / name for name in (*ZIPS.values(), LABELS)]
    if not len(indices):
        raise ValueError("indices: expected samples to write, found none")
    with replacing(*paths, overwrite=overwrite) as parts:
        rows = []
        with contextlib.ExitStack() as stack:
            archives = {field: stack.enter_context(zipfile.ZipFile(part, "w")) for field, part in zip(ZIPS, parts)}
            for index in tqdm(indices, desc=f"export to {folder}", unit="sample", disable=not progress):
                rows.append(add_sample(archives, dataset, index))
                if len(rows) == TRIAL:
                    written = sum(part.stat().st_size for part in parts[:-1])
                    check_space(Path(folder), written / TRIAL * (len(indices) - TRIAL))
        with open(parts[-1], "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return {"folder": str(folder), "samples": len(indices), "bytes": sum(path.stat().st_size for path in paths)}


def add_sample(archives: dict[str, zipfile.ZipFile], dataset: Dataset, index: int) -> dict:
    """Add a sample to the zip files, and return its row of the label table."""
    shot = dataset.shot(index)
    about = {key: int(value) if isinstance(value, bool) else value for key, value in shot.about.items()}
    names = {field: f"{about['index']:07d}{ending}" for field, ending in ENDINGS.items()}
    if not (LEVELS[about["gap"]].exposes or dataset.own_backgrounds):  # then samples share backgrounds
        view = about.get("scene") or f"{about['room']}_view{about['view']}{'_flip' if about['flip'] else ''}"
        names["background"] = f"{view}.jpg"
    for field, array in to_arrays(shot, dataset.size).items():
        if names[field] not in archives[field].NameToInfo:
            archives[field].writestr(zipfile.ZipInfo(names[field]), encode(field, array))
    return names | about


class ZipDataset(Dataset):
    """Samples from zip files, as `MaskDepthDataset` gives them; see the top of this file for the layouts.

    A worker process needs 200 MB and 3 seconds to open a zip of 400,000 members. Raises AssetError if a file is missing
    or damaged, or if the tables do not match.

    Args:
        image, background, mask, depth: Zip files, or folders of pictures; several may be the same.
        labels: The label table, beside the zips or in one of them.
        depth_labels: A second table, which pairs images with depths.
    """

    def __init__(
        self, folder: Path, size: int = 160, image: str = "fg_bg.zip", background: str = "bg.zip",
        mask: str = "mask.zip", depth: str = "depth.zip", labels: str = LABELS, depth_labels: str | None = None,
    ):  # fmt: skip
        self.folder = Path(folder)
        self.size = size
        self.archives: dict[tuple[Path, int], zipfile.ZipFile] = {}
        sources = {"image": image, "background": background, "mask": mask, "depth": depth}
        self.sources = {field: self.folder / name for field, name in sources.items()}
        self.folders = {source for source in (self.folder, *self.sources.values()) if source.is_dir()}
        members = {source: self.list_members(source) for source in set(self.sources.values())}
        rows = self.read_table(labels, LABEL_COLUMNS, members)
        if depth_labels:
            depths = {row["image"]: row["depth"] for row in self.read_table(depth_labels, DEPTH_COLUMNS, members)}
            for row in rows:
                row["depth"] = depths.get(row["image"])
        self.names = {}
        for field, source in self.sources.items():
            names = [row.get(field) for row in rows]
            if None in names:
                raise AssetError(f"{labels} in {folder} has no {field} in row {names.index(None) + 1}")
            # An array of bytes takes a sixth of the memory of a list, and forked workers can share it.
            self.names[field] = np.array(find_members(source, members[source], names), np.bytes_)

    def __len__(self) -> int:
        return len(self.names["image"])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        index = checked_index(index, len(self))
        arrays = {}
        for field, source in self.sources.items():
            name = self.names[field][index].decode()
            try:
                arrays[field] = decode(field, self.read(source, name))
            except (ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
                raise AssetError(f"{source}: member {name} is damaged: {error}. Get the file again.") from error
        return to_sample(to_shot(arrays), self.size)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"archives": {}}  # an open file cannot be sent to another process

    def read(self, source: Path, name: str) -> bytes:
        """The bytes of one member of a zip file or folder."""
        return (source / name).read_bytes() if source in self.folders else self.open(source).read(name)

    def open(self, path: Path) -> zipfile.ZipFile:
        """Open a zip file, once per process: processes that share an open file share its position, too."""
        key = (path, os.getpid())
        if key not in self.archives:
            self.archives[key] = zipfile.ZipFile(path)
        return self.archives[key]

    def list_members(self, source: Path) -> list[str]:
        """The names of the files in a zip file or folder."""
        if source in self.folders:
            return sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
        try:
            return [name for name in self.open(source).namelist() if not name.endswith("/")]
        except (FileNotFoundError, zipfile.BadZipFile) as error:
            raise AssetError(f"{source} is missing or damaged: {error}. Get the file again.") from error

    def read_table(self, name: str, columns: Sequence[str], members: dict[Path, list[str]]) -> list[dict[str, str]]:
        """The rows of a label table; `columns` are the column names unless its first line gives them."""
        places = [self.folder] if (self.folder / name).is_file() else [key for key in members if name in members[key]]
        if not places:
            raise AssetError(f"No label table {name} in {self.folder} or in its zip files")
        text = self.read(places[0], name).decode("utf-8-sig")
        delimiter = "\t" if "\t" in text else ","
        has_names = "image" in text.partition("\n")[0].split(delimiter)
        rows = list(csv.DictReader(text.splitlines(), None if has_names else columns, delimiter=delimiter))
        if not rows:
            raise AssetError(f"The label table {name} in {self.folder} is empty")
        return rows


def find_members(source: Path, members: list[str], names: list[str]) -> list[str]:
    """The members with these names, which may lack folder and ending, as the 2020 labels' backgrounds do."""
    found = {}
    # The exact names win, as they come last.
    for shorten in (lambda name: PurePosixPath(name).stem, lambda name: PurePosixPath(name).name, str):
        short = [shorten(member) for member in members]
        counts = Counter(short)
        found |= {name: member if counts[name] == 1 else None for name, member in zip(short, members)}
    for name in names:
        if not found.get(name):
            count = "several members" if name in found else "no member"
            raise AssetError(f"{source} has {count} named {name!r}, which is in the labels")
    return [found[name] for name in names]
