"""Wrong answers to the exercises of notebook 03: {check: [(answer, words of the verdict), ...]}."""

import torch
import torch.nn.functional as F
from torch import nn

from maskdepth_utils.course.checks.nb03 import count_by_hand


class Up(nn.Module):
    """Right except for what the options break."""

    def __init__(self, inputs, outputs, skip, relu=True, use=("x", "stage"), fresh=False, spare=False, listed=False):
        super().__init__()
        self.relu = relu
        self.use = use
        self.sizes = inputs + skip, outputs
        layer = nn.Conv2d(*self.sizes, 3, padding=1)
        self.mix = [layer] if listed else nn.ModuleList([] if fresh else [layer])
        if spare or fresh:
            self.spare = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, stage):
        x = F.interpolate(x, stage.shape[-2:], mode="bilinear") * ("x" in self.use)
        if "mean" in self.use:
            stage = stage.mean((2, 3), keepdim=True).expand_as(stage)
        elif "stage" not in self.use:
            stage = torch.zeros_like(stage)
        layer = self.mix[0] if self.mix else nn.Conv2d(*self.sizes, 3, padding=1)
        y = layer(torch.cat([x, stage], 1))
        return y.relu() if self.relu else y


class TwiceTheSize(Up):
    def forward(self, x, stage):
        return self.mix[0](torch.cat([F.interpolate(x, scale_factor=2), stage], 1))


def up(**options):
    return lambda inputs, outputs, skip: Up(inputs, outputs, skip, **options)


WRONG = {
    "check_layers": [
        (6, "6 layers: a feature sees 127 pixels, expected at least 160"),
        (80, "halve 160 pixels 80 times"),
        (8, "511 pixels, more than it takes"),
        (0, "expected a whole number of at least 1"),
    ],
    "check_receptive_field": [
        (lambda layers: max(kernel for kernel, *_ in layers), "ValueError"),
        (lambda layers: layers.clear() or 1, "Two 3 x 3 convolutions: it changes its input in place"),
    ],
    "check_parameters": [
        (lambda i, o, skip: count_by_hand(i, o, skip, fives=0), "UpProjection(8, 4, 8): expected 1832, found 216"),
        (lambda i, o, skip: count_by_hand(i, o, skip) + 6 * (i - 2 * o), "UpProjection(6, 2, 0)"),
        (lambda i, o, skip: float("nan"), "expected a finite number, found nan"),
    ],
    "check_inflation": [
        (lambda f: torch.cat([f, f], 1).numpy() / 2, "expected a tensor of shape (64, 6, 7, 7), found an array"),
    ],
    "check_up_block": [
        (TwiceTheSize, "Sizes of tensors must match"),
        (up(use="x"), "the stage's values make no difference"),
        (up(use=("x", "mean")), "the stage's values make no difference"),
        (up(use=("stage",)), "the values of x make no difference"),
        (up(relu=False), "it is linear"),
        (up(fresh=True), "another output the second time"),
        (up(listed=True), "it has no parameters"),
        (up(spare=True), "no gradient reaches spare.weight, spare.bias"),
    ],
}
