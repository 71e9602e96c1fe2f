"""Two more ways to store samples, for when files must be read instead of composed: tar shards and plain arrays.

Shards are tar files as the library webdataset reads them: a sample is a run of members with one stem
(0000007.image.jpg, .background.jpg, .mask.png, .depth.png, .json). They are read from front to back, which is what
object stores and network disks are good at. Arrays are one .npy file a field, which the operating system maps into
memory: nothing is decoded, but a sample takes 230 kB at 160 px. (Zip files: export.py and zips.py.)
"""

import errno
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import tarfile
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import numpy as np
import torch.utils.data
from filelock import FileLock, Timeout
from torch.utils.data import Dataset, IterableDataset
from tqdm import tqdm

from ...files import AssetError, is_disk_full, sync_file
from ..tensors import checked_index
from .codec import ENDINGS, DiskFull, check_space, encode, to_arrays, to_row
from .zips import FIELDS, decode, stored_sample

MANIFEST = "shards.json"
PART = ".part-"
ABOUT = ("split", "size", "gap", "seed", "recolor", "real_light")


def describe(dataset) -> dict:
    """What tells two datasets apart, as JSON."""
    facts = {name: getattr(dataset, name) for name in ABOUT if hasattr(dataset, name)}
    return facts | {"kind": type(dataset).__name__, "rooms": len(getattr(dataset, "rooms", []))}


# ---------------------------------------------------------------- shards
def export_shards(dataset, folder, indices, per_shard=1000, quality=95, workers=1, overwrite=False, progress=True):
    """Write samples as tar shards, `workers` of them at once -> {"folder", "samples", "shards", "bytes"}.

    Interrupted, however it was, it goes on with the shards that are missing: each is written beside its name, then
    renamed. overwrite: delete shards of other samples that are in the folder. Raises FileExistsError rather than mix
    them, or if another export is at work in the folder, and DiskFull.
    """
    folder, indices = Path(folder), list(indices)
    if not indices or per_shard < 1:
        raise ValueError(f"expected samples and at least one in a shard, found {len(indices)} and {per_shard}")
    wanted = {"dataset": describe(dataset), "first": indices[0], "last": indices[-1], "samples": len(indices),
              "indices": hashlib.sha256(np.asarray(indices, "<i8").tobytes()).hexdigest(),
              "per_shard": per_shard, "quality": quality}  # fmt: skip
    parts = {shard_name(number): indices[start : start + per_shard] for number, start in
             enumerate(range(0, len(indices), per_shard))}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            prepare(folder, wanted, overwrite)
            missing = {name: part for name, part in parts.items() if not (folder / name).is_file()}
            with tqdm(total=len(parts), initial=len(parts) - len(missing), unit="shard", disable=not progress) as bar:
                for _ in written(dataset, folder, missing, quality, workers):
                    bar.update()
    except Timeout:
        raise FileExistsError(f"{folder}: another export is writing into this folder; choose another one") from None
    except OSError as error:
        if not is_disk_full(error):
            raise
        whole = f"{sum((folder / name).is_file() for name in parts)} of {len(parts)} shards"
        raise DiskFull(
            errno.ENOSPC, f"{folder}: the disk is full. {whole} are whole; make room and export again: it goes on"
        ) from error
    size = sum((folder / name).stat().st_size for name in parts)
    return {"folder": str(folder), "samples": len(indices), "shards": len(parts), "bytes": size}


def shard_name(number: int) -> str:
    """The file name of shard `number`, counted from 0."""
    return f"shard-{number:06d}.tar"


def prepare(folder: Path, wanted: dict, overwrite: bool) -> None:
    """Check that what is in the folder belongs to the same export; clear away what was cut off."""
    manifest = folder / MANIFEST
    there = json.loads(manifest.read_text(encoding="utf8")) if manifest.is_file() else None
    if there != wanted and (there or any(folder.glob("shard-*.tar"))):
        if not overwrite:
            raise FileExistsError(
                f"{folder} holds shards of another export ({there}): choose another folder, or overwrite"
            )
        for path in folder.glob("shard-*.tar"):
            path.unlink()
    for path in folder.glob(f"{PART}*"):
        path.unlink()
    part = folder / f"{PART}{MANIFEST}"
    part.write_text(json.dumps(wanted, indent=1), encoding="utf8")
    os.replace(part, manifest)


def written(dataset, folder: Path, parts: dict, quality: int, workers: int):
    """Write the shards, yielding each one's name when it is there."""
    if workers < 2 or len(parts) < 2:
        for name, indices in parts.items():
            yield write_shard(dataset, folder / name, indices, quality)
        return
    # spawn: a fork of a process with PyTorch's threads may hang
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), start_writer) as pool:
        jobs = [pool.submit(write_shard, dataset, folder / name, part, quality) for name, part in parts.items()]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def start_writer() -> None:
    """In a worker: one thread for OpenCV, and an end with the process that started it, which may be killed."""
    cv2.setNumThreads(0)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Left alone, a pool's worker would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def write_shard(dataset, path: Path, indices, quality: int) -> str:
    """Write one tar file of samples; the same samples make the same bytes."""
    part = path.with_name(f"{PART}{os.getpid()}-{path.name}")
    try:
        with open(part, "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for index in indices:
                shot = dataset.shot(index)
                codes = encode(shot, dataset.size, quality)
                members = {f"{field}{ENDINGS[field]}": codes[field] for field in FIELDS}
                members["json"] = json.dumps(to_row(shot.about)).encode()
                for ending, content in members.items():
                    info = tarfile.TarInfo(f"{index:07d}.{ending}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
            archive.close()
            file.flush()
            os.fsync(file.fileno())  # a name must never stand for a file that is not yet on the disk
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path.name


class ShardDataset(IterableDataset):
    """Samples from the shards in a folder, as `MaskDepthDataset` gives them, in the shards' order.

    Each worker of a DataLoader reads shards of its own. Raises AssetError naming the shard if one is damaged.
    """

    def __init__(self, folder, size=160):
        self.size, self.paths = size, sorted(Path(folder).glob("shard-*.tar"))
        if not self.paths:
            raise AssetError(f"{folder}: no shards (shard-000000.tar ...) in this folder")

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        for path in self.paths if worker is None else self.paths[worker.id :: worker.num_workers]:
            yield from self.read(path)

    def read(self, path: Path):
        """One shard's samples."""
        try:
            with tarfile.open(path, "r|") as archive:  # as a stream: from front to back
                stem, whole, codes = None, None, {}  # whole: the last sample that had all its members
                for member in archive:
                    name, ending = member.name.split(".", 1)
                    if name != stem:
                        stem, codes = name, {}
                    codes[ending.split(".")[0]] = archive.extractfile(member).read()
                    if set(FIELDS) <= set(codes):
                        yield stored_sample({field: decode(field, codes.pop(field)) for field in FIELDS}, self.size)
                        whole = stem
                if stem != whole:
                    raise ValueError(f"it ends within sample {stem}")
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise AssetError(f"{path} is damaged: {error}. Export it again.") from error


# ---------------------------------------------------------------- arrays
def export_arrays(dataset, folder, indices, overwrite=False, progress=True):
    """Write samples as four .npy files -> {"folder", "samples", "bytes"}; FileExistsError rather than overwrite."""
    folder, indices = Path(folder), list(indices)
    targets = {field: folder / f"{field}.npy" for field in FIELDS}
    present = [path.name for path in targets.values() if path.exists()]
    if present and not overwrite:
        raise FileExistsError(
            f"{folder} already has {', '.join(present)}: choose another folder, or pass overwrite=True"
        )
    folder.mkdir(parents=True, exist_ok=True)
    parts, size = {field: path.with_name(f"{PART}{path.name}") for field, path in targets.items()}, dataset.size
    # Before anything is written: a memory-mapped file for which there is no room kills the process without a word.
    check_space(folder, len(indices), 9 * size**2 * len(indices), shutil.disk_usage(folder).free)
    try:
        arrays = {}
        for field, part in parts.items():
            shape = (len(indices), size, size) + ((3,) if ENDINGS[field] == ".jpg" else ())
            kind = np.uint16 if field == "depth" else np.uint8
            arrays[field] = np.lib.format.open_memmap(part, "w+", kind, shape)
        for row, index in enumerate(tqdm(indices, desc=f"export to {folder}", unit="sample", disable=not progress)):
            for field, array in to_arrays(dataset.shot(index), size).items():
                arrays[field][row] = array
        del arrays  # written out
        for part in parts.values():
            sync_file(part)
        for field, part in parts.items():
            os.replace(part, targets[field])
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    size = sum(path.stat().st_size for path in targets.values())
    return {"folder": str(folder), "samples": len(indices), "bytes": size}


class ArrayDataset(Dataset):
    """Samples from memory-mapped .npy files, as `MaskDepthDataset` gives them. Raises AssetError if one is missing."""

    def __init__(self, folder, size=160):
        self.size, self.arrays = size, {}
        for field in FIELDS:
            path = Path(folder) / f"{field}.npy"
            if not path.is_file():
                raise AssetError(f"{path} is missing: expected image, background, mask and depth .npy files")
            self.arrays[field] = np.load(path, mmap_mode="r", allow_pickle=False)
        lengths = {field: len(array) for field, array in self.arrays.items()}
        if len(set(lengths.values())) > 1:
            raise AssetError(f"{folder}: its arrays have different lengths: {lengths}")

    def __len__(self):
        return len(self.arrays["image"])

    def __getitem__(self, index):
        index = checked_index(index, len(self))
        return stored_sample({field: np.asarray(array[index]) for field, array in self.arrays.items()}, self.size)
