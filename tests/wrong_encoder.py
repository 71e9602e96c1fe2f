"""Typical wrong answers to the exercises of notebook 03: {check: [(answers, words of the verdict), ...]}."""

import torch
import torch.nn.functional as F
from torch import nn


def field(layers, start=1, less=1, dilated=True, stepped=True, early=False):
    width, step = start, 1
    for kernel, stride, dilation in layers:
        if early:
            step *= stride
        width += (kernel - less) * (dilation if dilated else 1) * (step if stepped else 1)
        if not early:
            step *= stride
    return width


def parameters(i, o, s, norm=2, bias=0, lateral=True, side=True, three=None):
    one = s * i if lateral and s else 0
    five = 25 * i * o + norm * o + bias * o
    return one + five * (1 + side) + 9 * (three or o) * o + norm * o + bias * o


class Up(nn.Module):
    """Right but for what the options spoil."""

    def __init__(
        self, inputs, outputs, skip, bend=True, use="both", scale=None, fresh=False, spare=False, listed=False
    ):
        super().__init__()
        self.bend, self.use, self.scale = bend, use, scale
        self.sizes = inputs + skip, outputs
        layer = nn.Conv2d(*self.sizes, 3, padding=1)
        self.mix = [layer] if listed else None if fresh else nn.ModuleList([layer])
        if spare:
            self.spare = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, stage):
        if self.scale:
            x = F.interpolate(x, scale_factor=self.scale, mode="bilinear")
        else:
            x = F.interpolate(x, stage.shape[-2:], mode="bilinear")
        x = torch.zeros_like(x) if self.use == "stage" else x
        stage = torch.zeros_like(stage) if self.use == "x" else stage
        layer = nn.Conv2d(*self.sizes, 3, padding=1) if self.mix is None else self.mix[0]
        y = layer(torch.cat([x, stage], 1))
        return y.relu() if self.bend else y


def up(**options):
    return lambda inputs, outputs, skip: Up(inputs, outputs, skip, **options)


WRONG = {
    "check_layers": [
        (6, "6 layers: a feature sees 127 pixels, expected at least 160"),
        (80, "halve 160 pixels 80 times"),
        (8, "511 pixels, more than it takes"),
        (3, "sees 15 pixels"),
        (6.5, "expected a whole number"),
        (0, "expected a whole number of at least 1"),
        ([7], "found a list of 1"),
    ],
    "check_field": [
        (
            lambda layers: field(layers, dilated=False),
            "A dilation of 2: the dilation is not used (expected 5, found 3)",
        ),
        (lambda layers: field(layers, early=True), "stride counts too early"),
        (lambda layers: field(layers, stepped=False), "the strides are not used"),
        (lambda layers: field(layers, less=0), "the kernel's own pixel is counted again"),
        (lambda layers: field(layers, start=0), "one is missing"),
        (lambda layers: [field(layers)], "expected one number, found a list of 1"),
        (lambda layers: max(kernel for kernel, *_ in layers), "ValueError"),
        (lambda layers: field(layers) ** 2, "expected 5, found 25"),
        (lambda layers: (field(layers), 1), "found a tuple of 2"),
    ],
    "check_parameters": [
        (lambda i, o, s: parameters(i, o, s, norm=0), "the BatchNorms are missing"),
        (lambda i, o, s: parameters(i, o, s, norm=4), "four numbers a channel"),
        (lambda i, o, s: parameters(i, o, s, norm=1), "one number a channel"),
        (lambda i, o, s: parameters(i, o, s, bias=1), "counted with a bias"),
        (lambda i, o, s: parameters(i, o, s, lateral=False), "the lateral is missing"),
        (lambda i, o, s: parameters(i, o, s, side=False), "the way around is missing"),
        (lambda i, o, s: parameters(i, o, s, three=i), "the 3 x 3 convolution has other inputs"),
        (lambda i, o, s: 1_852_160, "UpProjection(64, 32, 128): expected"),
        (lambda i, o, s: float("nan"), "expected 1.852e+06, found nan"),
    ],
    "check_inflation": [
        (lambda f: torch.cat([f, f], 1), "twice the old response"),
        (lambda f: torch.cat([f, torch.zeros_like(f)], 1), "the background is not looked at"),
        (lambda f: torch.cat([f, -f], 1), "equal pictures give no response"),
        (lambda f: f.repeat_interleave(2, 1) / 2, "the channels are in another order"),
        (lambda f: f.mean(1, keepdim=True).repeat(1, 6, 1, 1) / 2, "the colours are mixed"),
        (lambda f: torch.cat([f, f]) / 2, "expected shape (64, 6, 7, 7), found (128, 3, 7, 7)"),
        (lambda f: torch.cat([f, torch.rand_like(f)], 1), "Filters of shape (64, 3, 7, 7): at index"),
        (lambda f: torch.cat([f.div_(2), f], 1), "changes its input in place"),
    ],
    "check_up_block": [
        (up(scale=2), "Sizes of tensors must match"),
        (up(use="x"), "the stage's values make no difference"),
        (up(use="stage"), "the values of x make no difference"),
        (up(bend=False), "it is linear"),
        (up(fresh=True), "another output the second time"),
        (up(listed=True), "it has no parameters"),
        (up(spare=True), "no gradient reaches spare.weight, spare.bias"),
        (lambda i, o, s: Up(i, i, s), "expected shape (2, 4, 5, 5), found (2, 8, 5, 5)"),
        (lambda i, o, s: Up(i, o, 0), "RuntimeError: Given groups=1"),
        (lambda i, o: Up(i, o, 6), "TypeError"),
    ],
}
