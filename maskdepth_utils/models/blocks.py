"""The parts of the networks in networks.py: encoder, decoder blocks, one branch. Built in notebook 03.

Features are float tensors (N, channels, H, W).
"""

from http.client import HTTPException

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .differences import CHANNELS, TYPICAL_DIFFERENCE, differences

DETAIL_CHANNELS = (32, 32)  # at full size, where each channel costs most
FINE_CHANNELS = {"mask": (32, 32, 16), "depth": (16,)}
LAYERS = ("stem", "layer 1", "layer 2", "layer 3", "layer 4")  # the encoder's five stages, in words
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size, divided by the stride; no bias, since the BatchNorm after it adds one."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def conv_relu(inputs: int, outputs: int) -> nn.Sequential:
    """conv3x3-ReLU, for full size, where a BatchNorm would take a CPU as long as a convolution."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True))


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear interpolation to `size` = (H, W); x itself if it already has that size."""
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=False)


class Encoder(nn.Sequential):
    """ResNet18 (He et al. 2016) with six input channels and without a classifier; returns the features of five stages.

    The stem "7x7" is ResNet's own, of stride 2: the stages have 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size.
    "3x3" has stride 1, twice the sizes and three times the cost. `channels` are those of the four layers. The modules
    have torchvision's names, so that ImageNet weights load as they are. (A Sequential, because torchsummary looks
    through those: it cannot add up several outputs.)
    """

    def __init__(self, stem: str, channels: list[int]):
        from torchvision.models.resnet import BasicBlock  # here: it takes a second and 160 MB, and MaskNet needs none

        super().__init__()
        kernel, stride = {"7x7": (7, 2), "3x3": (3, 1)}[stem]
        self.conv1 = conv(6, channels[0], kernel, stride)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(channels[0], channels[0]), BasicBlock(channels[0], channels[0]))
        for number, (inputs, outputs) in enumerate(zip(channels, channels[1:]), start=2):
            shortcut = nn.Sequential(conv(inputs, outputs, 1, stride=2), nn.BatchNorm2d(outputs))
            blocks = BasicBlock(inputs, outputs, 2, shortcut), BasicBlock(outputs, outputs)
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        stem = self.relu(self.bn1(self.conv1(x)))
        first = self.layer1(self.maxpool(stem))
        second = self.layer2(first)
        third = self.layer3(second)
        return [stem, first, second, third, self.layer4(third)]


class UpProjection(nn.Module):
    """One decoder block (Laina et al. 2016): upsample to an encoder stage's size, then conv5x5-3x3 parallel to conv5x5.

    With `skip_channels` the stage itself is added first, through a 1x1 convolution (a *lateral*, Lin et al. 2017).
    Without, only its size is used, as in the 2020 network.
    """

    def __init__(self, inputs: int, outputs: int, skip_channels: int = 0):
        super().__init__()
        self.lateral = conv(skip_channels, inputs, 1) if skip_channels else None
        self.main = nn.Sequential(
            conv(inputs, outputs, 5), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            conv(outputs, outputs, 3), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.side = nn.Sequential(conv(inputs, outputs, 5), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor, stage: Tensor) -> Tensor:
        x = upsample(x, stage.shape[-2:])
        if self.lateral is not None:
            x = x + self.lateral(stage)
        return F.relu(self.main(x) + self.side(x))


class Detail(nn.Sequential):
    """Features at full size, where thin legs are not lost: the image and the `differences`, through two conv3x3.

    A convolution can subtract, but not divide by noise or contrast; `differences` does. With raw=True the plain
    difference takes its place.
    """

    def __init__(self, raw: bool = False):
        super().__init__(conv_relu(3 + (3 if raw else CHANNELS), DETAIL_CHANNELS[0]), conv_relu(*DETAIL_CHANNELS))
        self.raw = raw

    def forward(self, image: Tensor, background: Tensor) -> Tensor:
        shown = (image - background) / TYPICAL_DIFFERENCE if self.raw else differences(image, background)
        return super().forward(torch.cat([image, shown], dim=1))


class Branch(nn.Module):
    """One decoder: conv1x1, four up-projections that each halve the channels, and a conv5x5 with one output channel.

    With `fine`, `Detail` is added at full size, and a conv3x3 for each number in `fine` mixes both; the head is 1x1.
    """

    def __init__(self, stage_channels: list[int], channels: list[int], skips: bool, fine: tuple[int, ...] = ()):
        super().__init__()
        self.entry = nn.Sequential(
            conv(stage_channels[-1], channels[0], 1), nn.BatchNorm2d(channels[0]), nn.ReLU(inplace=True)
        )
        steps = zip(channels[:-1], channels[1:], reversed(stage_channels[:-1]), strict=True)
        self.ups = nn.ModuleList(UpProjection(a, b, skip if skips else 0) for a, b, skip in steps)
        if fine:
            self.widen = conv(channels[-1], fine[0], 1)
            self.lateral = nn.Conv2d(DETAIL_CHANNELS[-1], fine[0], 3, padding=1)
            self.mix = nn.Sequential(nn.ReLU(), *(conv_relu(a, b) for a, b in zip((fine[0], *fine), fine)))
            self.head = nn.Conv2d(fine[-1], 1, 1)
        else:
            self.head = nn.Conv2d(channels[-1], 1, 5, padding=2)

    def forward(self, deepest: Tensor, stages: list[Tensor], detail: Tensor | None, size: tuple[int, int]) -> Tensor:
        # The deepest stage comes by itself because torchsummary expects a tensor first.
        x = self.entry(deepest)
        for up, stage in zip(self.ups, reversed(stages), strict=True):
            x = up(x, stage)
        # Upsample here and not after the head: 16 channels hold more of an edge than one.
        if detail is None:
            x = upsample(x, size)
        else:
            x = self.mix(upsample(self.widen(x), size) + self.lateral(detail))
        with torch.autocast(x.device.type, enabled=False):  # bf16 has 8 bits: 4 cm steps at 8 m of depth
            return self.head(x.to(self.head.weight.dtype))


def initialise(module: nn.Module) -> None:
    """Draw a convolution's weights as torchvision does for a ResNet (He et al. 2015).

    The heads are excluded: with such weights they would start where the sigmoid is flat.
    """
    if isinstance(module, nn.Conv2d) and module.out_channels > 1:
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def imagenet_weights(stem: str) -> dict[str, Tensor]:
    """Torchvision's ResNet18 weights as a state dict for our encoder. RuntimeError if they cannot be downloaded.

    The 7x7 stem gets the same filters for both pictures, halved: where these agree, the output is that for one picture.
    """
    from torchvision.models import ResNet18_Weights

    weights = ResNet18_Weights.DEFAULT
    try:
        state = dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, HTTPException, RuntimeError) as error:  # no network; an interrupted download; wrong hash
        raise RuntimeError(
            f"The ImageNet weights could not be downloaded from {weights.url} ({error}). Connect to the internet, or "
            f"put that file into {torch.hub.get_dir()}/checkpoints, or choose a random start with weights=None."
        ) from error
    del state["fc.weight"], state["fc.bias"]
    filters = state.pop("conv1.weight")
    if stem == "7x7":
        state["conv1.weight"] = torch.cat([filters, filters], dim=1) / 2
    return state
