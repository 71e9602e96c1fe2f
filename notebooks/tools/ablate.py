"""One thing changed at a time: the same short training again and again, measured on test rooms and objects.

    python notebooks/tools/ablate.py network                # what holds the network back? (notebook 05)
    python notebooks/tools/ablate.py recipe                 # the same around the shipped network's recipe
    python notebooks/tools/ablate.py 160px --samples 12000  # its most telling row again, with larger pictures
    python notebooks/tools/ablate.py losses --seeds 3       # what does each loss do? (extras/loss_ablation_report)
    python notebooks/tools/ablate.py network --only rooms log    # rows whose name has one of these words

Each run is a line of data/results/ablation.jsonl: what was changed, the seed (which draws the first weights and the
samples), its commands, its seconds, and the figures on test rooms and objects, on the scenes in real light, and in its
own training rooms with training objects (at other places and in other light). Runs that are stored already are not
repeated, and a stopped run continues.
"""

import itertools
import json
from argparse import Namespace

import results
import torch
from notebook_files import ROOT, tool_parser
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Dataset, Subset

from maskdepth_utils.__main__ import make_parser
from maskdepth_utils.cli import new_network
from maskdepth_utils.data import MaskDepthDataset, SceneDataset, make_loader
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.files import write_file
from maskdepth_utils.models.networks import MaskDepth
from maskdepth_utils.models.weights import load_network, read_run

STORED = results.RESULTS / "ablation.jsonl"
SMALLEST = 0.03  # 30 cm in units of 10 m: where the two scales of depth below begin
DECAY = 0.99  # of the averaged weights: the average spans about a hundred of the 1,250 steps
BASE = {
    "--rooms": "400", "--gap": "mixed", "--size": "80", "--width": "0.5", "--batch": "16", "--optimizer": "adamw",
    "--lr": "0.001", "--weight-decay": "0.01", "--schedule": "one-cycle", "--mask-loss": "bce=1 ssim=1",
    "--depth-loss": "l1=1 edge=1 ssim=1", "--val-every": "100000", "--val-samples": "16", "--workers": "0",
}  # fmt: skip
# The losses are compared on a small network without the full-size detail, so that three seeds of each are affordable.
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
# What each row changes in its base. None removes an option; "" marks a flag.
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
        "no skips": {"--no-skips": "", "--detail": "on"},
        "depth loss with log": {"--depth-loss": "l1=1 edge=1 ssim=1 log=1"},
        "mask loss with Dice": {"--mask-loss": "bce=1 ssim=1 dice=1"},
        "trained on tripod only": {"--gap": "tripod"},
        "learning rate 0.004": {"--lr": "0.004"},
        "learning rate 0.01": {"--lr": "0.01"},
        "width 0.25": {"--width": "0.25"},
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
    "recipe": {  # and the rows of BY_HAND
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
# Rows of "recipe" that no option of `train` makes: another meaning of the depth head's sigmoid, averaged weights.
BY_HAND = {
    "depth head: log": lambda s: SMALLEST ** (1 - s),  # equal steps are equal factors (Eigen et al. 2014)
    "depth head: inverse": lambda s: 1 / (1 + (1 / SMALLEST - 1) * (1 - s)),  # its fine steps are near the camera
    "averaged weights": None,
}


def options(study: str, row: str) -> str:
    """Return the options of `train` for one row; a row of BY_HAND has its base's."""
    changed = BASES[study] | STUDIES[study].get(row, {})
    return " ".join(f"{option} {value}".strip() for option, value in changed.items() if value is not None)


def run(study: str, row: str, seed: int, samples: int, tested: int = 400) -> dict:
    """Train and measure; a stopped training run continues, except those of BY_HAND."""
    out = results.run_folder("ablation", study, row, seed, samples)
    train = f"train --out {out} --samples {samples} --seed {seed} {options(study, row)}"
    settings = make_parser().parse_args(train.split())
    test = f"evaluate --checkpoint {out} --size {settings.size} --gap tripod --count {tested} --no-baselines"
    with results.timed_report(changed=STUDIES[study].get(row, {"by hand": row})) as report:
        if row in BY_HAND:
            network = train_by_hand(row, settings)
            report["commands"] = [f"python notebooks/tools/ablate.py {study} --only {row.split()[-1]}"]
        else:
            results.call(train)
            results.require_finished(out, samples)
            network = load_network(ROOT / out)[0]
            report["commands"] = [f"python -m maskdepth_utils {command}" for command in (train, test)]
    if row not in BY_HAND:
        report["seconds"] = round(results.training_seconds(read_run(ROOT / out)["history"]))
    known = MaskDepthDataset("train", settings.size, "tripod", seed + 1000, settings.rooms)
    return report | {
        "test": measure(network, MaskDepthDataset("test", settings.size, "tripod"), tested),
        "scenes": measure(network, SceneDataset(settings.size, "none"), tested),
        "training": measure(network, known, tested),
    }


def train_by_hand(row: str, settings: Namespace) -> torch.nn.Module:
    """Train in this process, with one change of BY_HAND."""
    torch.manual_seed(settings.seed)
    network = new_network(settings)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)
    scale = BY_HAND[row]

    def change(module, inputs, output):
        if scale:
            return MaskDepth(output[0], scale(output[1]))
        if module.training:
            average.update_parameters(module)

    network.register_forward_hook(change)
    results.fit_as_commanded(network, settings)
    return network if scale else average.module


def measure(network: torch.nn.Module, dataset: Dataset, count: int) -> dict:
    """Return the figures of a network on the first samples of a dataset."""
    batches = make_loader(Subset(dataset, range(min(count, len(dataset)))), batch=32)
    figures = evaluate(network_predict(network.eval()), batches)
    return {name: round(value, 5) for name, value in figures.items() if name != "images"}


def main() -> None:
    parser = tool_parser(__doc__, only=True)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--samples", type=int, default=20000, help="training samples of each run")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs of each row")
    args = parser.parse_args()
    rows = [*STUDIES[args.study], *(BY_HAND if args.study == "recipe" else [])]
    # All rows once, then all again: a study that is stopped early leaves a complete table.
    for seed, row in itertools.product(range(args.seeds), rows):
        key = {"study": args.study, "row": row, "seed": seed, "samples": args.samples}
        lines = STORED.read_text(encoding="utf8").splitlines() if STORED.is_file() else []
        is_stored = any(key.items() <= json.loads(line).items() for line in lines)
        if not is_stored and any(word in row for word in args.only):
            found = key | run(**key)
            write_file(STORED, "".join(f"{line}\n" for line in [*lines, json.dumps(found)]).encode())
            print(row, seed, {name: found["test"][name] for name in ("iou", "rmse")}, flush=True)


if __name__ == "__main__":
    main()
