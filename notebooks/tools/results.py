"""What the measuring tools have in common: where results are, how they are stored, and what made them."""

import contextlib
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from notebook_files import ROOT, read_json, write_json
from torch import nn
from torch.utils.data import Dataset, Subset

from maskdepth_utils.data import make_loader
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.files import replacing
from maskdepth_utils.models.weights import read_run

CHECKPOINTS = ROOT / "data" / "checkpoints"
RESULTS = ROOT / "data" / "results"


def commit() -> str:
    """Return the current commit, with "+changes" if files other than the stored results differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True).stdout.strip()

    changes = git("status", "--porcelain", "--", ".", ":!README.md", ":!data/results", ":!data/checkpoints/README.md")
    return (git("rev-parse", "--short=12", "HEAD") or "none") + ("+changes" if changes else "")


def machine() -> dict[str, str]:
    """Return the processor, its cores or the GPU, and the versions that decide speed and last digits."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", cpuinfo.read_text(encoding="utf8")) if cpuinfo.is_file() else None
    name = named[1] if named else platform.processor() or platform.machine()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return {"processor": name, "device": device, "python": platform.python_version(), "torch": torch.__version__}


@contextlib.contextmanager
def timed_report(**facts) -> Iterator[dict]:
    """Yield a report of the facts, commit and machine; add the seconds at the end."""
    report = facts | {"commit": commit(), "machine": machine()}
    begun = time.monotonic()
    yield report
    report["seconds"] = round(time.monotonic() - begun)


def run_folder(study: str, *parts) -> str:
    """Return the folder of a run, relative to the project's folder."""
    name = "-".join(map(str, parts))
    return f"build/runs/{study}/" + "".join(letter if letter.isalnum() else "-" for letter in name)


def call(command: str, **options) -> str:
    """Run `python -m maskdepth_utils COMMAND` in the project's folder; return what it prints if options capture it."""
    words = [sys.executable, "-m", "maskdepth_utils", *shlex.split(command)]
    return subprocess.run(words, cwd=ROOT, text=True, check=True, **options).stdout


def require_finished(out: str, samples: int) -> None:
    """Exit if a run has not seen all its samples: Ctrl-C stops a training without an error."""
    state = read_run(ROOT / out)
    if state["step"] * state["config"]["batch"] < samples:
        raise SystemExit(f"{out} is not finished: run this again to continue")


def measure_network(network: nn.Module, dataset: Dataset, count: int) -> dict[str, float]:
    """Return the figures of a network on the first `count` samples of a dataset, or on all if it has fewer."""
    batches = make_loader(Subset(dataset, range(min(count, len(dataset)))), batch=32)
    return evaluate(network_predict(network), batches)


def training_seconds(history: list[dict]) -> float:
    """Add up how long a run has trained, in all its sessions, from its log."""
    timed = [record for record in history if "step_seconds" in record]
    steps = [b["step"] - a["step"] for a, b in zip([{"step": 0}, *timed], timed)]
    return sum(n * (record["data_seconds"] + record["step_seconds"]) for n, record in zip(steps, timed))


def run_missing(path: Path, about: dict, rows: str, names: Iterable, run: Callable, arrays: dict | None = None) -> None:
    """Run the rest of a study, in order, and store it in `path`: a study that was stopped continues.

    `run(name)` returns a row for the list called `rows`, which is stored with `about`, and {name: array} for the .npz
    file beside it, which starts with `arrays`. To repeat a row, delete it and all rows after it.
    """
    kept = path.with_suffix(".npz")
    report = read_json(path, about | {rows: []})
    arrays = dict(np.load(kept)) if kept.is_file() else arrays or {}
    for name in list(names)[len(report[rows]) :]:
        row, made = run(name)
        arrays |= made
        report[rows].append(row)
        if arrays:
            with replacing(kept) as [part], open(part, "wb") as file:
                np.savez_compressed(file, **arrays)
        write_json(path, report)
