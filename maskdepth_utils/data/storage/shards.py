"""Samples as tar shards, as the library webdataset writes and reads them, from front to back. Used in notebook 06.

A sample is a run of members with one stem: 0000007.background.jpg, .depth.png, .image.jpg, .json and .mask.png.
"""

import functools
import hashlib
import json
import multiprocessing
import os
import tarfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from filelock import FileLock, Timeout
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset
from tqdm import tqdm

from ...files import AssetError, WriteError, replacing, write_file
from ..tensors import to_sample
from .codec import ENDINGS, decode, encode, to_arrays, to_shot


def write_shards(
    dataset: Dataset, folder: Path, indices: Sequence[int], per_shard: int = 1000, quality: int = 95,
    workers: int = 1, overwrite: bool = False, progress: bool = True,
) -> dict:  # fmt: skip
    """Write samples of a MaskDepthDataset or SceneDataset as tar files of `per_shard` samples, in `workers` processes.

    An interrupted export, even a killed one, goes on with the missing shards when it is started again. The same
    samples make the same bytes.

    Returns:
        The `folder`, the numbers of `samples` and `shards`, and the `bytes` of the shards.

    Raises:
        FileExistsError: The folder has shards of another export, and `overwrite` is not set; or another export is
            writing into it.
        WriteError: The disk is full; complete shards stay.
    """
    folder = Path(folder)
    if not indices or per_shard < 1:
        raise ValueError(f"expected samples and at least one in a shard, found {len(indices)} and {per_shard}")
    starts = range(0, len(indices), per_shard)
    shards = {folder / f"shard-{n:06d}.tar": indices[i : i + per_shard] for n, i in enumerate(starts)}
    checksum = hashlib.sha256(np.asarray(indices, "<i8").tobytes()).hexdigest()
    export = {"dataset": dataset.settings, "indices": checksum, "per_shard": per_shard, "quality": quality}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            prepare_folder(folder, export, overwrite)
            missing = {path: part for path, part in shards.items() if not path.is_file()}
            with tqdm(total=len(shards), initial=len(shards) - len(missing), unit="shard", disable=not progress) as bar:
                for _ in write_missing(dataset, missing, quality, workers):
                    bar.update()
    except Timeout:
        raise FileExistsError(f"{folder}: another export is writing into this folder; choose another one") from None
    except WriteError as error:
        complete = f"{sum(path.is_file() for path in shards)} of {len(shards)} shards are complete"
        raise WriteError(error.errno, f"{error}. {complete}; to go on, make room and export again") from error
    size = sum(path.stat().st_size for path in shards)
    return {"folder": str(folder), "samples": len(indices), "shards": len(shards), "bytes": size}


def prepare_folder(folder: Path, export: dict, overwrite: bool) -> None:
    """Check that the folder's shards belong to this export, and remove what an interrupted one left."""
    path = folder / "shards.json"
    found = json.loads(path.read_text(encoding="utf8")) if path.is_file() else None
    others = [] if found == export else list(folder.glob("shard-*.tar"))
    if others and not overwrite:
        raise FileExistsError(f"{folder} holds shards of another export ({found}): choose another folder, or overwrite")
    for file in [*others, *folder.glob("*.part")]:
        file.unlink()
    write_file(path, json.dumps(export, indent=1).encode())


def write_missing(dataset: Dataset, shards: dict[Path, Sequence[int]], quality: int, workers: int) -> Iterator[None]:
    """Write shards, {path: indices}, in one process or several, and yield after each."""
    write = functools.partial(write_shard, dataset, quality)
    if workers < 2:
        yield from map(write, shards, shards.values())
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process that has PyTorch's threads may hang
    with ProcessPoolExecutor(workers, context, initializer=start_writer) as pool:
        yield from pool.map(write, shards, shards.values())


def start_writer() -> None:
    """In a worker process: use one thread, and end together with the process that started it.

    If that process is killed, ProcessPoolExecutor leaves its workers waiting for work for ever. (multiprocessing.Pool
    does not, but it waits for ever if a worker is killed.) So a thread waits for the parent's end, and then ends this
    process at once: a shard that is finished later could get in the way of the next export.
    """
    cv2.setNumThreads(0)

    def end_with_parent() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def write_shard(dataset: Dataset, quality: int, path: Path, indices: Sequence[int]) -> None:
    """Write one shard."""
    with replacing(path) as [part], open(part, "wb") as file:
        with import_webdataset().TarWriter(file, encoder=False, mtime=0) as tar:  # no time: same samples, same bytes
            for index in indices:
                shot = dataset.shot(index)
                members = {"__key__": f"{index:07d}", "json": json.dumps(shot.about).encode()}
                for field, array in to_arrays(shot, dataset.size).items():
                    members[field + ENDINGS[field]] = encode(field, array, quality)
                tar.write(members)


def import_webdataset() -> ModuleType:
    """The library webdataset: only shards need it, and it takes seconds to load."""
    try:
        import webdataset
    except ImportError as error:
        raise RuntimeError("tar shards need the library webdataset: pip install webdataset") from error
    return webdataset


class ShardDataset(IterableDataset):
    """The samples that `write_shards` wrote, as `MaskDepthDataset` gives them, in the order of the shards.

    Each worker of a DataLoader reads shards of its own. Raises AssetError if there is none, or naming a damaged one.
    """

    def __init__(self, folder: Path, size: int = 160):
        self.size = size
        self.paths = sorted(Path(folder).glob("shard-*.tar"))
        if not self.paths:
            raise AssetError(f"{folder}: no shards (shard-000000.tar ...) in this folder")

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for path in import_webdataset().split_by_worker(self.paths):
            yield from self.read(path)

    def read(self, path: Path) -> Iterator[dict[str, Tensor]]:
        """The samples of one shard."""
        tar = import_webdataset().tariterators
        try:
            with open(path, "rb") as stream:
                stream.seek(-1024, os.SEEK_END)
                if any(stream.read()):  # a tar file ends with 1024 zeros, but webdataset does not miss them
                    raise ValueError("its end is missing")
                stream.seek(0)
                for members in tar.group_by_keys(tar.tar_file_expander([{"url": str(path), "stream": stream}])):
                    arrays = {field: decode(field, members[field + ending]) for field, ending in ENDINGS.items()}
                    yield to_sample(to_shot(arrays), self.size)
        except (tarfile.TarError, ValueError, KeyError, OSError) as error:
            raise AssetError(f"{path} is damaged: {error.args[0]}. Export it again.") from error
