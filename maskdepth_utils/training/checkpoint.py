"""Writing a run's checkpoints so that no crash damages them, one run per folder.

A run's folder holds

    checkpoint-00001200.pt    everything that the next step depends on, and the history
    tensorboard/  lock

A checkpoint is the dict that `Run.save` makes; `models.weights` reads it.
"""

import io
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ..files import write_file

CHECKPOINTS = "checkpoint-" + "[0-9]" * 8 + ".pt*"  # those that were cut off (".part") too


class TrainingError(RuntimeError):
    """Training cannot start or continue. The message says why, and what to do."""


def lock(folder: Path) -> AbstractContextManager:
    """Keep other runs out of a folder, until the block or the process ends: the system releases the lock."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / "lock", timeout=0).acquire()
    except Timeout:
        raise TrainingError(f"{folder}: another run is training in this folder; choose another one with out=") from None
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise TrainingError(f"{folder}: not a writable folder ({error.strerror})") from error


def write_checkpoint(folder: Path, checkpoint: dict[str, Any], before: int) -> None:
    """Write a checkpoint, and keep only it and the one of the step `before`, the newest that is known to be intact."""
    new, old = (f"checkpoint-{step:08d}.pt" for step in (checkpoint["step"], before))
    content = io.BytesIO()  # torch.save itself hides the reason why it cannot write a file
    torch.save(checkpoint, content)
    write_file(folder / new, content.getvalue())
    for path in folder.glob(CHECKPOINTS):
        if path.name not in (new, old):  # older, damaged, or cut off when a run was killed
            path.unlink()


def delete_run(folder: Path) -> None:
    """Delete a run's checkpoints, including those of earlier versions (folders), and its TensorBoard files."""
    for path in folder.glob(CHECKPOINTS):
        path.unlink()
    for path in [*folder.glob("step-" + "[0-9]" * 8), folder / "tensorboard"]:
        shutil.rmtree(path, ignore_errors=True)


def list_differences(saved: dict, own: dict, path: str = "") -> list[str]:
    """The differences between a checkpoint's settings and this run's, in words."""
    differences = []
    for name in sorted(saved.keys() | own.keys()):
        there, here = saved.get(name), own.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            differences += list_differences(there, here, f"{path}{name}.")
        elif there != here:
            differences.append(f"{path}{name} is {there!r} there and {here!r} here")
    return differences
