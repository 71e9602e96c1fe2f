"""What surrounds a training run: its folder, settings, Ctrl-C, progress. `training.fit` is the loop inside."""

import contextlib
import functools
import shutil
import signal
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout
from torch.utils.data import Subset
from tqdm import tqdm

from ..files import explain_write_error, is_disk_full
from ..models.weights import CheckpointError, load_weights, plain
from . import checkpoint, parallel

PLAIN = (bool, int, float, str)
USED = ("memory_mb", "cpu_cores", "gpu_memory_mb", "gpu_percent")  # see usage.py
SMALLER = "a smaller lr may help, or float32 precision. What was saved before is as it was"


class TrainingError(RuntimeError):
    """Training that cannot start or go on: why, and what to do."""


@contextlib.contextmanager
def stop_signals():
    """Ctrl-C (SIGINT) and SIGTERM only set stop["reason"], to be read between two steps. A second one interrupts."""
    stop = {"reason": None}

    def remember(number, frame):
        if stop["reason"]:
            raise KeyboardInterrupt
        stop["reason"] = "Stopped by Ctrl-C" if number == signal.SIGINT else "Stopped by the system (SIGTERM)"
        print("\nFinishing this step and saving (Ctrl-C again: at once, without saving)", file=sys.stderr)

    before = {}
    with contextlib.suppress(ValueError):  # only the main thread may; elsewhere signals keep their meaning
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, remember)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def lock(folder: Path):
    """One run per folder. The system itself lifts the lock when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise TrainingError(f"{folder}: another run is training in this folder; choose another one with out=") from None
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise TrainingError(f"{folder}: not a folder one can write to ({error.strerror})") from error


def describe(thing):
    """A dataset, loss or schedule in words and numbers, so that a run can be compared with its checkpoint."""
    if isinstance(thing, functools.partial):
        return {"function": describe(thing.func)} | {name: str(value) for name, value in thing.keywords.items()}
    if hasattr(thing, "__getitem__") and not isinstance(thing, str):
        facts = {"class": type(thing).__name__, "length": len(thing)}
        for name, value in getattr(thing, "__dict__", {}).items():
            is_path = isinstance(value, str) and ("/" in value or "\\" in value)  # where data lies is no setting
            if isinstance(value, PLAIN) and not name.startswith("_") and not is_path:
                facts[name] = value
        return facts | ({"dataset": describe(thing.dataset)} if isinstance(thing, Subset) else {})
    return thing if isinstance(thing, str) else getattr(thing, "__qualname__", type(thing).__name__)


def compare(saved: dict, asked: dict, path="") -> list[str]:
    """The differences of two settings, in words."""
    differences = []
    for name in sorted(saved.keys() | asked.keys()):
        there, here = saved.get(name), asked.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            differences += compare(there, here, f"{path}{name}.")
        elif there != here:
            differences.append(f"{path}{name} is {there!r} there and {here!r} here")
    return differences


class Run:
    """A run's state, and the folder it lives in (None: it lives in memory only).

    Of several processes only the first one (rank 0) writes into the folder; the others read where to go on.

    state    what `fit` keeps up to date: step, history, and the sums since the last record ("window")
    modules  {prefix: module}, whose tensors are saved: the network, and a loss that learns
    """

    def __init__(self, out, resume: bool, config: dict, machine: dict, modules: dict, optimizer, scaler, say):
        self.folder = None if out is None else Path(out)
        self.modules, self.optimizer, self.scaler, self.say = modules, optimizer, scaler, say
        # As JSON would give it back, so that it can be compared with what a checkpoint says.
        self.state = {"step": 0, "history": [], "window": {}, "config": plain(config), "machine": machine}
        self.resume, self.board, self.saved = resume, None, time.monotonic()
        self.good = 0  # the step of the newest whole checkpoint
        self.first = parallel.rank_and_world()[0] == 0

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        if self.folder is not None:
            if self.first:
                self.stack.enter_context(lock(self.folder))
            try:
                if self.first and not self.resume:
                    for old in [*checkpoint.list_run(self.folder), self.folder / "tensorboard"]:
                        shutil.rmtree(old, ignore_errors=True)
                parallel.wait_for_all()  # before the first one has the folder, nobody looks into it
                self.restore()
                self.open_board()
            except BaseException as error:
                self.__exit__(type(error), error, error.__traceback__)
                raise
        return self

    def __exit__(self, kind, error, trace):
        with contextlib.suppress(OSError):
            if self.board is not None:
                self.board.close()
        self.stack.close()
        if is_disk_full(error):  # from TensorBoard's files
            message = explain_write_error(error, self.folder / "tensorboard")
            raise CheckpointError(f"{message}. {checkpoint.describe_last(self.folder)}") from error
        if parallel.another_is_gone(error):
            rank, world = parallel.rank_and_world()
            last = "" if self.folder is None else f" {checkpoint.describe_last(self.folder)}."
            raise TrainingError(
                f"process {rank} of {world} (counted from 0) cannot go on: another one was killed or failed; its own "
                f"message, or the launcher's, says which and why.{last} To go on, start the same command again"
            ) from error

    def restore(self) -> None:
        """Take everything from the folder's checkpoint if there is one. TrainingError if it is of other settings."""
        found = checkpoint.read_run(self.folder)
        if found is None:
            return
        state, model_tensors, optimizer_tensors = found
        differences = compare(state["config"], self.state["config"])
        if differences:
            raise TrainingError(
                f"{self.folder}: holds a run with other settings: {'; '.join(differences)}. "
                "Use its settings, another folder (out=), or start over with resume=False, which deletes it"
            )
        for prefix, module in self.modules.items():
            own = {name.removeprefix(prefix): t for name, t in model_tensors.items() if own_name(name, prefix)}
            load_weights(module, own, self.folder)
        checkpoint.tensors_to_optimizer(self.optimizer, optimizer_tensors, state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        for difference in compare(state["machine"], self.state["machine"]):
            self.say(f"Going on, but not bit for bit as on the same machine: {difference}")
        self.state |= {name: state[name] for name in ("step", "history", "window")}
        self.good = state["step"]

    def save(self, **facts) -> None:
        """Write a checkpoint; `facts` go into the weights' metadata."""
        self.saved = time.monotonic()
        if not self.first:
            return
        tensors = {prefix + name: t for prefix, m in self.modules.items() for name, t in m.state_dict().items()}
        optimizer_tensors, self.state["optimizer"] = checkpoint.optimizer_to_tensors(self.optimizer)
        self.state["scaler"] = self.scaler.state_dict()
        self.state["window"] = {name: float(value) for name, value in self.state["window"].items()}
        config = self.state["config"]
        metadata = config["network"] | facts | {"training": {"step": self.state["step"], **config}}
        broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
        if broken:  # the loss may still be finite: it was computed before the step
            raise TrainingError(f"{broken[0]} became inf or nan by step {self.state['step']}: {SMALLER}")
        self.board.flush()  # so that it holds all that comes before the checkpoint
        checkpoint.write_run(self.folder, tensors, optimizer_tensors, self.state, metadata, self.good)
        self.good, self.saved = self.state["step"], time.monotonic()

    def open_board(self) -> None:
        """TensorBoard. What a killed session wrote after its checkpoint is hidden: it will come again."""
        from torch.utils.tensorboard import SummaryWriter  # here, because importing it takes a second or two

        if not self.first:
            return
        self.board = SummaryWriter(self.folder / "tensorboard", purge_step=self.state["step"] + 1, flush_secs=20)

    def log(self, record: dict, picture=None) -> None:
        """Add a record to the history, and it and a picture (3, H, W) to TensorBoard."""
        self.state["history"].append(record)
        if self.board is None:
            return
        for name, value in record.items():
            group = "val" if name.startswith("val_") else "speed" if "second" in name else "train"
            group = "usage" if name in USED else group
            if name not in ("step", "samples"):
                self.board.add_scalar(f"{group}/{name.removeprefix('val_')}", value, record["step"])
        if picture is not None:
            self.board.add_image("val/image_background_mask_predicted_depth_predicted", picture, record["step"])


def own_name(name: str, prefix: str) -> bool:
    """Whether a saved tensor is of the module under this prefix: "" is the network, "loss." a loss that learns."""
    return name.startswith("loss.") == (prefix == "loss.")


def progress_bar(progress: bool, steps: int, start: int) -> tqdm:
    """A bar in a terminal or notebook; in a log file, where each update would be a line, one line every half minute."""
    live = sys.stdout.isatty() or "ipykernel" in sys.modules
    return tqdm(
        total=steps, initial=start, unit="step", file=sys.stdout, disable=not progress,
        mininterval=0.5 if live else 30, dynamic_ncols=live,
    )  # fmt: skip


def farewell(reason, step: int, steps: int, out) -> str:
    """What `fit` says at its end."""
    if step >= steps:
        return f"Finished: {step:,} steps" + (f", saved in {out}" if out is not None else "")
    if out is None:
        return (
            f"{reason} at step {step:,} of {steps:,}. The network keeps what it has learned; "
            "to be able to go on, give out="
        )
    return (
        f"{reason} at step {step:,} of {steps:,}, saved in {out}. To go on, call fit (or the command) again "
        "with the same settings"
    )
