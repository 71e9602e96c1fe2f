"""Files: where the course's data are, and how files are written so that neither a crash nor a command damages any."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

PART = ".maskdepth-part"  # the end of an unfinished file's name
MARKS = ".maskdepth.json"  # {name: [sha256, ...]}: what commands wrote into its folder, and may therefore replace


class AssetError(RuntimeError):
    """A file in data/ is missing or damaged. The message says which one, what was found, and what to do about it."""


def data_dir() -> Path:
    """The folder of rooms/, objects/ and scenes/: the environment's MASKDEPTH_DATA, else data/ beside the package."""
    path = Path(os.environ.get("MASKDEPTH_DATA") or Path(__file__).resolve().parents[1] / "data").resolve()
    if any((path / kind).is_dir() for kind in ("rooms", "objects", "scenes")):
        return path
    found = "it holds no rooms/, objects/ or scenes/" if path.is_dir() else "there is no such folder"
    hint = "Change" if os.environ.get("MASKDEPTH_DATA") else "Set"
    raise AssetError(f"No course data at {path}: {found}. {hint} MASKDEPTH_DATA to data/ in a clone of the repository.")


def to_asset_error(path: Path, problem: str) -> AssetError:
    """The error for a file of the repository, with a way to restore the file."""
    return AssetError(f"{path} {problem}. Restore it, for instance: git checkout {path}")


def entries(kind: str, data: Path | None) -> tuple[dict, dict[str, dict]]:
    """The manifest of "rooms", "objects" or "scenes" in `data` (None: `data_dir()`), and its entries by name."""
    return read_manifest(Path(data or data_dir()) / kind / f"{kind}.json")


@lru_cache(maxsize=32)
def read_manifest(path: Path) -> tuple[dict, dict[str, dict]]:
    """Read a manifest's content and entries; they stay in memory, as the pictures do."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content, {entry["name"]: entry for entry in content[path.stem]}
    except FileNotFoundError:
        raise to_asset_error(path, "is missing") from None
    except (ValueError, KeyError, TypeError) as error:
        raise to_asset_error(path, f"is damaged ({error})") from error


def find_entry(kind: str, name: str, data: Path | None) -> tuple[dict, dict]:
    """The content of a manifest, as `entries` gives it, and its entry called `name`."""
    content, listed = entries(kind, data)
    if name not in listed:
        example = next(iter(listed), "")
        raise AssetError(f"{kind}.json lists no {name!r}; it has {len(listed)} {kind}, such as {example!r}")
    return content, listed[name]


def open_picture(path: Path, mode: str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture, and check its pixels (Pillow's "RGB", "RGBA", "L", or "I;16" for uint16) and (rows, columns)."""
    try:
        with Image.open(path) as picture:
            found = "I;16" if picture.mode == "I" else picture.mode  # Pillow before 11 opens 16-bit PNGs as 32 bits
            colors = {found, mode} <= {"RGB", "RGBA", "P"}
            array = np.asarray(picture.convert(mode) if colors else picture)
    except FileNotFoundError:
        raise to_asset_error(path, "is missing") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise to_asset_error(path, f"({Path(path).stat().st_size} bytes) cannot be decoded: {error}") from error
    if not (found == mode or colors):
        raise to_asset_error(path, f"has pixels of type {found}, expected {mode}")
    if shape is not None and array.shape[:2] != tuple(shape):
        size = f"{array.shape[1]}x{array.shape[0]}"
        raise to_asset_error(path, f"is {size} pixels, expected {shape[1]}x{shape[0]}")
    return array.astype(np.uint16) if mode == "I;16" else array


class WriteError(OSError):
    """A file cannot be written. The message names the file and the reason; an earlier file is unchanged."""

    def __str__(self) -> str:
        return self.strerror


def write_file(path: Path, content: bytes, overwrite: bool | None = None) -> None:
    """Write a file such that it is entirely the old or entirely the new one, as `replacing` does."""
    with replacing(Path(path), overwrite=overwrite) as [part]:
        part.write_bytes(content)


@contextlib.contextmanager
def replacing(*paths: Path, overwrite: bool | None = None) -> Iterator[list[Path]]:
    """Replace files of one folder: yield temporary paths beside them, and rename these when the block ends.

    The temporary files must be closed by then. They are forced to the disk before they are renamed, because a rename is
    the one change that a file system makes entirely or not at all. If the block raises, the earlier files stay.

    Args:
        overwrite: None replaces any file. True and False mark the new files as our own; True replaces only such files
            (FileExistsError otherwise, see `check_replaceable`), and False none.

    Raises:
        WriteError: A file cannot be written.
    """
    folder = paths[0].parent
    parts = [path.with_name(path.name + PART) for path in paths]
    if overwrite is not None:
        check_replaceable(*paths, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield parts
        for part in parts:
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
        if overwrite is not None:
            marks = read_dict(folder / MARKS)
            for path, part in zip(paths, parts):  # until the rename, the earlier file's mark counts as well
                marks[path.name] = [*marks.get(path.name, [])[-1:], checksum(part)]
            write_file(folder / MARKS, json.dumps(marks, indent=1).encode())
        for part, path in zip(parts, paths):
            os.replace(part, path)
        sync_folder(folder)
    except BaseException as error:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink()
        if isinstance(error, OSError) and not isinstance(error, WriteError):
            place = paths[0] if len(paths) == 1 else folder
            reason = "the disk is full" if is_disk_full(error) else f"cannot be written ({error.strerror or error})"
            raise WriteError(error.errno, f"{place}: {reason}") from error
        raise


def check_replaceable(*paths: Path, overwrite: bool = True, inputs: Sequence[str | Path | None] = ()) -> None:
    """Raise FileExistsError if any exists, unless `overwrite` is set, it is as a command wrote it, and not an input."""
    for path in filter(os.path.lexists, paths):
        if any(path.exists() and os.path.exists(one) and path.samefile(one) for one in inputs if one):
            raise FileExistsError(f"{path} is an input: choose another place for the results")
        if not overwrite:
            raise FileExistsError(f"{path} exists already: choose another folder, or pass overwrite=True")
        if not path.is_file() or checksum(path) not in read_dict(path.parent / MARKS).get(path.name, []):
            raise FileExistsError(f"{path} is not as maskdepth_utils wrote it: move it, or choose another place")


def check_output(*paths: Path, inputs: Sequence[str | Path | None] = ()) -> None:
    """Raise an OSError before a long computation if its results could not be written to `paths`, all in one folder."""
    check_replaceable(*paths, inputs=inputs)
    folder = next(folder for folder in paths[0].absolute().parents if folder.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise WriteError(error.errno, f"{paths[0]}: cannot be written ({error.strerror})") from error


def checksum(path: Path) -> str:
    """The sha256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def read_dict(path: Path) -> dict:
    """The dict in a JSON file; an empty one if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk, where the system can: Windows and some network drives cannot."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_space(folder: Path, needed: float) -> None:
    """Raise WriteError unless `needed` bytes are free on the folder's disk."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"{folder}: not enough disk space: {needed / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB are free"
        raise WriteError(errno.ENOSPC, message)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that the disk or the user's quota is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
