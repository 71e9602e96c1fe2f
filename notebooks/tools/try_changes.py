"""What holds the network back? The same short training with one thing changed at a time, measured on test rooms.

    python notebooks/tools/try_changes.py               # minutes a row on a CPU; can be stopped and started
    python notebooks/tools/try_changes.py --only rooms  # rows whose name has this word

Every run sees equally many samples at 80 px, with all 100 training objects. Each row of data/results/tried.json has its
two commands, the figures on test rooms and objects, and those in its own training rooms with training objects (at other
places and in other light than in training). The rows with other numbers of rooms are the learning curve.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time

from notebook_files import NOTEBOOKS
from train_network import RESULTS
from write_results import commit, machine

from maskdepth_utils import checkpoint

ROOT = NOTEBOOKS.parent
BASE = {
    "--rooms": "400", "--gap": "mixed", "--size": "80", "--width": "0.5", "--batch": "16", "--optimizer": "adamw",
    "--lr": "0.001", "--weight-decay": "0.01", "--schedule": "one-cycle", "--mask-loss": "bce=1 ssim=1 dice=1",
    "--val-every": "100000", "--val-samples": "16", "--workers": "1",
}  # fmt: skip
# None takes an option away; "" is a switch.
CHANGES = {
    "base": {},
    "25 rooms": {"--rooms": "25"},
    "50 rooms": {"--rooms": "50"},
    "100 rooms": {"--rooms": "100"},
    "200 rooms": {"--rooms": "200"},
    "no detail": {"--no-detail": ""},
    "no skips, no detail": {"--no-skips": ""},
    "trained on tripod only": {"--gap": "tripod"},
    "mask loss without Dice": {"--mask-loss": None},
    "depth loss with log": {"--depth-loss": "l1=1 edge=1 ssim=1 log=1"},
    "batch 32": {"--batch": "32"},
    "constant learning rate": {"--schedule": None},
    "width 0.25": {"--width": "0.25"},
    "width 1": {"--width": None},
}
TEST = "--size 80 --gap tripod --count 400 --no-baselines"
FIGURES = ("iou", "boundary_f", "rmse", "abs_rel", "delta1")


def run(command: str, **options) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "maskdepth_utils", *shlex.split(command)]
    return subprocess.run(words, cwd=ROOT, check=True, text=True, **options)


def figures(command: str) -> dict:
    found = json.loads(run(command + " --json", stdout=subprocess.PIPE).stdout)["results"]["MaskDepthNet"]
    return {name: found[name] for name in FIGURES}


def options(name: str) -> str:
    """One row's options for `train`."""
    changed = {option: value for option, value in (BASE | CHANGES[name]).items() if value is not None}
    return " ".join(f"{option} {value}".strip() for option, value in changed.items())


def row(name: str, samples: int) -> dict:
    """Train and measure one row; a training that was stopped goes on."""
    rooms = (BASE | CHANGES[name])["--rooms"]
    out, started = f"build/runs/tried-{samples}-{name.replace(' ', '-').replace(',', '')}", time.monotonic()
    train = f"train --out {out} --samples {samples} {options(name)}"
    test = f"evaluate --checkpoint {out} {TEST}"
    run(train)
    return {
        "row": name, "changed": CHANGES[name], "seed": 0,
        "commands": [f"python -m maskdepth_utils {command}" for command in (train, test)], "test": figures(test),
        "training": figures(f"{test} --split train --rooms {rooms} --seed 1"),
        "seconds": round(time.monotonic() - started), "commit": commit(), "machine": machine(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=32000, help="training samples of each run")
    parser.add_argument("--only", default="", metavar="WORD", help="rows whose name has this word")
    args, path = parser.parse_args(), RESULTS / "tried.json"
    stored = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    rows = {one["row"]: one for one in stored["rows"]} if stored.get("samples") == args.samples else {}
    for name in CHANGES:
        if args.only in name and name not in rows:
            rows[name] = row(name, args.samples)
            ordered = [rows[known] for known in CHANGES if known in rows]
            text = json.dumps({"samples": args.samples, "rows": ordered}, indent=1) + "\n"
            checkpoint.write_file(path, text.encode())
        if name in rows:
            print(name, rows[name]["test"], flush=True)


if __name__ == "__main__":
    main()
