"""Samples as tar shards, as the library webdataset writes and reads them, from front to back.

A sample is a run of members with one stem: 0000007.background.jpg, .depth.png, .image.jpg, .json and .mask.png.
"""

import hashlib
import itertools
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from filelock import FileLock, Timeout
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset
from tqdm import tqdm

from ...files import PART, AssetError, read_dict, replacing, write_file
from ..loading import make_loader
from ..tensors import to_sample
from .codec import ENDINGS, decode, encode, to_arrays, to_shot


def write_shards(
    dataset: Dataset, folder: Path, indices: Sequence[int], per_shard: int = 1000, workers: int = 0,
    overwrite: bool = False, progress: bool = True,
) -> dict:  # fmt: skip
    """Write samples of a MaskDepthDataset or SceneDataset as tar files of `per_shard` samples, made by `workers`.

    An interrupted export, even a killed one, continues with the missing shards when restarted. Equal samples give
    equal bytes. Returns the `folder` and the numbers of `samples`, `shards` and `bytes`.

    Raises:
        FileExistsError: The folder has shards of another export (`overwrite` deletes them if they were written here),
            or an export is writing to it.
        WriteError: The disk is full; complete shards stay.
    """
    folder = Path(folder)
    if not len(indices) or per_shard < 1:
        raise ValueError(f"expected samples, and at least 1 in a shard; found {len(indices)} and {per_shard}")
    starts = range(0, len(indices), per_shard)
    shards = {folder / f"shard-{n:06d}.tar": indices[i : i + per_shard] for n, i in enumerate(starts)}
    checksum = hashlib.sha256(np.asarray(indices, "<i8").tobytes()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".maskdepth-lock", timeout=0):  # locking empties the file, which must not be another's
            export = {"dataset": dataset.settings, "indices": checksum, "per_shard": per_shard}
            prepare_folder(folder, export | {"shards": [path.name for path in shards]}, overwrite)
            missing = {path: part for path, part in shards.items() if not path.is_file()}
            write_missing(dataset, missing, workers, progress)
    except Timeout:
        raise FileExistsError(f"{folder}: another export is writing into this folder; choose another one") from None
    size = sum(path.stat().st_size for path in shards)
    return {"folder": str(folder), "samples": len(indices), "shards": len(shards), "bytes": size}


def prepare_folder(folder: Path, export: dict, overwrite: bool) -> None:
    """Check that the folder's shards belong to this export, and remove what an interrupted one left."""
    path = folder / "shards.json"
    found = read_dict(path)
    own = [path.name, *found["shards"]] if export.keys() == found.keys() else []
    others = [] if found == export else [*folder.glob("shard-*.tar"), *folder.glob(path.name)]
    if others and not overwrite:
        raise FileExistsError(f"{folder} holds shards of another export: choose another folder, or pass overwrite=True")
    if foreign := [file for file in others if file.name not in own]:
        raise FileExistsError(f"{foreign[0]} belongs to no export of maskdepth_utils: choose another folder")
    for file in [*others, *folder.glob(f"shard*{PART}")]:
        file.unlink()
    write_file(path, json.dumps(export, indent=1).encode())


def write_missing(dataset: Dataset, shards: dict[Path, Sequence[int]], workers: int, progress: bool) -> None:
    """Write shards, {path: indices}. The workers encode pictures; only this process writes files."""
    samples = EncodedSamples(dataset, [index for part in shards.values() for index in part])
    stream = iter(make_loader(samples, batch=None, workers=workers))
    for path, indices in tqdm(shards.items(), unit="shard", disable=not progress):
        with replacing(path) as [part], open(part, "wb") as file:
            with import_webdataset().TarWriter(file, encoder=False, mtime=0) as tar:  # no time stamp: equal bytes
                for members in itertools.islice(stream, len(indices)):
                    tar.write(members)


@dataclass
class EncodedSamples(Dataset):
    """Samples as the members of a tar file."""

    dataset: Dataset
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, row: int) -> dict[str, str | bytes]:
        index = self.indices[row]
        shot = self.dataset.shot(index)
        arrays = to_arrays(shot, self.dataset.size).items()
        pictures = {field + ENDINGS[field]: encode(field, array) for field, array in arrays}
        return {"__key__": f"{index:07d}", "json": json.dumps(shot.about).encode()} | pictures


def import_webdataset() -> ModuleType:
    """The library webdataset: only shards need it, and it takes seconds to load."""
    try:
        import webdataset
    except ImportError as error:
        raise RuntimeError("tar shards need the library webdataset: pip install webdataset") from error
    return webdataset


class ShardDataset(IterableDataset):
    """The samples that `write_shards` wrote, as `MaskDepthDataset` gives them, in the order of the shards.

    Each worker of a DataLoader reads its own shards. Raises AssetError if there are none, or if one is damaged.
    """

    def __init__(self, folder: Path, size: int = 160):
        self.size = size
        self.paths = sorted(Path(folder).glob("shard-*.tar"))
        if not self.paths:
            raise AssetError(f"{folder}: no shards (shard-000000.tar ...) in this folder")

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        webdataset = import_webdataset()
        for path in webdataset.split_by_worker(self.paths):
            try:
                with open(path, "rb") as stream:
                    stream.seek(max(0, path.stat().st_size - 1024))
                    if stream.read() != bytes(1024):  # the end of a tar file; webdataset does not check it
                        raise ValueError("its end is missing")
                    stream.seek(0)
                    files = webdataset.tariterators.tar_file_expander([{"url": str(path), "stream": stream}])
                    for members in webdataset.tariterators.group_by_keys(files):
                        arrays = {field: decode(field, members[field + ending]) for field, ending in ENDINGS.items()}
                        yield to_sample(to_shot(arrays), self.size)
            except (tarfile.TarError, ValueError, KeyError, OSError) as error:
                raise AssetError(f"{path} is damaged: {error}. Export it again.") from error
