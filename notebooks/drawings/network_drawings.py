"""Drawings of the networks, for notebook 03."""

import math

import numpy as np
import torch
from card import (
    NORMAL,
    PLUS,
    SMALL,
    WIDTH,
    add_picture,
    card,
    draw_arrow,
    draw_block,
    draw_path,
    draw_plus,
    tint,
    write,
)
from matplotlib.patches import Rectangle
from torch import Tensor

from maskdepth_utils import load_pretrained
from maskdepth_utils.course.design import DEEPEST, deepest_field
from maskdepth_utils.course.hooks import recorded_outputs
from maskdepth_utils.course.widgets.features import collect_features
from maskdepth_utils.data.datasets import MaskDepthDataset
from maskdepth_utils.models.blocks import LAYERS, upsample
from maskdepth_utils.models.networks import MaskDepthNet
from maskdepth_utils.plots import BLUE, DEPTH_COLORS, GRAY, GREEN, LINES, ORANGE, VERMILION, to_array, to_metres

TABLE, CHAIR, OFFICE_CHAIR = 7, 23, 72  # validation samples

# The drawing of the whole network, in inches
MIDDLE = 3.5  # the encoder
SIDE = 2.38  # from the encoder to the branches
LEVELS = [0.98 + 0.64 * (4 - number) for number in range(5)]  # heights of stem, layer 1, ... layer 4
FULL = LEVELS[0] + 1.82  # height of the level of full size
THUMB = 0.85  # size of a picture
PICTURES = LEVELS[0] + 0.42  # the lower edge of the two input pictures
HALF = 0.125  # half the height of a block


def encoder_decoder():
    """Draw every stage of `MaskDepthNet` with its channels and size, as the network outputs them.

    Not drawn: the background gets the image's exposure first.
    """
    sample = MaskDepthDataset("val", gap="none")[CHAIR]
    features = collect_features(MaskDepthNet(), *np.zeros((2, 160, 160, 3), np.uint8))
    shapes = {stage.name: stage.maps.shape for stage in features.stages}
    truths = {"mask": (to_array(sample["mask"]), "gray"), "depth": (to_metres(sample["depth"]), DEPTH_COLORS)}

    with card(FULL + 1.62) as (figure, axis):
        starts = [PICTURES, *(y - HALF for y in LEVELS)]
        halves = []
        for name, start, y in zip(LAYERS, starts, LEVELS):
            halves.append(draw_stage(axis, MIDDLE, y, shapes[f"encoder, {name}"], BLUE))
            draw_arrow(axis, (MIDDLE, start), (MIDDLE, y + HALF))
            write(axis, MIDDLE + 0.09, (y + HALF + start) / 2, name, ha="left")
        write(axis, MIDDLE, LEVELS[-1] - 0.3, "encoder", fontsize=NORMAL, weight="bold")
        for name, side in (("image", -1), ("background", 1)):
            add_picture(figure, MIDDLE + side * 0.48 - THUMB / 2, PICTURES, THUMB, to_array(sample[name]))
            write(axis, MIDDLE + side * 0.6, PICTURES + THUMB + 0.1, name)
        write(axis, MIDDLE + THUMB + 0.14, PICTURES + THUMB / 2, "3 × 160 × 160\neach", ha="left")
        draw_arrow(axis, (MIDDLE, PICTURES + THUMB), (MIDDLE, FULL - HALF))
        write(axis, MIDDLE + 0.09, FULL - 0.23, "Detail", ha="left")
        halves = [draw_stage(axis, MIDDLE, FULL, shapes["detail of the two pictures"], VERMILION), *halves]

        for task, side, color in (("mask", -1, ORANGE), ("depth", 1, GREEN)):
            draw_branch(axis, f"{task} branch, ", shapes, side, color, halves)
            x = MIDDLE + side * SIDE
            values, colors = truths[task]
            add_picture(figure, x - THUMB / 2, FULL + 0.63, THUMB, values, cmap=colors)
            write(axis, x - side * (THUMB / 2 + 0.1), FULL + 1.05, task, ha="left" if side < 0 else "right")
            write(axis, x, LEVELS[-1] - 0.3, f"{task} branch", fontsize=NORMAL, weight="bold")
        legend = "channels × height × width: the wider, the more pixels; the darker, the more channels"
        write(axis, MIDDLE, 0.38, legend)
        write(axis, MIDDLE, 0.17, "up each branch: enlarge, add the skip, convolve (the last time to one channel)")
    return figure


def draw_stage(axis, x: float, y: float, shape, color) -> float:
    """Draw a block as wide as its pixels and as dark as its channels, on logarithmic scales.

    `shape` is (channels, height, width), 5 to 160 pixels wide. Returns half the block's width in inches.
    """
    wide = 0.98 + 0.62 * math.log2(shape[-1] / 5) / math.log2(160 / 5)
    shade = tint(color, max(0.05, 0.09 * math.log2(shape[0]) - 0.25))
    draw_block(axis, x, y, wide, 2 * HALF, format_shape(shape), shade)
    return wide / 2


def draw_branch(axis, prefix: str, shapes: dict, side: int, color, halves) -> None:
    """Draw a branch left (side -1) or right (1) of the encoder, from the bottom up.

    `halves` are half the widths of the blocks in the middle, that of `Detail` first.
    """
    x = MIDDLE + side * SIDE
    half = draw_stage(axis, x, LEVELS[-1], shapes[f"{prefix}entry"], color)
    draw_arrow(axis, (MIDDLE + side * halves[-1], LEVELS[-1]), (x - side * half, LEVELS[-1]))
    foot = LEVELS[-1] + HALF
    blocks = [*(f"block {number}" for number in range(1, 5)), "mixed with detail"]
    for y, name, half in zip([*reversed(LEVELS[:-1]), FULL], blocks, reversed(halves[:-1])):
        draw_arrow(axis, (MIDDLE + side * half, y), (x - side * PLUS, y), GRAY)
        draw_arrow(axis, (x, foot), (x, y - PLUS))
        draw_plus(axis, x, y)
        draw_arrow(axis, (x, y + PLUS), (x, y + 0.2), mutation_scale=6)
        draw_stage(axis, x, y + 0.32, shapes[prefix + name], color)
        foot = y + 0.32 + HALF
    draw_arrow(axis, (x, foot), (x, FULL + 0.63))
    write(axis, MIDDLE + side * SIDE / 2, LEVELS[0] + 0.1, "skip")
    write(axis, x + side * 0.1, PICTURES + 0.6, "enlarge", ha="right" if side < 0 else "left")


def format_shape(shape) -> str:
    """(64, 80, 80) -> "64 × 80 × 80": channels, height, width."""
    return " × ".join(map(str, shape))


def skip():
    """Draw what a skip carries, and the decoder block that uses it: the shipped network at work.

    Of the block's channels we draw the one in which the two parts vary together most (the greatest covariance), on one
    colour scale. Not drawn: BatchNorm and ReLU.
    """
    sample = MaskDepthDataset("val", gap="none")[TABLE]
    below, lateral, sizes = skip_parts(load_pretrained(device="cpu").model, sample)
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
            (low, "stage", tint(BLUE, 0.3), -1, f"encoder, {LAYERS[1]}"),
        ):
            draw_block(axis, source, y, 1.06, 0.27, sizes[key], color)
            write(axis, source, y + up * 0.25, words)
            draw_arrow(axis, (source, middle + up * 0.45), (source, y - up * 0.135))
            draw_arrow(axis, (source + 0.53, y), (first - wide / 2, y))
            write(axis, (source + 0.53 + first - wide / 2) / 2, y + 0.12, "enlarge" if up > 0 else "1 × 1")
            draw_path(axis, [(first + wide / 2, y), (added, y), (added, middle + up * PLUS)])
            y = middle + up * 0.4
            draw_path(axis, [(total + wide / 2, middle), (end - 0.56, middle), (end - 0.56, y), (end - 0.46, y)])
            draw_block(axis, end, y, 0.92, 0.27, "5 × 5, 3 × 3" if up > 0 else "5 × 5", tint(ORANGE, 0.15))
            draw_path(axis, [(end + 0.46, y), (last, y), (last, middle + up * PLUS)])
        draw_plus(axis, added, middle)
        draw_arrow(axis, (added + PLUS, middle), (total - wide / 2, middle))
        draw_plus(axis, last, middle)
        draw_path(axis, [(last + PLUS, middle), (last + 0.35, middle), (last + 0.35, low + 0.135)])
        draw_block(axis, last - 0.04, low, 1.02, 0.27, sizes["after"], tint(ORANGE, 0.3))
        write(axis, last - 0.04, low - 0.25, "to the next block")
    return figure


def skip_parts(model: MaskDepthNet, sample: dict) -> tuple[Tensor, Tensor, dict]:
    """What block 3 of the mask branch adds up: (enlarged from below, lateral), each (C, H, W), and sizes as text.

    The sizes are of what comes from "below", of the encoder's "stage", and of the block's output ("after").
    """
    _, before, block, _ = model.branches["mask"].ups
    modules = {"encoder": model.encoder, "below": before, "lateral": block.lateral, "after": block}
    with torch.no_grad(), recorded_outputs(modules) as outputs:
        model(sample["image"][None], sample["background"][None])
    outputs["stage"] = outputs["encoder"][1]
    below = upsample(outputs["below"], outputs["lateral"].shape[-2:])
    sizes = {name: format_shape(outputs[name].shape[1:]) for name in ("below", "stage", "after")}
    return below[0], outputs["lateral"][0], sizes


def receptive_field():
    """Draw the receptive fields of the encoder's five stages on a picture of 160 px.

    Every stage has a feature exactly above the pixel in row 96 and column 96, as 96 is a multiple of all strides. The
    fields are those of the convolutions; matching the background's exposure, by one factor for all, comes first.
    """
    middle = 96
    fields = [deepest_field(stages) for stages in range(1, DEEPEST + 1)]
    image = to_array(MaskDepthDataset("val", gap="none")[OFFICE_CHAIR]["image"])
    far = fields[-1] / 2 + 32  # pixels around the feature in the right panel: room for the name of the largest field
    box = {"boxstyle": "square,pad=0.22", "facecolor": "white", "linewidth": 1.2}
    line = {"arrowstyle": "-", "linewidth": 1.2}

    with card(3.66) as (figure, axis):
        side = 3.34
        panels = [add_picture(figure, x, 0.06, side, image) for x in (0.08, WIDTH - side - 0.08)]
        panels[0].set_title("160 × 160 pixels", pad=4)
        panels[1].set_title("the same, from farther away", pad=4)
        panels[1].set(xlim=(middle - far, middle + far), ylim=(middle + far, middle - far), facecolor="#e8e8e8")
        for panel, stages in zip(panels, ((2, 1, 0), (4, 3, 2))):
            for stage in stages:
                field, color = fields[stage], LINES[stage]
                left = top = middle - field / 2
                for rim, width in (("white", 4.5), (color, 2.2)):  # a white rim shows it on any picture
                    panel.add_patch(Rectangle((left, top), field, field, fill=False, edgecolor=rim, linewidth=width))
                beside = field < 10  # above it, the name would hide too much
                point, away = ((left, middle), (-55, 0)) if beside else ((middle, top), (0, 8))  # points
                panel.annotate(
                    f"{LAYERS[stage]}: {field} px", point, away, textcoords="offset points", ha="center", va="center",
                    fontsize=SMALL, bbox=box | {"edgecolor": color},
                    arrowprops=line | {"color": color} if beside else None,
                )  # fmt: skip
        write(panels[1], middle, middle + 0.74 * far, "no picture here: padding")
    return figure
