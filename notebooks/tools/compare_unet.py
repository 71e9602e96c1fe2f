"""Our network compared with a well-known library's: segmentation_models_pytorch's Unet with a ResNet18 encoder.

    pip install segmentation-models-pytorch
    python notebooks/tools/compare_unet.py    # an hour or less on a CPU; can be stopped and started

Both start at random and see the same samples in the same order, at 80 px, with the losses, optimizer and schedule of
recipe.json's first stage and a quarter of its samples; both are tested on the same samples. The figures go to
data/results/compare_unet.json, for notebook 05.
"""

from argparse import Namespace

import segmentation_models_pytorch as smp
import torch
from notebook_files import ROOT, read_json, tool_parser, write_json
from results import CHECKPOINTS, RESULTS, measure_network, require_finished, timed_report
from torch import nn
from train_network import stages

from maskdepth_utils.__main__ import make_parser
from maskdepth_utils.cli import make_loss, new_network, training_samples
from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.models.networks import MaskDepth, count_parameters
from maskdepth_utils.tables import format_results
from maskdepth_utils.training import fit

SIZE = 80  # pixels of the pictures trained and tested on
TESTED = 400  # test samples


class Unet(nn.Module):
    """smp's Unet-ResNet18 with our interface: six channels in, mask logits and depth in [0, 1] out."""

    def __init__(self):
        super().__init__()
        self.net = smp.Unet("resnet18", encoder_weights=None, in_channels=6, classes=2)

    def forward(self, image, background):
        both = self.net(torch.cat([image, background], dim=1) * 2 - 1).float()
        return MaskDepth(both[:, :1], both[:, 1:].sigmoid())


def train(name: str, model: nn.Module, options: Namespace) -> dict:
    """Train (or continue); return the number of parameters and the test figures."""
    out = f"build/runs/compare-{name}-{SIZE}"
    fit(
        model, training_samples(options), samples=options.samples, batch=options.batch, loss=make_loss(options),
        lr=options.lr, weight_decay=options.weight_decay, optimizer=options.optimizer, schedule=options.schedule,
        workers=options.workers, seed=options.seed, out=ROOT / out,
    )  # fmt: skip
    require_finished(out, options.samples)
    test = MaskDepthDataset("test", SIZE, "tripod")
    return {"parameters": count_parameters(model)} | measure_network(model, test, TESTED)


def main() -> None:
    tool_parser(__doc__).parse_args()
    recipe = read_json(CHECKPOINTS / "recipe.json")["maskdepthnet"]
    options = make_parser().parse_args(["train", *stages("maskdepthnet", recipe)[0]["options"]])
    options.samples //= 4
    torch.manual_seed(0)
    models = {"MaskDepthNet": new_network(options), "smp Unet-ResNet18": Unet()}
    with timed_report(command="python notebooks/tools/compare_unet.py", samples=options.samples) as report:
        report["results"] = {name: train(name.split()[0], model, options) for name, model in models.items()}
    print(format_results({"results": report["results"]}))
    write_json(RESULTS / "compare_unet.json", {f"{SIZE} px": report | {"gap of the test": "tripod"}})


if __name__ == "__main__":
    main()
