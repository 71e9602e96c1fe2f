"""The course's drawings, made by code. Here are the networks; camera and losses come from modules of their own.

Each function returns a matplotlib Figure, 7 inches (700 pixels) wide, for the last line of a notebook's cell. What is
written on it is computed from the course's own networks and data. The docstrings end with a caption.

drawings.pinhole(), z_buffer()                                         notebook 01
drawings.encoder_decoder(), skip(), receptive_field()                  notebook 03
drawings.sobel_edge(), ssim_window()                                   notebook 04
"""

import math

import torch
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from ...data.datasets import MaskDepthDataset
from ...models.blocks import LAYERS, upsample
from ...models.networks import MaskDepthNet, evaluating
from ...plots import BLUE, DEPTH_COLORS, GREEN, LINES, ORANGE, VERMILION, to_array, to_metres
from ..design import DEEPEST, deepest_field
from .card import GRAY, NORMAL, SMALL, WIDTH, arrow, block, card, path, picture, plus, say, shipped, tint
from .geometry import pinhole, z_buffer  # noqa: F401  (part of this module for its users)
from .losses import sobel_edge, ssim_window  # noqa: F401  (as well)

TABLE, CHAIR, OFFICE_CHAIR = 7, 23, 72  # validation samples

# ---------------------------------------------------------------- the whole network
MIDDLE, SIDE, STEP = 3.5, 2.38, 0.64  # inches: the encoder, how far from it the branches are, from level to level
LEVELS = [0.98 + STEP * (4 - number) for number in range(5)]  # heights of stem, layer 1, ... layer 4
THUMB, PICTURES, FULL = 0.85, LEVELS[0] + 0.42, LEVELS[0] + 1.82  # pictures' size, foot; height of the full-size level


def encoder_decoder(size: int = 160, width: float = 1.0):
    """`MaskDepthNet` for pictures of size x size px: every stage, its channels and size. For notebook 03, section 4.

    width: the network's factor on all channels; 0.5 is the shipped network. The sizes are those that the network itself
    puts out. The pictures are a sample of the validation data, with its true mask and depth. Not drawn: the background
    gets the image's exposure first. ValueError for a size below 32.

    Caption: The whole network. The encoder (blue) leads down: fewer pixels at each stage, and in the end more channels.
    A branch for the mask and one for the depth lead up again. At each size the encoder's stage is added to them (a
    skip), and at full size what `Detail` finds in the two pictures.
    """
    with torch.random.fork_rng(devices=[]):  # a drawing leaves the notebook's random numbers alone
        found = shapes(MaskDepthNet(width=width), size)
    sample = MaskDepthDataset("val", gap="none")[CHAIR]
    stages = [found["encoder.relu"]] + [found[f"encoder.layer{number}"] for number in range(1, 5)]
    sizes = stages[-1][-1], size

    with card(FULL + 1.62) as (figure, axis):
        halves = [draw_stage(axis, MIDDLE, y, shape, BLUE, sizes) for y, shape in zip(LEVELS, stages)]
        starts = [PICTURES] + [y - 0.125 for y in LEVELS]
        for name, start, y in zip(LAYERS, starts, LEVELS):
            arrow(axis, (MIDDLE, start), (MIDDLE, y + 0.125))
            say(axis, MIDDLE + 0.09, (y + 0.125 + start) / 2, name, ha="left")
        say(axis, MIDDLE, LEVELS[-1] - 0.3, "encoder", fontsize=NORMAL, weight="bold")
        for name, side in (("image", -1), ("background", 1)):
            picture(figure, MIDDLE + side * 0.48 - THUMB / 2, PICTURES, THUMB, to_array(sample[name]))
            say(axis, MIDDLE + side * 0.6, PICTURES + THUMB + 0.1, name)
        say(axis, MIDDLE + THUMB + 0.14, PICTURES + THUMB / 2, f"{times((3, size, size))}\neach", ha="left")
        arrow(axis, (MIDDLE, PICTURES + THUMB), (MIDDLE, FULL - 0.125))
        say(axis, MIDDLE + 0.09, FULL - 0.23, "Detail", ha="left")
        halves = [draw_stage(axis, MIDDLE, FULL, found["detail"], VERMILION, sizes), *halves]

        for task, side, color in (("mask", -1, ORANGE), ("depth", 1, GREEN)):
            draw_branch(axis, f"branches.{task}.", found, side, color, sizes, halves)
            x, values = MIDDLE + side * SIDE, to_array(sample["mask"]) if task == "mask" else to_metres(sample["depth"])
            colors = "gray" if task == "mask" else DEPTH_COLORS
            picture(figure, x - THUMB / 2, FULL + 0.63, THUMB, values, cmap=colors)
            say(axis, x - side * (THUMB / 2 + 0.1), FULL + 1.05, task, ha="left" if side < 0 else "right")
            say(axis, x, LEVELS[-1] - 0.3, f"{task} branch", fontsize=NORMAL, weight="bold")
        say(axis, MIDDLE, 0.38, "channels × height × width: the wider, the more pixels; the darker, the more channels")
        say(axis, MIDDLE, 0.17, "up a branch: enlarge, add the skip, convolve (last of all to one channel)")
    return figure


def draw_stage(axis, x: float, y: float, shape, color, sizes) -> float:
    """A block as wide as its size and as dark as its channels, both as logarithms; returns half its width in inches.

    shape: (channels, height, width); sizes: the least and the greatest width that occur, in pixels.
    """
    wide = 0.98 + 0.62 * math.log2(shape[-1] / sizes[0]) / math.log2(sizes[1] / sizes[0])
    block(axis, x, y, wide, 0.25, times(shape), tint(color, max(0.05, 0.09 * math.log2(shape[0]) - 0.25)))
    return wide / 2


def draw_branch(axis, prefix: str, found: dict, side: int, color, sizes, halves) -> None:
    """A branch left (side -1) or right (1) of the encoder, bottom up. halves: half the widths of the encoder's blocks,
    that of `Detail` first."""
    x = MIDDLE + side * SIDE
    half = draw_stage(axis, x, LEVELS[-1], found[f"{prefix}entry"], color, sizes)
    arrow(axis, (MIDDLE + side * halves[-1], LEVELS[-1]), (x - side * half, LEVELS[-1]))
    foot = LEVELS[-1] + 0.125
    blocks = [*(f"ups.{number}" for number in range(4)), "mix"]
    for y, name, half in zip([*reversed(LEVELS[:-1]), FULL], blocks, reversed(halves[:-1])):
        arrow(axis, (MIDDLE + side * half, y), (x - side * 0.085, y), GRAY)
        arrow(axis, (x, foot), (x, y - 0.085))
        plus(axis, x, y)
        arrow(axis, (x, y + 0.085), (x, y + 0.2), mutation_scale=6)
        draw_stage(axis, x, y + 0.32, found[prefix + name], color, sizes)
        foot = y + 0.445
    arrow(axis, (x, foot), (x, FULL + 0.63))
    say(axis, MIDDLE + side * SIDE / 2, LEVELS[0] + 0.1, "skip")
    say(axis, x + side * 0.1, PICTURES + 0.6, "enlarge", ha="right" if side < 0 else "left")


def shapes(model: nn.Module, size: int) -> dict[str, tuple]:
    """{a module's name: (channels, height, width) of what it puts out}, for a pair of pictures of size x size px."""
    found = {}

    def keep(name):
        def hook(module, inputs, output):
            if isinstance(output, Tensor):
                found[name] = tuple(output.shape[1:])

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in model.named_modules()]
    try:
        with torch.no_grad(), evaluating(model):
            model(*torch.zeros(2, 1, 3, size, size))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def times(shape) -> str:
    """(64, 80, 80) -> "64 × 80 × 80": channels, height, width."""
    return " × ".join(map(str, shape))


# ---------------------------------------------------------------- a skip
def skip(number: int = 3):
    """What a skip carries, and the decoder block that uses it: the shipped network at work. For notebook 03, section 4.

    number: which of the mask branch's four blocks, counted from the deepest. Of its channels we draw the one in which
    the two parts vary together most (the greatest covariance), in one scale of colours. Not drawn: BatchNorm and ReLU.
    ValueError for another number.

    Caption: One block of the mask branch. What comes from below, enlarged, knows roughly where the table is (top). The
    encoder's stage of that size, through a 1 × 1 convolution, brings the outlines (bottom). Their sum has both, and
    goes through the block's convolutions.
    """
    if number not in range(1, 5):
        raise ValueError(f"number: expected a block from 1 (the deepest) to 4, found {number!r}")
    sample = MaskDepthDataset("val", gap="none")[TABLE]
    below, lateral, size = skip_parts(shipped().model, sample, number)
    apart = [part - part.mean(dim=(1, 2), keepdim=True) for part in (below, lateral)]
    channel = (apart[0] * apart[1]).mean(dim=(1, 2)).argmax().item()
    parts = [part[channel].numpy() for part in (below, lateral, below + lateral)]
    reach = max(abs(part).max() for part in parts)

    with card(3.92) as (figure, axis):
        wide, source, high, low = 1.4, 0.66, 2.92, 0.94  # inches: a map's size; middles of columns and rows
        middle, first, added, total, end, last = (high + low) / 2, 2.45, 3.42, 4.42, 5.76, 6.43
        picture(figure, source - 0.45, middle - 0.45, 0.9, to_array(sample["image"]))
        for x, y, values in ((first, high, parts[0]), (first, low, parts[1]), (total, middle, parts[2])):
            picture(figure, x - wide / 2, y - wide / 2, wide, values, cmap="PuOr", vmin=-reach, vmax=reach)
            say(axis, x, y + wide / 2 + 0.1, times(below.shape))
        say(axis, total, middle - wide / 2 - 0.2, f"channel {channel} of each\npurple > 0 > orange")
        for y, key, color, up, words in (
            (high, "x", tint(ORANGE, 0.45), 1, "from below"),
            (low, "stage", tint(BLUE, 0.3), -1, f"encoder, {LAYERS[4 - number]}"),
        ):
            block(axis, source, y, 1.06, 0.27, size[key], color)
            say(axis, source, y + up * 0.25, words)
            arrow(axis, (source, middle + up * 0.45), (source, y - up * 0.135))
            arrow(axis, (source + 0.53, y), (first - wide / 2, y))
            say(axis, (source + 0.53 + first - wide / 2) / 2, y + 0.12, "enlarge" if up > 0 else "1 × 1")
            path(axis, [(first + wide / 2, y), (added, y), (added, middle + up * 0.085)])
            y = middle + up * 0.4
            path(axis, [(total + wide / 2, middle), (end - 0.56, middle), (end - 0.56, y), (end - 0.46, y)])
            block(axis, end, y, 0.92, 0.27, "5 × 5, 3 × 3" if up > 0 else "5 × 5", tint(ORANGE, 0.15))
            path(axis, [(end + 0.46, y), (last, y), (last, middle + up * 0.085)])
        plus(axis, added, middle)
        arrow(axis, (added + 0.085, middle), (total - wide / 2, middle))
        plus(axis, last, middle)
        path(axis, [(last + 0.085, middle), (last + 0.35, middle), (last + 0.35, low + 0.135)])
        block(axis, last - 0.04, low, 1.02, 0.27, size["out"], tint(ORANGE, 0.3))
        say(axis, last - 0.04, low - 0.25, "to the next block")
    return figure


def skip_parts(model: nn.Module, sample: dict, number: int) -> tuple[Tensor, Tensor, dict]:
    """What block `number` of the mask branch adds up: (enlarged from below, lateral), each (C, H, W), and its sizes.

    The sizes, as text: "x" what comes from below, "stage" the encoder's, "out" what the block puts out.
    """
    up, seen = model.branches["mask"].ups[number - 1], {}
    hook = up.register_forward_hook(lambda module, inputs, out: seen.update(x=inputs[0], stage=inputs[1], out=out))
    try:
        with torch.no_grad():
            model(sample["image"][None], sample["background"][None])
            below, lateral = upsample(seen["x"], seen["stage"].shape[-2:]), up.lateral(seen["stage"])
    finally:
        hook.remove()
    return below[0], lateral[0], {name: times(values.shape[1:]) for name, values in seen.items()}


# ---------------------------------------------------------------- what a stage sees
def receptive_field():
    """The receptive fields of the encoder's five stages, on a picture of 160 px. For notebook 03, section 2.

    All are fields of the features above one pixel, in row 96 and column 96: every stage has a feature exactly there, as
    96 is a multiple of all strides (2, 4, 8, 16, 32). They are the fields of the convolutions; that the background gets
    the image's exposure, one factor for the whole picture, comes before them.

    Caption: What one feature of each stage can see. The stem sees an edge of the seat, layer 1 the chair, layer 2 the
    chair and the room around it. Layers 3 and 4 could see more than there is: the whole picture, and the padding around
    it.
    """
    row = column = 96
    fields = [deepest_field(stages) for stages in range(1, DEEPEST + 1)]
    image = to_array(MaskDepthDataset("val", gap="none")[OFFICE_CHAIR]["image"])
    far = fields[-1] / 2 + 32  # pixels, that the right panel shows around the feature: room for the largest one's name

    with card(3.66) as (figure, axis):
        side, names = 3.34, (f"{image.shape[1]} × {image.shape[0]} pixels", "the same, from farther away")
        panels = [picture(figure, x, 0.06, side, image) for x in (0.08, WIDTH - side - 0.08)]
        panels[1].set(xlim=(column - far, column + far), ylim=(row + far, row - far), facecolor="#e8e8e8")
        for panel, stages, name in zip(panels, ((2, 1, 0), (4, 3, 2)), names):
            panel.set_title(name, pad=4)
            for stage in stages:
                name = f"{LAYERS[stage]}: {fields[stage]} px"
                draw_field(panel, row, column, fields[stage], name, LINES[stage], beside=stage == 0)
        say(panels[1], column, row + 0.74 * far, "no picture here: padding")
    return figure


def draw_field(panel, row: int, column: int, field: int, name: str, color, beside: bool) -> None:
    """A square of `field` pixels around a pixel. Its name is above it or, where it would hide too much, beside it."""
    left, top = column - field / 2, row - field / 2
    for line, width in (("white", 4.5), (color, 2.2)):  # a white rim shows it on any picture
        panel.add_patch(Rectangle((left, top), field, field, fill=False, edgecolor=line, linewidth=width))
    point, away = ((left, row), (-55, 0)) if beside else ((column, top), (0, 8))  # points
    panel.annotate(
        name, point, away, textcoords="offset points", ha="center", va="center", fontsize=SMALL,
        bbox={"boxstyle": "square,pad=0.22", "facecolor": "white", "edgecolor": color, "linewidth": 1.2},
        arrowprops={"arrowstyle": "-", "color": color, "linewidth": 1.2} if beside else None,
    )  # fmt: skip
