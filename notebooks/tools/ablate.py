"""One thing changed at a time: the same short training again and again, measured on test rooms and objects.

    python notebooks/tools/ablate.py network                # what holds the network back? (notebook 05)
    python notebooks/tools/ablate.py recipe                 # the same around the shipped network's recipe
    python notebooks/tools/ablate.py 160px --samples 12000  # its most telling row again, in larger pictures
    python notebooks/tools/ablate.py losses --seeds 3       # what does each loss do? (notebook 04)
    python notebooks/tools/ablate.py network --only rooms log    # rows whose name has one of these words

Each run is one line of data/results/ablation.jsonl: what was changed, the seed (which draws the first weights and the
samples), its two commands, and the figures on test rooms and objects, on the scenes in real light, and in its own
training rooms with training objects (at other places and in other light), and the seconds of training, in all its
sessions. Every run of a study sees equally many samples, at 80 px where nothing else is said. Runs that are there
already are not repeated, and one that was stopped goes on. Several runs at once (--jobs) share the cores: two of one
thread each are as fast as one of two threads, and other work beside costs less.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

from notebook_files import NOTEBOOKS
from train_network import RESULTS, finished, training_seconds
from write_results import commit, machine

from maskdepth_utils.files import write_file
from maskdepth_utils.training import checkpoint

ROOT = NOTEBOOKS.parent
STORED = RESULTS / "ablation.jsonl"
BASE = {
    "--rooms": "400", "--gap": "mixed", "--size": "80", "--width": "0.5", "--batch": "16", "--optimizer": "adamw",
    "--lr": "0.001", "--weight-decay": "0.01", "--schedule": "one-cycle", "--mask-loss": "bce=1 ssim=1",
    "--depth-loss": "l1=1 edge=1 ssim=1", "--val-every": "100000", "--val-samples": "16", "--workers": "0",
}  # fmt: skip
# The losses are compared on a small network without the full-size detail, so that three seeds of each can be had.
BASES = {
    "network": BASE,
    "losses": BASE | {"--width": "0.25", "--detail": "off", "--gap": "tripod"},
    # recipe.json's first stage, as it was when these were run
    "recipe": BASE | {
        "--rooms": "800", "--lr": "0.006", "--recolor": "", "--real-light": "",
        "--mask-loss": "bce=1 ssim=1 dice=1 cut=0.5", "--depth-loss": "l1=1 edge=1 ssim=1 log=0.3",
    },
}  # fmt: skip
BASES["160px"] = BASES["recipe"] | {"--size": "160", "--batch": "8", "--lr": "0.003"}
# What each row changes of its base. None takes an option away; "" is a switch.
STUDIES = {
    "network": {
        "base": {},
        "25 rooms": {"--rooms": "25"},
        "100 rooms": {"--rooms": "100"},
        "plain difference": {"--detail": "raw"},
        "no detail": {"--detail": "off"},
        "real light": {"--real-light": ""},
        "50 rooms": {"--rooms": "50"},
        "200 rooms": {"--rooms": "200"},
        "other colours": {"--recolor": ""},
        "neither skips nor detail": {"--no-skips": ""},
        "no skips": {"--no-skips": "", "--detail": "on"},
        "depth loss with log": {"--depth-loss": "l1=1 edge=1 ssim=1 log=1"},
        "mask loss with Dice": {"--mask-loss": "bce=1 ssim=1 dice=1"},
        "trained on tripod only": {"--gap": "tripod"},
        "batch 32": {"--batch": "32"},
        "constant learning rate": {"--schedule": None},
        "learning rate 0.004": {"--lr": "0.004"},
        "learning rate 0.01": {"--lr": "0.01"},
        "width 0.25": {"--width": "0.25"},
        "width 1": {"--width": None},
    },
    "losses": {
        "L1 + edge + SSIM (base)": {},
        "L1": {"--depth-loss": "l1=1 edge=0 ssim=0"},
        "L1 + edge": {"--depth-loss": "l1=1 edge=1 ssim=0"},
        "L1 + SSIM": {"--depth-loss": "l1=1 edge=0 ssim=1"},
        "2020's weights": {"--depth-loss": "l1=0.1 edge=1 ssim=1"},
        "mask SSIM on logits": {"--mask-ssim-on": "logits"},
        "uncertainty weighting": {"--uncertainty": ""},
        "no skips": {"--no-skips": ""},
        "mask BCE alone": {"--mask-loss": "bce=1 ssim=0"},
        "mask BCE + Dice": {"--mask-loss": "bce=1 ssim=0 dice=1"},
    },
    "recipe": {  # ablate_by_hand.py adds three rows
        "base": {},
        "constant learning rate": {"--schedule": None},
        "batch 32": {"--batch": "32"},
        "rooms halved": {"--rooms": "400"},
        "no detail": {"--detail": "off"},
        "plain difference": {"--detail": "raw"},
        "no skips": {"--no-skips": "", "--detail": "on"},
        "width 0.25": {"--width": "0.25"},
        "without Dice": {"--mask-loss": "bce=1 ssim=1 cut=0.5"},
        "without cut": {"--mask-loss": "bce=1 ssim=1 dice=1"},
        "uncertainty weighting": {"--uncertainty": ""},
        "stem 3x3": {"--stem": "3x3"},
        "stem 3x3, width 0.25": {"--stem": "3x3", "--width": "0.25"},
        "width 1": {"--width": None},
    },
    "160px": {
        "base": {},
        "stem 3x3, width 0.25": {"--stem": "3x3", "--width": "0.25"},
    },
}
TEST = "--gap tripod --count 400 --no-baselines"
SCENES = "--gap none --count 100 --no-baselines --scenes"


def options(study: str, row: str) -> str:
    """One row's options for `train`."""
    changed = {option: value for option, value in (BASES[study] | STUDIES[study][row]).items() if value is not None}
    return " ".join(f"{option} {value}".strip() for option, value in changed.items())


def call(command: str, **kwargs) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "maskdepth_utils", *shlex.split(command)]
    return subprocess.run(words, cwd=ROOT, check=True, text=True, **kwargs)


def figures(command: str) -> dict:
    """The network's figures of one `evaluate`, those on the object and near its outline marked as such."""
    found = json.loads(call(command + " --json", stdout=subprocess.PIPE).stdout)
    regions = {"results": "", "on_the_object": "_object", "near_its_outline": "_edge"}
    return {
        name + suffix: round(value, 5)
        for region, suffix in regions.items()
        for name, value in found[region]["MaskDepthNet"].items()
    }


def run(study: str, row: str, seed: int, samples: int) -> dict:
    """Train and measure; a training that was stopped goes on."""
    name = "".join(c if c.isalnum() else "-" for c in f"{study}-{row}-{seed}-{samples}")
    out = f"build/runs/ablation/{name}"
    train = f"train --out {out} --samples {samples} --seed {seed} {options(study, row)}"
    size = f"--size {BASES[study]['--size']}"
    test = f"evaluate --checkpoint {out} {size} {TEST}"
    call(train)
    if not finished(out, samples):
        raise SystemExit(f"{out} is not finished: run this again to go on")
    seconds = training_seconds(checkpoint.read_run(ROOT / out)[0]["history"])
    rooms = (BASES[study] | STUDIES[study][row])["--rooms"]
    return {
        "study": study, "row": row, "seed": seed, "samples": samples, "changed": STUDIES[study][row],
        "test": figures(test), "scenes": figures(f"evaluate --checkpoint {out} {size} {SCENES}"),
        "training": figures(f"{test} --split train --rooms {rooms} --seed {seed + 1000}"),
        "commands": [f"python -m maskdepth_utils {command}" for command in (train, test)],
        "seconds": round(seconds), "commit": commit(), "machine": machine(),
    }  # fmt: skip


def stored() -> list[dict]:
    """What has been run."""
    return [json.loads(line) for line in STORED.read_text(encoding="utf8").splitlines()] if STORED.is_file() else []


def store(row: dict) -> None:
    """Add a run to the file, and say so."""
    write_file(STORED, "".join(json.dumps(line) + "\n" for line in [*stored(), row]).encode())
    print(row["row"], row["seed"], {name: row["test"][name] for name in ("iou", "rmse")}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--seeds", type=int, default=1, help="how many runs of each row")
    parser.add_argument("--samples", type=int, default=20000, help="training samples of each run")
    parser.add_argument("--jobs", type=int, default=1, help="how many runs at a time")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="WORD", help="rows whose name has one of these words"
    )
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // args.jobs)))  # for what runs start
    wanted = [  # all rows once, then all again: stopped early, it leaves a whole table
        {"study": args.study, "row": row, "seed": seed, "samples": args.samples}
        for seed in range(args.seeds) for row in STUDIES[args.study] if any(word in row for word in args.only)
    ]  # fmt: skip
    missing = [key for key in wanted if not any(key.items() <= one.items() for one in stored())]
    pool = ThreadPoolExecutor(args.jobs)
    try:
        for done in as_completed([pool.submit(run, **key) for key in missing]):
            store(done.result())
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, which the trainings at work get too, none begins


if __name__ == "__main__":
    main()
