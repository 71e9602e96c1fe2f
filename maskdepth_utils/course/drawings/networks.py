"""Drawings of the networks, for notebook 03."""

import math

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from ...data.datasets import MaskDepthDataset
from ...models.blocks import LAYERS, upsample
from ...models.networks import MaskDepthNet
from ...plots import BLUE, DEPTH_COLORS, GRAY, GREEN, LINES, ORANGE, VERMILION, to_array, to_metres
from ..design import DEEPEST, deepest_field
from ..hooks import recorded_outputs
from ..widgets.features import collect_features
from .card import (
    NORMAL,
    SMALL,
    WIDTH,
    add_picture,
    card,
    draw_arrow,
    draw_block,
    draw_path,
    draw_plus,
    shipped_predictor,
    tint,
    write,
)  # fmt: skip

TABLE, CHAIR, OFFICE_CHAIR = 7, 23, 72  # validation samples

# The drawing of the whole network, in inches
MIDDLE = 3.5  # the encoder
SIDE = 2.38  # from the encoder to the branches
LEVELS = [0.98 + 0.64 * (4 - number) for number in range(5)]  # heights of stem, layer 1, ... layer 4
FULL = LEVELS[0] + 1.82  # height of the level of full size
THUMB = 0.85  # size of a picture
PICTURES = LEVELS[0] + 0.42  # the lower edge of the two input pictures


def encoder_decoder(size: int = 160, width: float = 1.0):
    """Draw every stage of `MaskDepthNet` with its channels and size, as the network puts them out.

    Not drawn: the background gets the image's exposure first.

    Args:
        size: The pictures' size in pixels, at least 32.
        width: The network's factor on all channels; 0.5 is the shipped network.
    """
    black = np.zeros((size, size, 3), np.uint8)
    with torch.random.fork_rng(devices=[]):  # a drawing leaves the notebook's random numbers alone
        features = collect_features(MaskDepthNet(width=width), black, black)
    shapes = {stage.name: stage.maps.shape for stage in features.stages}
    sample = MaskDepthDataset("val", gap="none")[CHAIR]
    stages = [shapes[f"encoder, {name}"] for name in LAYERS]
    widths = stages[-1][-1], size
    truths = {"mask": (to_array(sample["mask"]), "gray"), "depth": (to_metres(sample["depth"]), DEPTH_COLORS)}

    with card(FULL + 1.62) as (figure, axis):
        halves = [draw_stage(axis, MIDDLE, y, shape, BLUE, widths) for y, shape in zip(LEVELS, stages)]
        starts = [PICTURES] + [y - 0.125 for y in LEVELS]
        for name, start, y in zip(LAYERS, starts, LEVELS):
            draw_arrow(axis, (MIDDLE, start), (MIDDLE, y + 0.125))
            write(axis, MIDDLE + 0.09, (y + 0.125 + start) / 2, name, ha="left")
        write(axis, MIDDLE, LEVELS[-1] - 0.3, "encoder", fontsize=NORMAL, weight="bold")
        for name, side in (("image", -1), ("background", 1)):
            add_picture(figure, MIDDLE + side * 0.48 - THUMB / 2, PICTURES, THUMB, to_array(sample[name]))
            write(axis, MIDDLE + side * 0.6, PICTURES + THUMB + 0.1, name)
        write(axis, MIDDLE + THUMB + 0.14, PICTURES + THUMB / 2, f"{format_shape((3, size, size))}\neach", ha="left")
        draw_arrow(axis, (MIDDLE, PICTURES + THUMB), (MIDDLE, FULL - 0.125))
        write(axis, MIDDLE + 0.09, FULL - 0.23, "Detail", ha="left")
        halves = [draw_stage(axis, MIDDLE, FULL, shapes["detail of the two pictures"], VERMILION, widths), *halves]

        for task, side, color in (("mask", -1, ORANGE), ("depth", 1, GREEN)):
            draw_branch(axis, f"{task} branch, ", shapes, side, color, widths, halves)
            x = MIDDLE + side * SIDE
            values, colors = truths[task]
            add_picture(figure, x - THUMB / 2, FULL + 0.63, THUMB, values, cmap=colors)
            write(axis, x - side * (THUMB / 2 + 0.1), FULL + 1.05, task, ha="left" if side < 0 else "right")
            write(axis, x, LEVELS[-1] - 0.3, f"{task} branch", fontsize=NORMAL, weight="bold")
        legend = "channels × height × width: the wider, the more pixels; the darker, the more channels"
        write(axis, MIDDLE, 0.38, legend)
        write(axis, MIDDLE, 0.17, "up a branch: enlarge, add the skip, convolve (last of all to one channel)")
    return figure


def draw_stage(axis, x: float, y: float, shape, color, widths) -> float:
    """Draw a block as wide as its pixels and as dark as its channels, on logarithmic scales.

    (x, y) is its middle in inches, `shape` is (channels, height, width), and `widths` are the least and the greatest
    width of all stages in pixels. Returns half the block's width in inches.
    """
    wide = 0.98 + 0.62 * math.log2(shape[-1] / widths[0]) / math.log2(widths[1] / widths[0])
    draw_block(axis, x, y, wide, 0.25, format_shape(shape), tint(color, max(0.05, 0.09 * math.log2(shape[0]) - 0.25)))
    return wide / 2


def draw_branch(axis, prefix: str, shapes: dict, side: int, color, widths, halves) -> None:
    """Draw a branch left (side -1) or right (1) of the encoder, from the bottom up.

    `halves` are half the widths of the blocks in the middle, that of `Detail` first.
    """
    x = MIDDLE + side * SIDE
    half = draw_stage(axis, x, LEVELS[-1], shapes[f"{prefix}entry"], color, widths)
    draw_arrow(axis, (MIDDLE + side * halves[-1], LEVELS[-1]), (x - side * half, LEVELS[-1]))
    foot = LEVELS[-1] + 0.125
    blocks = [*(f"block {number}" for number in range(1, 5)), "mixed with detail"]
    for y, name, half in zip([*reversed(LEVELS[:-1]), FULL], blocks, reversed(halves[:-1])):
        draw_arrow(axis, (MIDDLE + side * half, y), (x - side * 0.085, y), GRAY)
        draw_arrow(axis, (x, foot), (x, y - 0.085))
        draw_plus(axis, x, y)
        draw_arrow(axis, (x, y + 0.085), (x, y + 0.2), mutation_scale=6)
        draw_stage(axis, x, y + 0.32, shapes[prefix + name], color, widths)
        foot = y + 0.445
    draw_arrow(axis, (x, foot), (x, FULL + 0.63))
    write(axis, MIDDLE + side * SIDE / 2, LEVELS[0] + 0.1, "skip")
    write(axis, x + side * 0.1, PICTURES + 0.6, "enlarge", ha="right" if side < 0 else "left")


def format_shape(shape) -> str:
    """(64, 80, 80) -> "64 × 80 × 80": channels, height, width."""
    return " × ".join(map(str, shape))


def skip(number: int = 3):
    """Draw what a skip carries, and the decoder block that uses it: the shipped network at work.

    Of the block's channels we draw the one in which the two parts vary together most (the greatest covariance), in one
    scale of colours. Not drawn: BatchNorm and ReLU.

    Args:
        number: Which of the mask branch's four blocks, counted from the deepest.
    """
    if number not in range(1, 5):
        raise ValueError(f"number: expected a block from 1 (the deepest) to 4, found {number!r}")
    sample = MaskDepthDataset("val", gap="none")[TABLE]
    below, lateral, sizes = skip_parts(shipped_predictor().model, sample, number)
    apart = [part - part.mean(dim=(1, 2), keepdim=True) for part in (below, lateral)]
    channel = (apart[0] * apart[1]).mean(dim=(1, 2)).argmax().item()
    parts = [part[channel].numpy() for part in (below, lateral, below + lateral)]
    reach = max(abs(part).max() for part in parts)

    with card(3.92) as (figure, axis):
        wide = 1.4  # inches: a map's size, then the middles of columns and rows
        source, first, added, total, end, last = 0.66, 2.45, 3.42, 4.42, 5.76, 6.43
        high, low = 2.92, 0.94
        middle = (high + low) / 2
        add_picture(figure, source - 0.45, middle - 0.45, 0.9, to_array(sample["image"]))
        for x, y, values in ((first, high, parts[0]), (first, low, parts[1]), (total, middle, parts[2])):
            add_picture(figure, x - wide / 2, y - wide / 2, wide, values, cmap="PuOr", vmin=-reach, vmax=reach)
            write(axis, x, y + wide / 2 + 0.1, format_shape(below.shape))
        write(axis, total, middle - wide / 2 - 0.2, f"channel {channel} of each\npurple > 0 > orange")
        for y, key, color, up, words in (
            (high, "below", tint(ORANGE, 0.45), 1, "from below"),
            (low, "stage", tint(BLUE, 0.3), -1, f"encoder, {LAYERS[4 - number]}"),
        ):
            draw_block(axis, source, y, 1.06, 0.27, sizes[key], color)
            write(axis, source, y + up * 0.25, words)
            draw_arrow(axis, (source, middle + up * 0.45), (source, y - up * 0.135))
            draw_arrow(axis, (source + 0.53, y), (first - wide / 2, y))
            write(axis, (source + 0.53 + first - wide / 2) / 2, y + 0.12, "enlarge" if up > 0 else "1 × 1")
            draw_path(axis, [(first + wide / 2, y), (added, y), (added, middle + up * 0.085)])
            y = middle + up * 0.4
            draw_path(axis, [(total + wide / 2, middle), (end - 0.56, middle), (end - 0.56, y), (end - 0.46, y)])
            draw_block(axis, end, y, 0.92, 0.27, "5 × 5, 3 × 3" if up > 0 else "5 × 5", tint(ORANGE, 0.15))
            draw_path(axis, [(end + 0.46, y), (last, y), (last, middle + up * 0.085)])
        draw_plus(axis, added, middle)
        draw_arrow(axis, (added + 0.085, middle), (total - wide / 2, middle))
        draw_plus(axis, last, middle)
        draw_path(axis, [(last + 0.085, middle), (last + 0.35, middle), (last + 0.35, low + 0.135)])
        draw_block(axis, last - 0.04, low, 1.02, 0.27, sizes["after"], tint(ORANGE, 0.3))
        write(axis, last - 0.04, low - 0.25, "to the next block")
    return figure


def skip_parts(model: MaskDepthNet, sample: dict, number: int) -> tuple[Tensor, Tensor, dict]:
    """What a block of the mask branch adds up: (enlarged from below, lateral), each (C, H, W), and sizes as text.

    The sizes are of what comes from "below", of the encoder's "stage", and of what the block puts out ("after").
    """
    branch = model.branches["mask"]
    block = branch.ups[number - 1]
    before = branch.entry if number == 1 else branch.ups[number - 2]
    modules = {"encoder": model.encoder, "below": before, "lateral": block.lateral, "after": block}
    with torch.no_grad(), recorded_outputs(modules) as outputs:
        model(sample["image"][None], sample["background"][None])
    outputs["stage"] = outputs["encoder"][4 - number]
    below = upsample(outputs["below"], outputs["lateral"].shape[-2:])
    sizes = {name: format_shape(outputs[name].shape[1:]) for name in ("below", "stage", "after")}
    return below[0], outputs["lateral"][0], sizes


def receptive_field():
    """Draw the receptive fields of the encoder's five stages on a picture of 160 px.

    They belong to the features above the pixel in row 96 and column 96: every stage has a feature exactly there, as 96
    is a multiple of all strides (2, 4, 8, 16, 32). They are the fields of the convolutions; matching the background's
    exposure, by one factor for the whole picture, comes before these.
    """
    row = column = 96
    fields = [deepest_field(stages) for stages in range(1, DEEPEST + 1)]
    image = to_array(MaskDepthDataset("val", gap="none")[OFFICE_CHAIR]["image"])
    far = fields[-1] / 2 + 32  # pixels around the feature in the right panel: room for the name of the largest field

    with card(3.66) as (figure, axis):
        side = 3.34
        names = f"{image.shape[1]} × {image.shape[0]} pixels", "the same, from farther away"
        panels = [add_picture(figure, x, 0.06, side, image) for x in (0.08, WIDTH - side - 0.08)]
        panels[1].set(xlim=(column - far, column + far), ylim=(row + far, row - far), facecolor="#e8e8e8")
        for panel, stages, name in zip(panels, ((2, 1, 0), (4, 3, 2)), names):
            panel.set_title(name, pad=4)
            for stage in stages:
                name = f"{LAYERS[stage]}: {fields[stage]} px"
                draw_field(panel, row, column, fields[stage], name, LINES[stage], beside=stage == 0)
        write(panels[1], column, row + 0.74 * far, "no picture here: padding")
    return figure


def draw_field(panel, row: int, column: int, field: int, name: str, color, beside: bool) -> None:
    """Draw a square of `field` pixels around a pixel, its name above it or, if that hides too much, beside it."""
    left, top = column - field / 2, row - field / 2
    for line, width in (("white", 4.5), (color, 2.2)):  # a white rim shows it on any picture
        panel.add_patch(Rectangle((left, top), field, field, fill=False, edgecolor=line, linewidth=width))
    point, away = ((left, row), (-55, 0)) if beside else ((column, top), (0, 8))  # points
    panel.annotate(
        name, point, away, textcoords="offset points", ha="center", va="center", fontsize=SMALL,
        bbox={"boxstyle": "square,pad=0.22", "facecolor": "white", "edgecolor": color, "linewidth": 1.2},
        arrowprops={"arrowstyle": "-", "color": color, "linewidth": 1.2} if beside else None,
    )  # fmt: skip
