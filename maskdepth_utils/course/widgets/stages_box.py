"""A walk through a network's stages, as a widget and as pictures. Used in notebooks 03 and 07.

feature_maps(load_pretrained(), image, background)   # choose a stage, switch the skips off
draw_stage(run.stages[1])                            # uint8 (H, W, 3): the most varied 16 channels, without a front end
"""

import html
import io
import math
from functools import lru_cache
from pathlib import Path

import cv2
import ipywidgets as w
import matplotlib
import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

from ... import plots
from .parts import Picture, Tiles, present, reported
from .parts import png as as_png
from .scene import LIMITS, to_bytes, to_png
from .stages import SHOWN, SKIPS, Run, Stage, compare, has_skips, model_of, prepare, run_once

COLUMNS = 4  # channels in a row of a page
CELL = 160  # pixels that a channel is drawn wide: one for each pixel of a canonical picture
HEAD, FOOT = 26, 16  # pixels for the words above the page and below each channel
TILES = {
    "image": ("Image", "the photo with the object"),
    "mask": ("Network's mask", "in this setting: white is object"),
    "depth": ("Network's depth", "in this setting: bright is near, dark is 10 m"),
}


def draw_stage(stage: Stage, page: int = 0, order=None, colors: str = "viridis", remark: str = "") -> np.ndarray:
    """A page of a stage's channels, uint8 (H, W, 3): the size above, below each channel its number and values.

    page: 0 shows the first 16 of `order` (None: the most varied ones). colors: a colour map of matplotlib, "gray" say.
    Each channel has its own scale, from its least value (dark) to its greatest (bright); both are written below it.
    """
    order = stage.order if order is None else order
    page = min(max(page, 0), stage.pages - 1)
    chosen = order[page * SHOWN : (page + 1) * SHOWN]
    cells = [draw_channel(stage.maps[channel], colors) for channel in chosen]
    height, width = cells[0].shape[:2]
    across, down = width + 4, height + FOOT + 2
    rows = math.ceil(min(SHOWN, len(order)) / COLUMNS)  # the last page is as tall as the others, and nothing jumps
    paper = np.full((HEAD + rows * down, COLUMNS * across, 3), 255, np.uint8)
    for number, cell in enumerate(cells):
        top, left = HEAD + number // COLUMNS * down, number % COLUMNS * across
        paper[top : top + height, left : left + width] = cell
    written = Image.fromarray(paper)
    pen = ImageDraw.Draw(written)
    first = page * SHOWN + 1
    which = "all" if stage.pages == 1 else f"{first} to {first + len(cells) - 1} of {len(order)}"
    pen.text((2, 4), f"{stage.name}: {stage.size} ({which}{remark})", fill="black", font=font(15))
    for number, channel in enumerate(chosen):
        low, high = stage.maps[channel].min(), stage.maps[channel].max()
        at = number % COLUMNS * across + 2, HEAD + number // COLUMNS * down + height + 1
        pen.text(at, f"no. {channel}: {low:.3g} to {high:.3g}", fill="#404040", font=font(11))
    return np.asarray(written)


def draw_channel(values: np.ndarray, colors: str) -> np.ndarray:
    """One channel (H, W), `CELL` pixels wide, uint8 (h, w, 3): each of its numbers is a square."""
    low, high = float(values.min()), float(values.max())
    level = np.uint8((values - low) / max(high - low, 1e-12) * 255 + 0.5)
    size = CELL, max(1, round(CELL * values.shape[0] / values.shape[1]))
    return color_table(colors)[cv2.resize(level, size, interpolation=cv2.INTER_NEAREST)]


@lru_cache
def color_table(name: str) -> np.ndarray:
    """A colour map as uint8 (256, 3)."""
    return np.uint8(colormaps[name](np.arange(256))[:, :3] * 255 + 0.5)


@lru_cache
def font(size: int):
    """matplotlib's own font, which is there on every machine."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def draw_run(run: Run) -> dict[str, np.ndarray]:
    """The network's mask and depth, uint8 (H, W, 3); gray for what it does not predict."""
    drawn = {}
    if run.mask is not None:
        drawn["mask"] = np.repeat(np.uint8(run.mask * 255 + 0.5)[..., None], 3, axis=2)
    if run.depth is not None:
        drawn["depth"] = plots.color_depth(run.depth, LIMITS)
    shape = next(iter(drawn.values())).shape
    return {name: drawn.get(name, np.full(shape, 128, np.uint8)) for name in ("mask", "depth")}


def words_for(skips: bool | str) -> str:
    """The list's words for a way to cut the skips."""
    return next(words for words, value in SKIPS.items() if value == skips)


class Walk:
    """What the widget computes: one pass for each setting of the skips, kept; then only drawing."""

    def __init__(self, network, image, background):
        self.model, self.tensors = model_of(network), prepare(network, image, background)
        self.has_skips = has_skips(self.model)
        self.runs: dict[bool | str, Run] = {}
        self.orders = [stage.order for stage in self.run(True).stages]  # for both, so that channels keep their places

    def run(self, skips: bool | str) -> Run:
        """The pass with these skips, computed once."""
        if skips not in self.runs:
            self.runs[skips] = run_once(self.model, *self.tensors, skips)
        return self.runs[skips]

    def draw(self, number: int, page: int = 0, skips: bool | str = True, colors: str = "viridis") -> np.ndarray:
        """A page of stage `number`, as `draw_stage`."""
        remark = "" if skips is True or not self.has_skips else f"; {words_for(skips)}"
        return draw_stage(self.run(skips).stages[number], page, self.orders[number], colors, remark)

    def describe(self, number: int, skips: bool | str) -> str:
        """Stage `number` in words: its size, and what the cut did to it."""
        stage = self.run(skips).stages[number]
        channels, height, width = stage.maps.shape
        share = self.tensors[0].shape[-2] / height
        words = f"{stage.name}: {channels} channels of {height} x {width} numbers"
        words += f", one for every {share:.3g} x {share:.3g} pixels." if share > 1 else ", one for every pixel."
        if not self.has_skips:
            return f"{words} This network has no skips to cut."
        return words if skips is True else f"{words} {words_for(skips)}: {compare(self.run(True), self.run(skips))}."

    def pictures(self, skips: bool | str) -> dict[str, np.ndarray]:
        """The image, and the network's mask and depth, uint8 (H, W, 3)."""
        return {"image": to_bytes(plots.to_array(self.tensors[0][0]))} | draw_run(self.run(skips))


def feature_maps(network, image, background, **start) -> w.VBox:
    """Walk through the network's stages, look at their channels, and cut its skips to see what they carry.

    Arguments as for `collect`. Beside the channels: the network's mask and depth in the same setting.
    start: values of the controls, as stage=3 or skips="laterals".
    """
    walk = Walk(network, image, background)
    named = controls(walk)
    unknown = set(start) - set(named)
    if unknown:
        raise ValueError(f"unknown settings {', '.join(sorted(unknown))}: expected some of {', '.join(named)}")
    page = Picture("The stage's channels", flex="1 1 400px", min_width="300px", max_width="656px")
    tiles, note = Tiles(TILES), w.HTML()

    def update(change=None):
        with reported(note):
            stage, skips = named["stage"].value, named["skips"].value
            page.value = as_png(walk.draw(stage, named["page"].value - 1, skips, named["colors"].value))
            tiles.show({name: to_png(picture) for name, picture in walk.pictures(skips).items()})
            note.value = html.escape(walk.describe(stage, skips))

    for name, control in named.items():
        control.value = start.get(name, control.value)
        control.observe(update, names="value")
    update()
    tiles.box.layout.width = "232px"  # one below the other, beside the page
    beside = w.Box([page, tiles.box], layout=w.Layout(flex_flow="row wrap", align_items="flex-start"))
    chosen = w.Box(list(named.values()), layout=w.Layout(flex_flow="row wrap"))
    box = w.VBox([chosen, note, beside])
    box.controls, box.tiles, box.page, box.walk = named, tiles, page, walk
    present(box, still(walk, named["stage"].value))
    return box


def controls(walk: Walk) -> dict:
    """All of them work from the keyboard: Tab goes from one to the next, Enter presses a button, and arrows (in
    Notebook 7, which keeps those for itself, Page Up and Page Down) move a slider.
    """
    style, wide = {"description_width": "60px"}, w.Layout(width="440px")
    stages = walk.run(True).stages
    names = [(stage.name, number) for number, stage in enumerate(stages)]
    stage = w.SelectionSlider(options=names, value=1, description="stage", style=style, layout=wide)
    page = w.IntSlider(1, 1, stages[1].pages, description="page", style=style, layout=wide)
    stage.observe(lambda change: setattr(page, "max", stages[stage.value].pages), names="value")
    about = ["the network as it is", "detail carries zeros", "laterals carry zeros", "both carry zeros"]
    return {
        "stage": stage,
        "page": page,
        "skips": w.ToggleButtons(
            options=list(SKIPS.items()), description="skips", style=style, disabled=not walk.has_skips, tooltips=about
        ),
        "colors": w.ToggleButtons(options=["viridis", "gray"], description="colours", style=style),
    }


def still(walk: Walk, number: int, cell: int = 156) -> bytes:
    """A PNG for where no kernel runs: a stage, and mask and depth for each setting of the skips, `cell` pixels wide."""
    left = walk.draw(number)
    settings = SKIPS if walk.has_skips else {"": True}
    rows = {words: draw_run(walk.run(skips)) for words, skips in settings.items()}
    shape = next(iter(rows.values()))["mask"].shape
    beside, across, down = left.shape[1] + 20, cell + 8, round(cell * shape[0] / shape[1]) + HEAD
    paper = Image.new("RGB", (beside + 2 * across, max(left.shape[0], len(rows) * down)), "white")
    paper.paste(Image.fromarray(left), (0, 0))
    pen = ImageDraw.Draw(paper)
    for row, (words, pictures) in enumerate(rows.items()):
        for column, (name, picture) in enumerate(pictures.items()):
            x, y = beside + column * across, row * down
            pen.text((x, y + 6), f"{name}, {words}".strip(", "), fill="black", font=font(13))
            paper.paste(Image.fromarray(picture).resize((cell, down - HEAD)), (x, y + HEAD))
    return small_png(paper)


def small_png(picture: Image.Image) -> bytes:
    """A PNG of 256 colours, a third of the size."""
    buffer = io.BytesIO()
    picture.quantize(256).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
