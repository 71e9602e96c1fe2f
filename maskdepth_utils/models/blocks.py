"""What the networks in models.py are made of: the encoder, the decoder's blocks, one branch. Built in notebook 03.

Features are float tensors (N, channels, H, W).
"""

import http.client
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .differences import CHANNELS, USUAL, differences

DETAIL, FINE = (32, 32), {"mask": (32, 32, 16), "depth": (16,)}  # channels at full size, where each costs most
LAYERS = ("stem", "layer 1", "layer 2", "layer 3", "layer 4")  # the encoder's five stages, in words
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size (but for the stride); no bias: the BatchNorm after it adds one."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def resize(x: Tensor, size) -> Tensor:
    """Bilinear interpolation to `size` = (H, W); x itself if it already has that size."""
    size = tuple(size)
    return x if tuple(x.shape[-2:]) == size else F.interpolate(x, size, mode="bilinear", align_corners=False)


class Encoder(nn.Sequential):
    """ResNet18 (He et al. 2016), six input channels, no classifier. Returns its five stages' features.

    stem="7x7" is ResNet's own, of stride 2: the stages are 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture.
    stem="3x3" has stride 1: they are 1, 1/2, 1/4, 1/8 and 1/16, at three times the cost.
    The modules have torchvision's names, so that ImageNet weights load as they are.
    """

    def __init__(self, stem: str, channels: list[int]):
        from torchvision.models.resnet import BasicBlock  # here: it takes a second and 160 MB, and MaskNet needs none

        first, (kernel, stride) = channels[0], {"7x7": (7, 2), "3x3": (3, 1)}[stem]
        layers = OrderedDict(
            conv1=conv(6, first, kernel, stride), bn1=nn.BatchNorm2d(first), relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, stride=2, padding=1),
        )  # fmt: skip
        inputs = first
        for number, outputs in enumerate(channels, start=1):
            stride = 1 if number == 1 else 2
            shortcut = None
            if stride != 1 or inputs != outputs:
                shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
            layers[f"layer{number}"] = nn.Sequential(
                BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs)
            )
            inputs = outputs
        super().__init__(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        stages = [self.relu(self.bn1(self.conv1(x)))]
        x = self.maxpool(stages[0])
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            stages.append(x)
        return stages


class UpProjection(nn.Module):
    """One decoder block (Laina et al. 2016): enlarge to an encoder stage's size; conv5x5-3x3 beside conv5x5.

    With `skip_channels`, the stage itself is added before the convolutions, through a 1x1 convolution (a
    *lateral*, as in feature pyramids). Without, only its size is used: all that the original's "skip
    connection" did.
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
        x = resize(x, stage.shape[-2:])
        if self.lateral is not None:
            x = x + self.lateral(stage)
        return F.relu(self.main(x) + self.side(x))


def conv_relu(inputs: int, outputs: int) -> nn.Sequential:
    """conv3x3-ReLU, for full size: there a BatchNorm takes a CPU as long as a convolution."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True))


class Detail(nn.Sequential):
    """What the pictures themselves say, at full size: the image and the differences of both, through two conv3x3.

    Thin legs are gone from every stage of the encoder; what gives them away is the difference between the pictures.
    A convolution could subtract them, but not divide: neither noise nor contrast can it take out. `differences` can.
    With raw=True it reads the plain difference instead.
    """

    def __init__(self, raw: bool = False):
        super().__init__(conv_relu(3 + (3 if raw else CHANNELS), DETAIL[0]), conv_relu(*DETAIL))
        self.raw = raw

    def forward(self, image: Tensor, background: Tensor) -> Tensor:
        found = (image - background) / USUAL if self.raw else differences(image, background)
        return super().forward(torch.cat([image, found], dim=1))


class Branch(nn.Module):
    """One decoder: conv1x1, four up-projections that each halve the channels, and a head with one output channel.

    The head is a conv5x5. With `fine`, the `Detail` of the two pictures is added at full size, one conv3x3 for each
    number in it mixes both, and the head is a conv1x1.
    """

    def __init__(self, stage_channels: list[int], channels: list[int], skips: bool, fine: tuple = ()):
        super().__init__()
        self.entry = nn.Sequential(
            conv(stage_channels[-1], channels[0], 1), nn.BatchNorm2d(channels[0]), nn.ReLU(inplace=True)
        )
        steps = zip(channels[:-1], channels[1:], reversed(stage_channels[:-1]), strict=True)
        self.ups = nn.ModuleList(UpProjection(a, b, skip if skips else 0) for a, b, skip in steps)
        last = channels[-1]
        if fine:
            self.widen, self.lateral = conv(last, fine[0], 1), nn.Conv2d(DETAIL[-1], fine[0], 3, padding=1)
            self.mix = nn.Sequential(nn.ReLU(), *(conv_relu(a, b) for a, b in zip((fine[0], *fine), fine)))
            self.head = nn.Conv2d(fine[-1], 1, 1)
        else:
            self.head = nn.Conv2d(last, 1, 5, padding=2)

    def forward(self, deepest: Tensor, stages: list[Tensor], detail: Tensor | None, size) -> Tensor:
        x = self.entry(deepest)
        for up, stage in zip(self.ups, reversed(stages), strict=True):
            x = up(x, stage)
        # To full size here and not after the head: 16 channels say more about an edge than one.
        if detail is None:
            x = resize(x, size)
        else:
            x = self.mix(resize(self.widen(x), size) + self.lateral(detail))
        with torch.autocast(x.device.type, enabled=False):  # bf16 has 8 bits: 4 cm steps at 8 m of depth
            return self.head(x.to(self.head.weight.dtype))


def initialise(module: nn.Module) -> None:
    """Torchvision's start for a ResNet (He et al. 2015). The heads keep PyTorch's: a large start would begin in the
    flat ends of the sigmoid."""
    if isinstance(module, nn.Conv2d) and module.out_channels > 1:
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def imagenet_weights(stem: str) -> dict:
    """Torchvision's ResNet18 weights for our encoder: a state dict. RuntimeError if they cannot be had.

    The 7x7 stem is inflated from 3 input channels to 6: the same filters for image and background, halved.
    Where both pictures agree, which is nearly everywhere, it then puts out what it did for one picture, and
    the statistics kept in the BatchNorms stay right. (Copied without halving, every response would double.)
    """
    from torchvision.models import ResNet18_Weights

    weights = ResNet18_Weights.DEFAULT
    try:
        state = dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError, http.client.HTTPException) as error:  # no network, wrong hash, broken off
        raise RuntimeError(
            f"The ImageNet weights could not be downloaded from {weights.url} ({error}). Connect to the "
            f"internet, or put that file into {torch.hub.get_dir()}/checkpoints, or choose a random start "
            "with weights=None."
        ) from error
    del state["fc.weight"], state["fc.bias"]
    filters = state.pop("conv1.weight")
    if stem == "7x7":
        state["conv1.weight"] = torch.cat([filters, filters], dim=1) / 2
    return state
