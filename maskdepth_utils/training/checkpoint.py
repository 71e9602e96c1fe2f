"""Writing a run's checkpoints so that no crash damages them, one run per folder.

A run's folder holds

    checkpoint-00001200.pt    everything that the next step depends on, and the history
    tensorboard/              its event files end in BOARD_SUFFIX

A checkpoint is the dict that `Run.save` makes; `models.weights` reads it.
"""

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ..files import PART, write_file
from ..models.weights import list_checkpoints

BOARD_SUFFIX = ".maskdepth"


class TrainingError(RuntimeError):
    """Training cannot start or continue. The message says why, and what to do."""


def lock(folder: Path) -> AbstractContextManager:
    """Keep other runs out of a folder, until the block or the process ends: the system releases the lock."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / ".maskdepth-lock", timeout=0).acquire()  # empties the file: it must not be another's
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
    for path in [*list_checkpoints(folder), *folder.glob(f"checkpoint-*{PART}")]:
        if path.name not in (new, old):  # older, damaged, or cut off when a run was killed
            path.unlink()


def delete_run(folder: Path) -> None:
    """Delete a run's checkpoints and TensorBoard files; the latter show that a run has used the folder."""
    boards = list_boards(folder)
    checkpoints = list_checkpoints(folder)
    if checkpoints and not boards:
        problem = f"{checkpoints[0].name} without the TensorBoard files of its run"
        raise TrainingError(f"{folder}: holds {problem}. Delete it yourself, or choose another folder")
    for path in [*checkpoints, *boards]:
        path.unlink()


def list_boards(folder: Path) -> list[Path]:
    """A run's TensorBoard files."""
    return list((folder / "tensorboard").glob(f"*{BOARD_SUFFIX}"))


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
