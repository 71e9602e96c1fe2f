"""One thing changed at a time: the same short training again and again, measured on test rooms and objects.

    python notebooks/tools/ablate.py losses --seeds 3      # what does each loss do? (extras/loss_ablation_report)
    python notebooks/tools/ablate.py losses --only Dice    # rows whose name has this word

Each run is a line of data/results/ablation.jsonl: what was changed, the seed (which draws the first weights and the
samples), its commands, its seconds, and the figures on test rooms and objects and on the scenes in real light. Runs
that are stored already are not repeated, and a stopped run continues.
"""

import itertools
import json

import results
import torch
from notebook_files import ROOT, tool_parser
from torch.utils.data import Dataset, Subset

from maskdepth_utils.data import MaskDepthDataset, SceneDataset, make_loader
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.files import write_file
from maskdepth_utils.models.weights import load_network, read_run

STORED = results.RESULTS / "ablation.jsonl"
# Small, and without the full-size detail, so that three seeds of each row are affordable.
BASE = {
    "--rooms": "400", "--gap": "tripod", "--size": "80", "--width": "0.25", "--detail": "off", "--batch": "16",
    "--optimizer": "adamw", "--lr": "0.001", "--weight-decay": "0.01", "--schedule": "one-cycle",
    "--mask-loss": "bce=1 ssim=1", "--depth-loss": "l1=1 edge=1 ssim=1", "--val-every": "100000",
    "--val-samples": "16", "--workers": "0",
}  # fmt: skip
# What each row changes in the base; "" marks a flag.
STUDIES = {
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
}


def options(study: str, row: str) -> str:
    """Return the options of `train` for one row."""
    return " ".join(f"{option} {value}".strip() for option, value in (BASE | STUDIES[study][row]).items())


def run(study: str, row: str, seed: int, samples: int, tested: int = 400) -> dict:
    """Train and measure; a stopped training run continues."""
    out = results.run_folder("ablation", study, row, seed, samples)
    train = f"train --out {out} --samples {samples} --seed {seed} {options(study, row)}"
    size = int(BASE["--size"])
    test = f"evaluate --checkpoint {out} --size {size} --gap tripod --count {tested} --no-baselines"
    commands = [f"python -m maskdepth_utils {command}" for command in (train, test)]
    with results.timed_report(changed=STUDIES[study][row], commands=commands) as report:
        results.call(train)
        results.require_finished(out, samples)
    report["seconds"] = round(results.training_seconds(read_run(ROOT / out)["history"]))
    network = load_network(ROOT / out)[0]
    return report | {
        "test": measure(network, MaskDepthDataset("test", size, "tripod"), tested),
        "scenes": measure(network, SceneDataset(size, "none"), tested),
    }


def measure(network: torch.nn.Module, dataset: Dataset, count: int) -> dict:
    """Return the figures of a network on the first samples of a dataset."""
    batches = make_loader(Subset(dataset, range(min(count, len(dataset)))), batch=32)
    figures = evaluate(network_predict(network.eval()), batches)
    return {name: round(value, 5) for name, value in figures.items() if name != "images"}


def main() -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--samples", type=int, default=20000, help="training samples of each run")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="rows whose name has one of these")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs of each row")
    args = parser.parse_args()
    # All rows once, then all again: a study that is stopped early leaves a complete table.
    for seed, row in itertools.product(range(args.seeds), STUDIES[args.study]):
        key = {"study": args.study, "row": row, "seed": seed, "samples": args.samples}
        lines = STORED.read_text(encoding="utf8").splitlines() if STORED.is_file() else []
        is_stored = any(key.items() <= json.loads(line).items() for line in lines)
        if not is_stored and any(word in row for word in args.only):
            found = key | run(**key)
            write_file(STORED, "".join(f"{line}\n" for line in [*lines, json.dumps(found)]).encode())
            print(row, seed, {name: found["test"][name] for name in ("iou", "rmse")}, flush=True)


if __name__ == "__main__":
    main()
