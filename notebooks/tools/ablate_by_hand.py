"""Two changes that no option of `train` makes, to the base of ablate.py's study "recipe": what the depth head's numbers
stand for, and weights averaged over the last steps. Their rows stand in the same table (notebook 05).

    python notebooks/tools/ablate_by_hand.py

Each run is a line of data/results/ablation.jsonl; those that are there are not repeated.
"""

import argparse
import functools
import time

import torch
from ablate import options, store, stored
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Subset
from write_results import commit, machine

from maskdepth_utils.__main__ import make_parser
from maskdepth_utils.cli import make_loss, new_network, training_samples
from maskdepth_utils.data import MaskDepthDataset, SceneDataset, make_loader
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.models.networks import MaskDepth
from maskdepth_utils.training import fit

SMALLEST = 0.03  # 30 cm, in units of 10 m: where the two scales below begin
DECAY = 0.99  # of the average: it remembers about a hundred of the 1,250 steps


def log_scale(s: torch.Tensor) -> torch.Tensor:
    """A sigmoid's values as the logarithm of depth: equal steps are equal factors (Eigen et al. 2014)."""
    return SMALLEST ** (1 - s)


def inverse_scale(s: torch.Tensor) -> torch.Tensor:
    """A sigmoid's values as inverse depth, which has its fine steps near the camera."""
    return 1 / (1 + (1 / SMALLEST - 1) * (1 - s))


HEADS = {"depth head: log": log_scale, "depth head: inverse": inverse_scale, "averaged weights": None}


def read(head, network, arguments, output) -> MaskDepth:
    """A forward hook: the depth head's numbers, read in another way."""
    return MaskDepth(output.mask_logits, head(output.depth))


class Averaging:
    """A weighting for `fit` that adds up the terms, and keeps a moving average of the network meanwhile."""

    def __init__(self, network):
        self.network = network
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)

    def __call__(self, terms: dict) -> torch.Tensor:
        if self.network.training:
            self.average.update_parameters(self.network)
        return sum(terms.values())


def figures(network, dataset, count: int) -> dict:
    batches = make_loader(Subset(dataset, range(min(count, len(dataset)))), batch=16)
    found = evaluate(network_predict(network.eval()), batches)
    return {name: round(value, 5) for name, value in found.items()}


def run(row: str, seed: int, samples: int, tested: int = 400) -> dict:
    """Train as ablate.py's base, with one change, and measure."""
    base = options("recipe", "base").split()
    settings = make_parser().parse_args(["train", "--out", "x", "--seed", str(seed), *base])
    torch.manual_seed(seed)
    network = new_network(settings)
    if HEADS[row]:
        network.register_forward_hook(functools.partial(read, HEADS[row]))
    averaging = None if HEADS[row] else Averaging(network)
    begun = time.monotonic()
    fit(
        network, training_samples(settings, seed), samples=samples, batch=settings.batch,
        loss=make_loss(settings), weighting=averaging,
        lr=settings.lr, weight_decay=settings.weight_decay, optimizer=settings.optimizer, schedule=settings.schedule,
        workers=settings.workers, seed=seed,
    )  # fmt: skip
    seconds = time.monotonic() - begun
    network = averaging.average.module if averaging else network
    known = MaskDepthDataset("train", 80, "tripod", seed + 1000, settings.rooms)
    return {
        "study": "recipe", "row": row, "seed": seed, "samples": samples, "changed": {"by hand": row},
        "test": figures(network, MaskDepthDataset("test", 80, "tripod"), tested),
        "scenes": figures(network, SceneDataset(80, "none"), min(100, tested)),
        "training": figures(network, known, tested),
        "commands": ["python notebooks/tools/ablate_by_hand.py"],
        "seconds": round(seconds), "commit": commit(), "machine": machine(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20000, help="training samples of each run")
    args = parser.parse_args()
    for row in HEADS:
        key = {"study": "recipe", "row": row, "seed": 0, "samples": args.samples}
        if not any(key.items() <= one.items() for one in stored()):
            store(run(row, 0, args.samples))


if __name__ == "__main__":
    main()
