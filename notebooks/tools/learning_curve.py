"""How many training rooms are enough? The same training with 25 to 400 of them, measured on test rooms.

    python notebooks/tools/learning_curve.py     # about 6 minutes a row on two CPU cores; can be stopped and started

Every run sees equally many samples, with all 100 training objects: with fewer rooms, each comes more often. Each row of
data/results/learning_curve.json has its two commands, the figures on test rooms and objects, and those in its own
training rooms with training objects (at other places and in other light than in training).
"""

import argparse
import json
import subprocess
import sys
import time

from notebook_files import NOTEBOOKS
from train_network import RESULTS
from write_results import commit, machine

from maskdepth_utils import checkpoint

ROOT = NOTEBOOKS.parent
ROOMS = (25, 50, 100, 200, 400)
TRAIN = (
    "--size 80 --batch 16 --width 0.5 --gap mixed --mask-loss bce=1 ssim=1 dice=1 --optimizer adamw "
    "--weight-decay 0.01 --lr 0.001 --schedule one-cycle --val-every 10000 --workers 1"
)
TEST = "--size 80 --gap tripod --count 400 --no-baselines"
FIGURES = ("iou", "boundary_f", "rmse", "abs_rel", "delta1")


def run(command: str, **options) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "maskdepth_utils", *command.split()]
    return subprocess.run(words, cwd=ROOT, check=True, text=True, **options)


def figures(command: str) -> dict:
    found = json.loads(run(command + " --json", stdout=subprocess.PIPE).stdout)["results"]["MaskDepthNet"]
    return {name: found[name] for name in FIGURES}


def row(rooms: int, samples: int) -> dict:
    out, started = f"build/runs/rooms-{rooms}", time.monotonic()
    train = f"train --out {out} --rooms {rooms} --samples {samples} {TRAIN}"
    test = f"evaluate --checkpoint {out} {TEST}"
    run(train)
    return {
        "rooms": rooms, "commands": [f"python -m maskdepth_utils {command}" for command in (train, test)], "seed": 0,
        "test": figures(test), "training": figures(f"{test} --split train --rooms {rooms} --seed 1"),
        "seconds": round(time.monotonic() - started), "commit": commit(), "machine": machine(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=40000, help="training samples of each run")
    samples, path = parser.parse_args().samples, RESULTS / "learning_curve.json"
    stored = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    rows = stored["rows"] if stored.get("samples") == samples else []
    for rooms in ROOMS:
        if rooms not in [one["rooms"] for one in rows]:
            rows.append(row(rooms, samples))
            content = json.dumps({"samples": samples, "rows": rows}, indent=1) + "\n"
            checkpoint.write_file(path, content.encode())
        print(rooms, rows[ROOMS.index(rooms)]["test"], flush=True)


if __name__ == "__main__":
    main()
