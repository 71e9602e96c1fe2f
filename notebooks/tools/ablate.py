"""One thing changed at a time: the same short training again and again, measured on test rooms and objects.

    python notebooks/tools/ablate.py    # what does each loss do? For extras/loss_ablation_report.ipynb

Each run is a line of data/results/ablation.jsonl: what was changed, the seed (which draws the first weights and the
samples), its commands, its seconds, and the figures on test rooms and objects and on the scenes in real light. Runs
that are stored already are not repeated, and a stopped run continues.
"""

import itertools
import json

import results
from notebook_files import ROOT, tool_parser

from maskdepth_utils.data import MaskDepthDataset, SceneDataset
from maskdepth_utils.files import write_file
from maskdepth_utils.models.weights import load_network, read_run

STORED = results.RESULTS / "ablation.jsonl"
SAMPLES = 20000  # of each training
SEEDS = 3
TESTED = 400  # test samples
# Small, and without the full-size detail, so that three seeds of each row are affordable.
BASE = {
    "--rooms": "400", "--gap": "tripod", "--size": "80", "--width": "0.25", "--detail": "off", "--batch": "16",
    "--optimizer": "adamw", "--lr": "0.001", "--weight-decay": "0.01", "--schedule": "one-cycle",
    "--mask-loss": "bce=1 ssim=1", "--depth-loss": "l1=1 edge=1 ssim=1", "--val-every": "100000",
    "--val-samples": "16", "--workers": "0",
}  # fmt: skip
# What each row changes in the base; "" marks a flag.
ROWS = {
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
}


def options(row: str) -> str:
    """Return the options of `train` for one row."""
    return " ".join(f"{option} {value}".strip() for option, value in (BASE | ROWS[row]).items())


def run(study: str, row: str, seed: int, samples: int) -> dict:
    """Train and measure; a stopped training run continues."""
    out = results.run_folder("ablation", study, row, seed, samples)
    train = f"train --out {out} --samples {samples} --seed {seed} {options(row)}"
    size = int(BASE["--size"])
    test = f"evaluate --checkpoint {out} --size {size} --gap tripod --count {TESTED} --no-baselines"
    commands = [f"python -m maskdepth_utils {command}" for command in (train, test)]
    with results.timed_report(changed=ROWS[row], commands=commands) as report:
        results.call(train)
        results.require_finished(out, samples)
    report["seconds"] = round(results.training_seconds(read_run(ROOT / out)["history"]))
    network = load_network(ROOT / out)[0]
    datasets = {"test": MaskDepthDataset("test", size, "tripod"), "scenes": SceneDataset(size, "none")}
    for name, dataset in datasets.items():
        figures = results.measure_network(network, dataset, TESTED)
        report[name] = {figure: round(value, 5) for figure, value in figures.items() if figure != "images"}
    return report


def main() -> None:
    tool_parser(__doc__).parse_args()
    # All rows once, then all again: a study that is stopped early leaves a complete table.
    for seed, row in itertools.product(range(SEEDS), ROWS):
        key = {"study": "losses", "row": row, "seed": seed, "samples": SAMPLES}
        lines = STORED.read_text(encoding="utf8").splitlines() if STORED.is_file() else []
        if not any(key.items() <= json.loads(line).items() for line in lines):
            found = key | run(**key)
            write_file(STORED, "".join(f"{line}\n" for line in [*lines, json.dumps(found)]).encode())
            print(row, seed, {name: found["test"][name] for name in ("iou", "rmse")}, flush=True)


if __name__ == "__main__":
    main()
