"""How good a mask does a quarter of an hour buy, from nothing? Notebook 06 shows the answer.

    python notebooks/tools/quarter_hour.py    # on an idle machine; ten minutes or more on two CPU cores

Trains the mask branch of a small `MaskDepthNet` at 80 px, on pairs that differ in nothing but the object, and measures
it on test rooms and objects. data/results/quarter_hour.json gets the commands, commit, machine, minutes and figures.
"""

import json
import subprocess
import time

from ablate import call
from train_network import RESULTS, finished, summarise
from write_results import commit, machine

from maskdepth_utils.files import write_file

OUT = "build/runs/quarter-hour"
SAMPLES = 100_000
TRAIN = (
    f"train --out {OUT} --restart --tasks mask --width 0.25 --size 80 --gap none --rooms 400 --samples {SAMPLES} "
    "--batch 16 --optimizer adamw --lr 0.002 --weight-decay 0.01 --schedule one-cycle "
    "--mask-loss bce=1 ssim=1 dice=1 --val-gap none --val-every 625 --val-samples 128"
)
TESTS = {gap: f"evaluate --checkpoint {OUT} --size 80 --count 400 --gap {gap}" for gap in ("none", "tripod")}


def main() -> None:
    begun_at, start = commit(), time.monotonic()
    call(TRAIN)
    if not finished(OUT, SAMPLES):
        raise SystemExit("interrupted: nothing is stored")
    minutes, found = (time.monotonic() - start) / 60, {}
    for gap, test in TESTS.items():
        results = json.loads(call(f"{test} --json", stdout=subprocess.PIPE).stdout)["results"]
        found[gap] = {name: round(results[name]["iou"], 4) for name in ("MaskDepthNet", "difference threshold")}
    run = summarise(OUT)
    rate = run["images_per_second"]
    report = {
        "commands": [f"python -m maskdepth_utils {command}" for command in (TRAIN, *TESTS.values())],
        "commit": begun_at, "machine": machine(), "precision": run["machine"]["precision"], "samples": run["samples"],
        "images_per_second": rate, "minutes": round(minutes, 1), "mask IoU": found,
        "validation": [
            {"minutes": round(samples / rate / 60, 2), "iou": value}
            for samples, value in zip(run["curves"]["samples"], run["curves"]["val_iou"])
        ],
    }  # fmt: skip
    print(json.dumps(report["mask IoU"], indent=1), f"after {minutes:.1f} minutes")
    write_file(RESULTS / "quarter_hour.json", (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
