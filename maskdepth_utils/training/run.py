"""What surrounds the training loop: a run's history, its TensorBoard log, when to save, and what stops it."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..models.weights import read_run
from . import parallel
from .checkpoint import BOARD_SUFFIX, TrainingError, delete_run, list_boards, list_differences, lock, write_checkpoint
from .interruptions import LossyStream, explain_errors, stop_signals
from .machine import Usage
from .schedule import learning_rate
from .settings import Settings


@dataclass
class Run:
    """One run of `fit`: what it has done so far. Of several processes only the first one writes into the folder."""

    folder: Path | None  # for checkpoints and TensorBoard; None keeps the run in memory
    parts: dict[str, Any]  # saved by their `state_dict`: model, loss, optimizer, scaler
    config: dict[str, Any]  # what must be the same when the run continues
    machine: dict[str, Any]  # what should be the same, for a result that is equal to the last bit
    settings: Settings
    progress: bool  # whether to show a progress bar and messages
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    sums: Counter = field(default_factory=Counter)  # {name: sum} of each figure since the last record
    stop_reason: str | None = None
    started: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)  # when the newest checkpoint was written
    saved_step: int = 0  # of the newest whole checkpoint
    changed: bool = False  # whether there is something new since then
    size: int = 0  # width of the pictures in pixels
    board: Any = None  # TensorBoard's writer

    @contextlib.contextmanager
    def session(self, resume: bool) -> Iterator[None]:
        """Lock the folder for this run, continue from its checkpoint, and handle signals until the block ends."""
        folder_lock = lock(self.folder) if self.folder and parallel.is_first() else contextlib.nullcontext()
        with (
            explain_errors(self.folder), stop_signals(self.stop), folder_lock,
            contextlib.redirect_stdout(LossyStream(sys.stdout)), contextlib.redirect_stderr(LossyStream(sys.stderr)),
        ):  # fmt: skip
            if self.folder:
                self.restore(resume)
            if parallel.mean({"step": self.step})["step"] != self.step:
                raise TrainingError(f"{self.folder}: the processes found different checkpoints in it")
            live = sys.stdout.isatty() or "ipykernel" in sys.modules  # in a log file each update is a line of its own
            self.bar = tqdm(
                total=self.settings.total_steps, initial=self.step, unit="step", file=sys.stdout,
                disable=not self.progress, mininterval=0.5 if live else 30,
            )  # fmt: skip
            try:
                yield
            finally:
                self.bar.close()
                if self.board:
                    with contextlib.suppress(OSError):
                        self.board.close()
            self.say(self.describe_end())

    def restore(self, resume: bool) -> None:
        """Continue from the folder's newest checkpoint, if there is one; with `resume` False, delete the run."""
        if parallel.is_first() and not resume:
            delete_run(self.folder)
        parallel.mean({"ready": 1})  # no process reads the folder before the first process has locked it
        checkpoint = read_run(self.folder)
        if checkpoint:
            if differences := list_differences(checkpoint["config"], self.config):
                hint = "Use its settings, another folder (out=), or start over with resume=False, which deletes it"
                if not list_boards(self.folder):  # then it is not ours to delete
                    hint = "Use its settings or another folder (out=)"
                raise TrainingError(f"{self.folder}: holds a run with other settings: {'; '.join(differences)}. {hint}")
            if differences := list_differences(checkpoint["machine"], self.machine):
                self.say(f"Resuming, but not bit for bit as on the same machine: {'; '.join(differences)}")
            for name, part in self.parts.items():
                if checkpoint[name]:  # a scaler that was switched off has no state
                    part.load_state_dict(checkpoint[name])
            self.step = self.saved_step = checkpoint["step"]
            self.history = checkpoint["history"]
            self.sums = Counter(checkpoint["sums"])
            self.size = checkpoint["size"]
            self.say(f"{self.folder}: resuming from step {self.step:,} of {self.settings.total_steps:,}")
        if parallel.is_first():
            from torch.utils.tensorboard import SummaryWriter  # here, because importing it takes a second or two

            # purge_step hides what a killed session wrote after its last checkpoint: those steps are repeated.
            self.board = SummaryWriter(
                self.folder / "tensorboard", purge_step=self.step + 1, flush_secs=20, filename_suffix=BOARD_SUFFIX
            )

    def steps(self, val_every: int | None, measure: Callable[[], tuple[dict, Tensor | None]]) -> Iterator[int]:
        """Yield the number of each step to do; between two of them record, validate (with `measure`) and save."""
        usage = Usage()
        while True:
            if self.is_due("loss", self.settings.log_every):
                lr = learning_rate(self.settings, self.step - 1)
                self.log(self.means() | {"lr": lr} | usage.measure())
            if val_every and self.is_due("val_loss", val_every):  # also if the last session was stopped during it
                self.log(*measure())
            stopping = self.must_stop()
            self.save(now=stopping)
            if stopping:
                return
            yield self.step

    def stop(self, source: str) -> None:
        """Stop after this step, or at once if Ctrl-C is pressed again."""
        if self.stop_reason and source == "Ctrl-C":
            raise KeyboardInterrupt
        self.stop_reason = f"Stopped by {source}"
        print("\nFinishing this step and saving (Ctrl-C again: at once, without saving)", file=sys.stderr)

    def must_stop(self) -> bool:
        """Whether this was the last step, the time is up, or a signal has arrived, here or in another process."""
        limit = self.settings.max_minutes
        if limit is not None and self.changed and time.monotonic() - self.started > limit * 60:
            self.stop_reason = self.stop_reason or f"Stopped after {limit:g} minutes"
        stopping = parallel.mean({"stopping": self.stop_reason is not None})["stopping"] > 0
        if stopping:
            self.stop_reason = self.stop_reason or "Stopped by another process"
        return stopping or self.step >= self.settings.total_steps

    def describe_end(self) -> str:
        saved = f", saved in {self.folder}" if self.folder else ""
        if self.step >= self.settings.total_steps:
            return f"Finished: {self.step:,} steps{saved}"
        advice = "call fit (or the command) again with the same settings" if saved else "a run needs a folder (out=)"
        return f"{self.stop_reason} at step {self.step:,} of {self.settings.total_steps:,}{saved}. To resume, {advice}"

    def say(self, text: str) -> None:
        """Print a message beside the progress bar, if there is one."""
        if self.progress:
            tqdm.write(text)

    def count_step(self, figures: dict[str, Tensor], size: int, data_seconds: float, step_seconds: float) -> None:
        """Add one step's figures to the sums, on the device: reading them would make the CPU wait for the GPU."""
        self.sums.update({name: figure.detach() for name, figure in figures.items()})
        self.sums.update({"steps": 1, "data_seconds": data_seconds, "step_seconds": step_seconds})
        self.size = size
        self.step += 1
        self.changed = True
        self.bar.update()

    def record(self) -> dict[str, float]:
        """This step's record in the history; an empty one if there is none yet."""
        return self.history[-1] if self.history and self.history[-1]["step"] == self.step else {}

    def is_due(self, figure: str, every: int) -> bool:
        """Whether this step's record lacks a figure that is recorded at an interval of steps, and after the last."""
        due = self.step > 0 and (self.step % every == 0 or self.step == self.settings.total_steps)
        return due and figure not in self.record()

    def means(self) -> dict[str, float]:
        """The mean figures of the steps since the last record, over all processes."""
        sums = parallel.mean(self.sums)
        self.check_finite({"the loss": sums["loss"]})
        self.sums.clear()
        steps = sums.pop("steps")
        means = {name: value / steps for name, value in sums.items()}
        return means | {"images_per_second": self.settings.batch / (means["data_seconds"] + means["step_seconds"])}

    def log(self, figures: dict[str, float], picture: Tensor | None = None) -> None:
        """Add figures to this step's record in the history, and to TensorBoard, with a picture (3, H, W)."""
        if not self.record():
            self.history.append({"step": self.step, "samples": self.step * self.settings.batch})
        self.history[-1] |= figures
        self.changed = True
        if "loss" in figures:
            self.bar.set_postfix(loss=f"{figures['loss']:.4f}")
        if self.board:
            for name, value in figures.items():
                tag = f"val/{name[4:]}" if name.startswith("val_") else f"train/{name}"
                self.board.add_scalar(tag, value, self.step)
            if picture is not None:
                self.board.add_image("val/image_background_mask_predicted_depth_predicted", picture, self.step)

    def save(self, now: bool) -> None:
        """Write a checkpoint, `now` or if `save_minutes` have passed."""
        due = now or time.monotonic() - self.saved > self.settings.save_minutes * 60
        if not (self.folder and due and self.changed and parallel.is_first()):
            return
        checkpoint = {name: part.state_dict() for name, part in self.parts.items()}
        # Check the weights, too: the loss was computed before the step that may have corrupted them.
        self.check_finite({"the loss": self.sums["loss"]} | checkpoint["model"] | checkpoint["loss"])
        checkpoint |= {"step": self.step, "history": self.history, "config": self.config, "machine": self.machine}
        checkpoint |= {"sums": {name: float(value) for name, value in self.sums.items()}, "size": self.size}
        self.board.flush()  # so that it holds all that comes before the checkpoint
        write_checkpoint(self.folder, checkpoint, self.saved_step)
        self.saved_step = self.step
        self.saved = time.monotonic()
        self.changed = False

    def check_finite(self, values: dict[str, Tensor | float]) -> None:
        """Raise TrainingError for inf or nan, so that no corrupted weights are saved."""
        for name, value in values.items():
            if not torch.as_tensor(value).isfinite().all():
                advice = "a smaller lr may help, or float32 precision. What was saved before is as it was"
                raise TrainingError(f"{name} became inf or nan by step {self.step}: {advice}")
