"""Files in data/: where they are, what their lists say, and a clear message when one is missing or damaged."""

import contextlib
import errno
import json
import os
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image


class AssetError(RuntimeError):
    """Something in data/ is missing or damaged: which file, what was found there, what to do about it."""


def data_dir():
    """The folder of rooms/, objects/ and scenes/: the environment's MASKDEPTH_DATA, else data/ beside the package."""
    named = os.environ.get("MASKDEPTH_DATA")
    path = Path(named) if named else Path(__file__).resolve().parent.parent / "data"
    if (path / "rooms").is_dir() or (path / "objects").is_dir() or (path / "scenes").is_dir():
        return path.resolve()
    found = "it holds no rooms/, objects/ or scenes/" if path.is_dir() else "there is no such folder"
    hint = (
        "correct MASKDEPTH_DATA"
        if named
        else "clone the course's repository, which has data/, and set MASKDEPTH_DATA to that folder"
    )
    raise AssetError(f"No course data at {path}: {found}. To go on, {hint}.")


@lru_cache(maxsize=32)
def _manifest(path, modified, key):
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return content, {one["name"]: one for one in content[key]}
    except (ValueError, KeyError, TypeError) as error:
        raise AssetError(f"{path} is damaged ({error}). Restore it, for instance: git checkout {path}") from error


def entries(kind, data):
    """(the manifest's head, {name: entry}) of rooms, objects or scenes; read again when the file has
    changed."""
    path = Path(data or data_dir()) / kind / f"{kind}.json"
    if not path.is_file():
        raise AssetError(f"{path} is missing. Restore data/{kind}, for instance: git checkout data/{kind}")
    return _manifest(str(path), path.stat().st_mtime_ns, kind)


def find_entry(kind, name, data):
    """(the manifest's head, the entry called `name`) of rooms, objects or scenes."""
    head, listed = entries(kind, data)
    if name not in listed:
        raise AssetError(
            f"{kind}.json lists no {name!r}; it has {len(listed)} {kind}, such as {next(iter(listed), '')!r}"
        )
    return head, listed[name]


def open_picture(path, mode, shape=None):
    """The picture as an array, checked. mode: Pillow's ("RGB", "RGBA", "L") or "I;16"; shape: expected (rows,
    columns)."""
    try:
        with Image.open(path) as picture:
            picture.load()
            found = picture.mode
            if mode == "I;16":
                array = np.asarray(picture).astype(np.uint16) if found.startswith("I") else None
            else:
                array = np.asarray(picture.convert(mode) if {found, mode} <= {"RGB", "RGBA", "P"} else picture)
    except FileNotFoundError:
        raise AssetError(f"{path} is missing. Restore it, for instance: git checkout {path}") from None
    except (OSError, SyntaxError, ValueError) as error:
        size = Path(path).stat().st_size
        raise AssetError(
            f"{path} ({size} bytes) cannot be decoded: {error}. Restore it, for instance: git checkout {path}"
        ) from error
    if array is None or array.ndim != (2 if mode in ("L", "I;16") else 3):
        raise AssetError(f"{path} has pixels of type {found}, expected {mode}. Restore it: git checkout {path}")
    if shape is not None and array.shape[:2] != tuple(shape):
        raise AssetError(
            f"{path} is {array.shape[1]}x{array.shape[0]} pixels, expected {shape[1]}x{shape[0]}. "
            f"Restore it, for instance: git checkout {path}"
        )
    return array


# ---------------------------------------------------------------- writing
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class WriteError(OSError):
    """A file that cannot be written: which one, and why. Nothing was left of it, and an earlier one is as it was."""

    def __str__(self):
        return self.strerror


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or the new one, whole, whenever the power fails.

    Written beside, forced to the disk, then renamed: a rename is the one thing a file system does all or
    nothing.
    """
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise WriteError(error.errno, explain(error, path, len(content))) from error


def explain(error: OSError, path: Path, size: int) -> str:
    """The message of a failed write."""
    if error.errno in DISK_FULL:
        free = shutil.disk_usage(existing_parent(path)).free / 1e6
        return f"{path}: the disk is full ({size / 1e6:.0f} MB to write, {free:.0f} MB free); nothing was left"
    return f"{path}: cannot be written ({error.strerror or error})"


def existing_parent(path) -> Path:
    """The nearest folder above `path` that exists."""
    return next(folder for folder in Path(path).absolute().parents if folder.exists())


def sync_file(path) -> None:
    """Force a file's content to the disk: what is renamed to its last name must be there already."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk, where the system can (Windows cannot open folders)."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        except OSError:
            pass  # some network drives refuse to sync a folder; its files have been synced
        finally:
            os.close(handle)
