"""One thing changed at a time: the same short training again and again, measured on test rooms and objects.

    python notebooks/tools/ablate.py network                # what holds the network back? (notebook 05)
    python notebooks/tools/ablate.py recipe                 # the same around the shipped network's recipe
    python notebooks/tools/ablate.py 160px --samples 12000  # its most telling row again, with larger pictures
    python notebooks/tools/ablate.py losses --seeds 3       # what does each loss do? (notebook 04)
    python notebooks/tools/ablate.py network --only rooms log    # rows whose name has one of these words

Each run is a line of data/results/ablation.jsonl: what was changed, the seed (which draws the first weights and the
samples), its commands, its seconds, and the figures on test rooms and objects, on the scenes in real light, and in its
own training rooms with training objects (at other places and in other light). Runs that are stored already are not
repeated, and a stopped run continues.
"""

import functools
import json

import results
import torch
from notebook_files import ROOT, tool_parser
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Subset

from maskdepth_utils.__main__ import make_parser
from maskdepth_utils.cli import new_network
from maskdepth_utils.data import MaskDepthDataset, SceneDataset, make_loader
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.files import write_file
from maskdepth_utils.models.networks import MaskDepth
from maskdepth_utils.models.weights import read_run

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
TEST = "--gap tripod --count 400 --no-baselines"
SCENES = "--gap none --count 100 --no-baselines --scenes"


def options(study: str, row: str) -> str:
    """Return the options of `train` for one row."""
    changed = BASES[study] | STUDIES[study][row]
    return " ".join(f"{option} {value}".strip() for option, value in changed.items() if value is not None)


def figures(command: str) -> dict:
    """Run `evaluate`; return the network's figures, those on the object and near its outline marked as such."""
    found = results.evaluate_by_command(command)
    rounded = {}
    for region, suffix in {"results": "", "on_the_object": "_object", "near_its_outline": "_edge"}.items():
        rounded |= {name + suffix: round(value, 5) for name, value in found[region]["MaskDepthNet"].items()}
    return rounded


def run(study: str, row: str, seed: int, samples: int) -> dict:
    """Train by the command and measure; a stopped training run continues."""
    out = results.run_folder("ablation", study, row, seed, samples)
    train = f"train --out {out} --samples {samples} --seed {seed} {options(study, row)}"
    network = f"--checkpoint {out} --size {BASES[study]['--size']}"
    test = f"{network} {TEST}"
    results.call(train)
    results.require_finished(out, samples)
    rooms = (BASES[study] | STUDIES[study][row])["--rooms"]
    return {
        "changed": STUDIES[study][row], "test": figures(test), "scenes": figures(f"{network} {SCENES}"),
        "training": figures(f"{test} --split train --rooms {rooms} --seed {seed + 1000}"),
        "commands": [f"python -m maskdepth_utils {command}" for command in (train, f"evaluate {test}")],
        "seconds": round(results.training_seconds(read_run(ROOT / out)["history"])),
    }  # fmt: skip


class Averaging:
    """A weighting for `fit` that adds up the terms and keeps a moving average of the network."""

    def __init__(self, network: torch.nn.Module):
        self.network = network
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)

    def __call__(self, terms: dict) -> torch.Tensor:
        if self.network.training:
            self.average.update_parameters(self.network)
        return sum(terms.values())


def measure(network: torch.nn.Module, dataset, count: int) -> dict:
    """Evaluate a network in this process."""
    batches = make_loader(Subset(dataset, range(min(count, len(dataset)))), batch=16)
    return {name: round(value, 5) for name, value in evaluate(network_predict(network.eval()), batches).items()}


def run_by_hand(row: str, seed: int, samples: int, tested: int = 400) -> dict:
    """Train the base of "recipe" in this process with one change of BY_HAND, and measure."""
    settings = make_parser().parse_args(f"train --out x --seed {seed} {options('recipe', 'base')}".split())
    torch.manual_seed(seed)
    network = new_network(settings)
    scale = BY_HAND[row]
    if scale:
        network.register_forward_hook(lambda module, inputs, output: MaskDepth(output[0], scale(output[1])))
    averaging = None if scale else Averaging(network)
    command = f"python notebooks/tools/ablate.py recipe --only {row.split()[-1]}"
    with results.timed_report(changed={"by hand": row}, commands=[command]) as report:
        results.fit_as_commanded(network, settings, samples=samples, weighting=averaging)
    network = averaging.average.module if averaging else network
    known = MaskDepthDataset("train", 80, "tripod", seed + 1000, settings.rooms)
    return report | {
        "test": measure(network, MaskDepthDataset("test", 80, "tripod"), tested),
        "scenes": measure(network, SceneDataset(80, "none"), min(100, tested)),
        "training": measure(network, known, tested),
    }


def stored() -> list[dict]:
    """Return the stored runs."""
    return [json.loads(line) for line in STORED.read_text(encoding="utf8").splitlines()] if STORED.is_file() else []


def main() -> None:
    parser = tool_parser(__doc__, samples=20000)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--seeds", type=int, default=1, help="how many runs of each row")
    args = parser.parse_args()
    rows = dict.fromkeys(STUDIES[args.study], functools.partial(run, args.study))
    if args.study == "recipe":
        rows |= {row: run_by_hand for row in BY_HAND}
    # All rows once, then all again: a study that is stopped early leaves a complete table.
    wanted = [
        {"study": args.study, "row": row, "seed": seed, "samples": args.samples}
        for seed in range(args.seeds)
        for row in rows
        if any(word in row for word in args.only)
    ]
    for key in wanted:
        if any(key.items() <= one.items() for one in stored()):
            continue
        row = key | rows[key["row"]](key["row"], key["seed"], key["samples"])
        row |= {"commit": results.commit(), "machine": results.machine()}
        write_file(STORED, "".join(json.dumps(line) + "\n" for line in [*stored(), row]).encode())
        print(row["row"], row["seed"], {name: row["test"][name] for name in ("iou", "rmse")}, flush=True)


if __name__ == "__main__":
    main()
