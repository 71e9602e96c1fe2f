"""Read a dataset from zip files of JPEG and PNG pictures, as bytes, without extracting anything.

Four sources hold `image` (the composite, fg_bg in the original), `background`, `mask` and `depth`; a label
table says which four belong together. Each source is a zip file or a folder, and several may be the same zip.

Our own layout, as `export` writes it: fg_bg.zip, bg.zip, mask.zip, depth.zip and labels.csv, whose first line
names its columns: image, background, mask, depth and more.

The 2020 project's layout (9 GB): one zip with composites, masks and data_label.txt, one with depths and
depth_label.txt, and a folder of the 100 backgrounds. The tables are separated by tabs, without a line of
names. To read it:

    both = "depth_mask_custom_dataset.zip"
    ZipDataset(folder, image=both, mask=both, background="bg", depth="depth.zip",
               labels="data_label.txt", depth_labels="depth_label.txt")

Depth pictures of 16 bits are millimetres of z-depth. Those of 8 bits, like the original's, are relative (0 to
1 is black to white, neither metres nor comparable to ours): a network trained on them predicts no metres.
"""

import csv
import os
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from ...camera import MAX_DEPTH
from ...files import AssetError
from ..tensors import checked_index, planes, resized

FIELDS = ("image", "background", "mask", "depth")
LABEL_COLUMNS = (
    "background",
    "object",
    "image",
    "mask",
    "x",
    "y",
    "width",
    "height",
)  # the original's data_label.txt
DEPTH_COLUMNS = ("batch", "image", "depth")  # and its depth_label.txt


class ZipDataset(Dataset):
    """Samples from zip files; see the top of this file for layouts.

    folder: where sources and tables lie. size: width and height of the tensors. image, background, mask,
    depth: names of zips or folders. labels: name of the table, beside the zips or in one of them.
    depth_labels: a second table that pairs images with depths. Samples are dicts as MaskDepthDataset's.
    Raises AssetError naming the zip and the member if one is damaged.
    """

    def __init__(
        self, folder, size=160, image="fg_bg.zip", background="bg.zip", mask="mask.zip", depth="depth.zip",
        labels="labels.csv", depth_labels=None,
    ):  # fmt: skip
        self.folder, self.size = Path(folder), size
        names = dict(image=image, background=background, mask=mask, depth=depth)
        shared = {name: open_source(self.folder / name) for name in set(names.values())}
        self.sources = {field: shared[name] for field, name in names.items()}
        table = self._table(labels, LABEL_COLUMNS)
        if depth_labels:
            paired = self._table(depth_labels, DEPTH_COLUMNS)
            depth_of = dict(zip(paired["image"], paired["depth"], strict=True))
            missing = [name for name in table["image"] if name not in depth_of]
            if missing:
                raise AssetError(
                    f"{depth_labels} has no depth for {len(missing)} images of {labels}, such as {missing[0]}"
                )
            table["depth"] = [depth_of[name] for name in table["image"]]
        for field in FIELDS:
            if field not in table:
                raise AssetError(f"{labels} in {self.folder} has no column {field!r}; it has {', '.join(table)}")
        # Positions instead of names: 400,000 names in every worker would fill the memory.
        self.positions = {field: self.sources[field].find(table[field]) for field in FIELDS}

    def __len__(self):
        return len(self.positions["image"])

    def __getitem__(self, index):
        index = checked_index(index, len(self))
        return stored_sample({field: self._picture(field, index) for field in FIELDS}, self.size)

    def _picture(self, field, index):
        source, position = self.sources[field], int(self.positions[field][index])
        try:
            return decode(field, source.read(position))
        except ValueError as error:
            place = f"{source.path}: member {source.name(position)}"
            raise AssetError(f"{place} is damaged: {error}. Get the file again.") from error

    def _table(self, name, columns):
        """The columns of a label table, {column: list of text}."""
        if (self.folder / name).is_file():
            text = (self.folder / name).read_text(encoding="utf-8-sig")
        else:
            holder = next((source for source in self.sources.values() if source.has(name)), None)
            if holder is None:
                raise AssetError(f"No label table {name} in {self.folder} nor in its zip files")
            text = holder.read(int(holder.find([name])[0])).decode("utf-8-sig")
        lines = [line for line in text.splitlines() if line.strip()]
        rows = list(csv.reader(lines, delimiter="\t" if lines and "\t" in lines[0] else ","))
        if rows and "image" in rows[0]:
            columns, rows = rows[0], rows[1:]
        if not rows:
            raise AssetError(f"The label table {name} in {self.folder} is empty")
        width = len(rows[0])
        uneven = next((i for i, row in enumerate(rows) if len(row) != width or width > len(columns)), None)
        if uneven is not None:
            raise AssetError(
                f"{name} in {self.folder}: row {uneven + 1} has {len(rows[uneven])} columns, expected {len(columns)}"
            )
        return {column: list(values) for column, values in zip(columns, zip(*rows, strict=True), strict=False)}


FLAGS = dict.fromkeys(("image", "background"), cv2.IMREAD_COLOR) | {
    "mask": cv2.IMREAD_GRAYSCALE, "depth": cv2.IMREAD_ANYDEPTH,  # one channel, 8 or 16 bits as stored
}  # fmt: skip


def decode(field: str, code: bytes) -> np.ndarray:
    """A picture file's pixels, RGB (H, W, 3) or (H, W). Raises ValueError if it is none."""
    array = cv2.imdecode(np.frombuffer(code, np.uint8), FLAGS[field])
    if array is None:
        raise ValueError("no picture")
    return cv2.cvtColor(array, cv2.COLOR_BGR2RGB) if array.ndim == 3 else array


def stored_sample(arrays: dict, size: int) -> dict:
    """A sample's tensors from its four stored arrays: RGB bytes, coverage bytes, depth of 16 or 8 bits."""
    depth = arrays["depth"]
    depth = depth * np.float32(0.001 / MAX_DEPTH if depth.dtype == np.uint16 else 1 / 255)
    mask = arrays["mask"] * np.float32(1 / 255)
    image, background, mask, depth = (
        resized(array, size) for array in (arrays["image"], arrays["background"], mask, depth)
    )
    return {
        "image": planes(image), "background": planes(background),
        "mask": torch.from_numpy(mask[None]), "depth": torch.from_numpy(np.minimum(depth, 1)[None]),
    }  # fmt: skip


def open_source(path):
    """A zip file or a folder of pictures. Raises AssetError if it is neither."""
    if path.is_dir():
        return FolderSource(path)
    try:
        return ZipSource(path)
    except FileNotFoundError:
        raise AssetError(f"{path} is missing: expected a zip file or a folder of pictures") from None
    except (zipfile.BadZipFile, EOFError, struct.error) as error:
        raise AssetError(
            f"{path} ({path.stat().st_size} bytes) is no complete zip file: {error}. Get it again."
        ) from error


class _Source:
    """Members by position. Names may be given without folder or ending, as the original's backgrounds are."""

    def _known(self, names):
        self._names = np.array([name.encode() for name in names], dtype=bytes)

    def _index(self):
        # from the vaguest to the exact, so that an exact name wins
        names = [(name.decode(), i) for i, name in enumerate(self._names.tolist())]
        index = {}
        for short in (lambda name: Path(name).stem, lambda name: Path(name).name, lambda name: name):
            found = {}
            for name, i in names:
                found[short(name)] = None if short(name) in found else i  # None: several members have that name
            index |= found
        return index

    def name(self, position):
        """The name of the member at a position."""
        return self._names[position].decode()

    def has(self, name):
        """Is there a member of exactly this name?"""
        return name.encode() in self._names

    def find(self, names):
        """Positions of the members with these names, int64 array."""
        index = self._index()
        try:
            positions = [index[name] for name in names]
        except KeyError as error:
            raise AssetError(f"{self.path} has no member {error.args[0]!r}, which the labels name") from None
        if None in positions:
            name = list(names)[positions.index(None)]
            raise AssetError(f"{self.path} has several members named {name!r}: the labels must name its folder, too")
        return np.array(positions, np.int64)


class ZipSource(_Source):
    """A zip file's members. One file handle for each process: a handle shared across a fork would share its
    position too."""

    def __init__(self, path):
        self.path, self._file, self._process = path, None, None
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
        self._known([m.filename for m in members])
        self._where = np.array([(m.header_offset, m.compress_size, m.compress_type, m.CRC) for m in members], np.int64)

    def __getstate__(self):
        return {**self.__dict__, "_file": None, "_process": None}  # for workers that are started, not forked

    def read(self, position):
        """The bytes of a member, checked. Raises AssetError naming zip and member if it is damaged."""
        if self._process != os.getpid():
            self._file, self._process = open(self.path, "rb"), os.getpid()
        offset, size, method, checksum = self._where[position].tolist()
        self._file.seek(offset)
        header = self._file.read(30)
        try:
            if header[:4] != b"PK\3\4":
                raise ValueError("its header is not where the zip's table says")
            skip = sum(struct.unpack("<HH", header[26:30]))  # the lengths of its name and of extra fields
            content = self._file.read(skip + size)[skip:]
            if method == zipfile.ZIP_DEFLATED:
                content = zlib.decompress(content, -15)
            elif method != zipfile.ZIP_STORED:
                raise ValueError(f"compression method {method} is not supported, only stored and deflated")
            if zlib.crc32(content) != checksum:
                raise ValueError("its checksum is wrong")
        except (ValueError, struct.error, zlib.error) as error:
            raise AssetError(
                f"{self.path}: member {self.name(position)} is damaged: {error}. Get the file again."
            ) from error
        return content


class FolderSource(_Source):
    """A folder's files."""

    def __init__(self, path):
        self.path = path
        self._known(sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()))

    def read(self, position):
        """The bytes of the file at a position."""
        return (self.path / self.name(position)).read_bytes()
