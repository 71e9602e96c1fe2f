"""What interrupts a run from outside: signals, a lost terminal, a full disk, the failure of another process."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from ..files import WriteError, is_disk_full
from ..models.weights import CheckpointError, list_checkpoints
from . import parallel
from .checkpoint import TrainingError

SIGNALS = {"SIGINT": "Ctrl-C", "SIGTERM": "the system (SIGTERM)", "SIGHUP": "the closing of its terminal (SIGHUP)"}


@contextlib.contextmanager
def stop_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Until the block ends, let signals call `stop` with their source instead of ending the process."""
    with contextlib.ExitStack() as restore:
        if threading.current_thread() is threading.main_thread():  # no other thread may set handlers
            for name, source in SIGNALS.items():
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                if number and (name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN):  # nohup ignores it
                    previous = signal.signal(number, lambda number, frame, source=source: stop(source))
                    restore.callback(signal.signal, number, previous)
        yield


class LossyStream:
    """An output stream that drops its text instead of failing: a run survives a closed terminal or a full disk."""

    def __init__(self, stream: TextIO | None):
        self.stream = stream or open(os.devnull, "w")  # None: closed before Python started

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> None:
        """Write at once."""
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())  # where Python can write what is left
            self.stream = open(os.devnull, "w")
            print(f"note: training continues without its output, which cannot be written ({error})", file=sys.stderr)


@contextlib.contextmanager
def explain_errors(folder: Path | None) -> Iterator[None]:
    """Name the newest checkpoint when the disk is full, or when one of several processes fails."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        found = list_checkpoints(folder) if folder else []
        newest = f"The newest checkpoint is {found[0]}" if found else "There is no checkpoint to resume from"
        if isinstance(error, WriteError) or is_disk_full(error):
            raise CheckpointError(f"{error}. {newest}") from error
        rank, world = parallel.rank_and_world()
        if world == 1 or isinstance(error, (OSError, TrainingError, CheckpointError)):
            raise
        # A lost process raises an ordinary RuntimeError, whose wording changes from version to version.
        raise TrainingError(
            f"process {rank} of {world} (counted from 0) cannot continue: {error}. If another process was killed or "
            f"failed, its own message says why. {newest}. To resume, start the same command again"
        ) from error
