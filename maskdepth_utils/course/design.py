"""The design lab (notebooks/extras): a decoder block with switches, the network made of it, and what a design costs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..models.blocks import IMAGENET_MEAN, IMAGENET_STD, Encoder, conv, upsample
from ..models.networks import MaskDepth, check_pair, evaluating

SKIPS = (None, "add", "concat")
UPS = ("bilinear", "transposed")
DEEPEST = 5  # stages of the encoder
LAST = 16  # channels at the end of the decoder


class LabBlock(nn.Module):
    """One decoder block: enlarge to an encoder stage's size, use the skip, two conv3x3-BatchNorm-ReLU.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        skip_channels: Channels of the encoder stage.
        skip: ``None`` uses only the stage's size, ``"add"`` adds the stage through a conv1x1, ``"concat"`` appends
            its channels, which makes the first convolution wider.
        up: ``"bilinear"`` interpolates. ``"transposed"`` is a transposed convolution of kernel 3 and stride 2, whose
            patches overlap at every second pixel only, which is the source of the checkerboard (Odena et al. 2016).
    """

    def __init__(self, inputs: int, outputs: int, skip_channels: int, skip: str | None, up: str):
        super().__init__()
        self.skip = skip
        self.up = nn.ConvTranspose2d(inputs, inputs, 3, stride=2, padding=1, bias=False) if up == "transposed" else None
        self.lateral = conv(skip_channels, inputs, 1) if skip == "add" else None
        both = inputs + (skip_channels if skip == "concat" else 0)
        self.convolutions = nn.Sequential(
            conv(both, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            conv(outputs, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x: Tensor, stage: Tensor) -> Tensor:
        size = stage.shape[-2:]
        if self.up is not None:  # it can make 2 n - 1 or 2 n pixels of n
            reachable = [min(max(wanted, 2 * n - 1), 2 * n) for wanted, n in zip(size, x.shape[-2:])]
            x = self.up(x, output_size=reachable)
        x = upsample(x, size)  # where the stage's size was rounded up
        if self.skip == "add":
            x = x + self.lateral(stage)
        elif self.skip == "concat":
            x = torch.cat([x, stage], dim=1)
        return self.convolutions(x)


class LabNet(nn.Module):
    """A ResNet18 encoder, or its first stages, and one decoder made of `LabBlock`; called like `MaskDepthNet`.

    Args:
        skip, up: Options of every block; see `LabBlock`.
        stages: How many of the encoder's stages are used, 2 to 5; the decoder begins at the last of them.
        bottleneck: Channels at that stage, through a conv1x1; ``None`` means as many as the first block has.
        width: Factor on all channels.
    """

    def __init__(
        self, skip: str | None = "add", up="bilinear", stages=DEEPEST, bottleneck: int | None = None, width=0.5
    ):
        super().__init__()
        for name, value, known in (("skip", skip, SKIPS), ("up", up, UPS), ("stages", stages, range(2, DEEPEST + 1))):
            if value not in known:
                raise ValueError(f"{name}: expected one of {list(known)}, found {value!r}")
        self.arguments = {"skip": skip, "up": up, "stages": stages, "bottleneck": bottleneck, "width": width}
        channels = [max(8, int(c * width)) for c in (64, 128, 256, 512)]
        self.encoder, self.stages = Encoder("7x7", channels), stages
        for number in range(stages, DEEPEST):  # remove unused stages: they would count as parameters
            setattr(self.encoder, f"layer{number}", nn.Identity())
        channels = (channels[:1] + channels)[:stages]
        ends = [max(LAST, int(c * width)) for c in (32, 32, 64, 128, 256)[:stages]][::-1]
        ends[0] = bottleneck or ends[0]
        self.entry = nn.Sequential(conv(channels[-1], ends[0], 1), nn.BatchNorm2d(ends[0]), nn.ReLU(inplace=True))
        steps = zip(ends, ends[1:], channels[-2::-1], strict=False)
        self.blocks = nn.ModuleList(LabBlock(a, b, stage, skip, up) for a, b, stage in steps)
        self.last = LabBlock(ends[-1], LAST, 0, None, up)  # from the stem's half size to the picture's
        self.head = nn.Conv2d(LAST, 2, 1)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN * 2).view(1, 6, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD * 2).view(1, 6, 1, 1), persistent=False)

    def forward(self, image: Tensor, background: Tensor) -> MaskDepth:
        check_pair(image, background)
        stages = self.encoder((torch.cat([image, background], dim=1) - self.mean) / self.std)[: self.stages]
        x = self.entry(stages[-1])
        for block, stage in zip(self.blocks, stages[-2::-1], strict=True):
            x = block(x, stage)
        x = self.last(x, image[:, :1])
        with torch.autocast(x.device.type, enabled=False):
            maps = self.head(x.to(self.head.weight.dtype))
        return MaskDepth(maps[:, :1], maps[:, 1:].sigmoid())


def multiply_adds(model: nn.Module, size: int = 80) -> int:
    """Count the multiplications, each with its addition, of all convolutions for one pair of size x size px."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), evaluating(model), counter:
        model(*torch.zeros(2, 1, 3, size, size))
    return counter.get_total_flops() // 2  # it counts a multiplication and its addition as two


def receptive_field(layers: list[tuple[int, int, int]]) -> int:
    """Compute how many pixels wide a feature's view is after layers of (kernel, stride, dilation)."""
    field, step = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * step
        step *= stride
    return field


def deepest_field(stages: int = DEEPEST) -> int:
    """Compute the receptive field of the last of the first `stages` encoder stages, in pixels (extras/design_lab)."""
    plain, halving = (3, 1, 1), (3, 2, 1)
    layers = [(7, 2, 1)], [halving, *[plain] * 4], *[[halving, *[plain] * 3]] * 3
    return receptive_field(sum(layers[:stages], []))


def gradient_field(model: nn.Module, size: int = 160) -> Tensor:
    """Measure how strongly the middle pixel of the depth depends on each input pixel, on noise, in evaluation mode.

    Most of the field lies in a spot much smaller than the receptive field, which is its support (Luo et al. 2016).

    Returns:
        The absolute gradient, added up over both pictures and their channels, (size, size), with the sum 1.
    """
    pair = torch.rand(2, 1, 3, size, size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with evaluating(model):
        depth = model(*pair).depth
    (gradient,) = torch.autograd.grad(depth[0, 0, size // 2, size // 2], pair)
    field = gradient.abs().sum(dim=(0, 1, 2))
    return field / field.sum().clamp(min=1e-12)


def width_of(field: Tensor, share: float = 0.95) -> int:
    """Return the side, in pixels, of the smallest square around the middle that holds `share` of a gradient field."""
    middle = field.shape[-1] // 2
    for reach in range(middle):
        near = slice(middle - reach, middle + reach + 1)
        if field[near, near].sum() >= share:
            return 2 * reach + 1
    return field.shape[-1]


def checkerboard(depth: Tensor) -> Tensor:
    """Measure how much a map alternates from pixel to pixel, (N,): the mean absolute [[1, -1], [-1, 1]] / 4 response.

    For a smooth map it is nearly 0. Edges respond, too, so compare it with that of the true map.
    """
    kernel = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[None, None] / 4
    return F.conv2d(depth.float(), kernel.to(depth.device)).abs().mean(dim=(1, 2, 3))
