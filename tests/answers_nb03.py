"""Answers to the exercises of notebook 03."""

import torch
import torch.nn.functional as F
from answers import Exercise, solutions
from torch import nn

from maskdepth_utils.course.checks.nb03 import count_by_hand
from maskdepth_utils.course.design import receptive_field
from maskdepth_utils.models.blocks import UpProjection


def draw_layers(g):
    return ([tuple(int(g.integers(1, most)) for most in (6, 4, 4)) for _ in range(g.integers(0, 6))],)


def inflate_parameter(filters):
    new = nn.Parameter(torch.empty(len(filters), 6, *filters.shape[2:]))
    with torch.no_grad():
        new[:, :3] = new[:, 3:] = filters * 0.5
    return new


class Beside(nn.Module):
    def __init__(self, inputs, outputs, skip_channels):
        super().__init__()
        self.mix = nn.Sequential(nn.Conv2d(inputs + skip_channels, outputs, 3, padding=1), nn.ReLU())

    def forward(self, x, stage):
        x = F.interpolate(x, stage.shape[-2:], mode="bilinear")
        return self.mix(torch.cat([x, stage], dim=1))


class Up(nn.Module):
    """Right except for what the options break."""

    def __init__(self, inputs, outputs, skip, relu=True, use=("x", "stage"), fresh=False, spare=0, listed=False):
        super().__init__()
        self.relu, self.use = relu, use
        self.sizes = inputs + skip, outputs
        layer = nn.Conv2d(*self.sizes, 3, padding=1)
        self.mix = [layer] if listed else nn.ModuleList([] if fresh else [layer])
        if spare or fresh:
            self.spare = nn.Conv2d(inputs, outputs, 1)
        self.spare_weight = spare - 1

    def forward(self, x, stage):
        x = F.interpolate(x, stage.shape[-2:], mode="bilinear") * ("x" in self.use)
        if "small" in self.use:
            stage = F.interpolate(F.adaptive_avg_pool2d(stage, 3), stage.shape[-2:])
        elif "mean" in self.use:
            stage = stage.mean((2, 3), keepdim=True).expand_as(stage)
        elif "stage" not in self.use:
            stage = torch.zeros_like(stage)
        layer = self.mix[0] if self.mix else nn.Conv2d(*self.sizes, 3, padding=1)
        y = layer(torch.cat([x, stage], 1))
        if self.spare_weight == 0:
            y = y + 0 * self.spare(x)
        return y.relu() if self.relu else y


class TwiceTheSize(Up):
    def forward(self, x, stage):
        return self.mix[0](torch.cat([F.interpolate(x, scale_factor=2), stage], 1))


class Residual(nn.Module):
    """A residual block whose last BatchNorm begins with zeros, and that changes its input in place."""

    def __init__(self, inputs, outputs, skip_channels):
        super().__init__()
        inputs += skip_channels
        self.main = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs))
        self.side = nn.Conv2d(inputs, outputs, 1)
        nn.init.zeros_(self.main[1].weight)

    def forward(self, x, stage):
        x.relu_()
        x = torch.cat([stage, F.interpolate(x, stage.shape[-2:])], dim=1)
        return F.relu(self.main(x) + self.side(x))


def up(**options):
    return lambda inputs, outputs, skip: Up(inputs, outputs, skip, **options)


EXERCISES = {
    "check_layers": Exercise(
        right=[7, torch.tensor(7)],
        wrong=[
            (6, "6 layers: a feature sees 127 pixels, expected at least 160"),
            (80, "expected a whole number from 1 to 30, found 80"),
            (8, "511 pixels, but after 7 it already sees 255"),
        ],
    ),
    "check_receptive_field": Exercise(
        right=[solutions()["check_receptive_field"], lambda layers: torch.tensor(receptive_field(layers))],
        draw=draw_layers,
        wrong=[
            (lambda layers: layers.clear() or 1, "A 3 x 3 convolution: expected 3, found 1"),
        ],
    ),
    "check_parameters": Exercise(
        right=[solutions()["check_parameters"]],
        draw=lambda g: tuple(g.integers((1, 1, 0), 9).tolist()),
        wrong=[
            (lambda i, o, skip: 25 * i * o, "UpProjection(8, 4, 8): expected 1832, found 800"),
            (lambda i, o, skip: count_by_hand(i, o, skip) + 6 * (i - 2 * o), "UpProjection(6, 2, 0)"),
        ],
    ),
    "check_inflation": Exercise(
        right=[solutions()["check_inflation"], inflate_parameter],
        draw=lambda g: (torch.from_numpy(g.normal(size=(g.integers(1, 5), 3, *[g.integers(1, 5)] * 2))).float(),),
        wrong=[(lambda f: f / 2, "expected values of shape (64, 6, 7, 7), found a tensor of shape (64, 3, 7, 7)")],
    ),
    "check_up_block": Exercise(
        right=[Beside, Up, Residual],
        allowed=("nn.Sequential(nn.ReLU(), nn", "F.interpolate(x, stage.shape[-2:])", "[stage, x]", "-2 -> 2"),
        wrong=[
            (UpProjection, "its convolutions take 6, 8, 4, 8 channels; none takes 14"),
            (TwiceTheSize, "Sizes of tensors must match"),
            (up(use="x"), "the same if the stage's values change places"),
            (up(use=("x", "mean")), "the same if the stage's values change places"),
            (up(use=("x", "small")), "the stage's finest detail makes no difference"),
            (up(use=("stage",)), "the same if the values of x change places"),
            (up(relu=False), "it is linear"),
            (up(fresh=True), "a different output the second time"),
            (up(listed=True), "it has no parameters"),
            (up(spare=2), "no gradient reaches spare.weight, spare.bias"),
            (up(spare=1), "no gradient reaches spare.weight, spare.bias"),
        ],
    ),
}
