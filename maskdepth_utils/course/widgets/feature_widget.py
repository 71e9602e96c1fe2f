"""A walk through a network's stages, as a widget and as pictures. Used in notebooks 03 and 07."""

import functools
import io
import math

import ipywidgets as w
import numpy as np
from matplotlib import colormaps, font_manager
from PIL import Image, ImageDraw, ImageFont

from ... import metrics, plots
from .features import SKIPS, Features, Stage, collect_features
from .parts import Picture, Tiles, assemble, to_gray, to_png
from .scene import DEPTH_LIMITS, score

SHOWN, COLUMNS = 16, 4  # channels on a page, and in a row of it
CELL = 160  # pixels: a channel's width on the page
HEAD, FOOT = 26, 16  # pixels for the words above the page and below each channel
CAPTIONS = {
    "image": ("Image", "the photo with the object"),
    "mask": ("Network's mask", "with these skips: the object is white"),
    "depth": ("Network's depth", "with these skips: bright is near, dark is 10 m away"),
}


def feature_maps(network, image, background) -> w.VBox:
    """Walk through a network's stages, look at their channels, and cut its skips to see what they carry.

    Arguments as for `collect_features`; the network predicts mask and depth.
    """
    collect = functools.cache(functools.partial(collect_features, network, image, background))
    whole = collect(True)
    controls = stage_controls(whole.stages)
    page = Picture("The stage's channels", flex="1 1 400px", min_width="300px", max_width="656px")
    tiles = Tiles(CAPTIONS)
    tiles.box.layout.width = "232px"  # in a column beside the page

    def update():
        number, skips = controls["stage"].value, controls["skips"].value
        features = collect(skips)
        stage = features.stages[number]
        remark = "" if skips is True else f"; {controls['skips'].label}"
        # The order of the whole network: channels keep their places when skips are cut.
        page.value = to_png(draw_stage(stage, whole.stages[number].order, controls["page"].value - 1, remark))
        tiles.show(draw_output(features))
        channels, rows, columns = stage.maps.shape
        share = len(features.image) / rows
        pixels = f"every {share:.3g} x {share:.3g} pixels" if share > 1 else "every pixel"
        words = f"{stage.name}: {channels} channels of {rows} x {columns} numbers, one for {pixels}."
        if skips is True:
            return words
        iou = score(metrics.iou, features.mask > 0.5, whole.mask > 0.5)
        change = np.abs(whole.depth - features.depth).mean()
        words += f" {controls['skips'].label}: IoU with the all-skips mask {iou:.2f},"
        return f"{words} mean change of the depth {change:.2f} m."

    def draw_still(tiles):
        return still_picture(draw_stage(whole.stages[1], whole.stages[1].order), map(collect, SKIPS.values()))

    beside = w.Box([page, tiles.box], layout=w.Layout(flex_flow="row wrap", align_items="flex-start"))
    box = assemble(controls, update, tiles, [beside], draw_still=draw_still)
    box.page = page
    return box


def stage_controls(stages: list[Stage]) -> dict[str, w.Widget]:
    """The controls. In Notebook 7, which reserves the arrow keys, Page Up and Page Down move the sliders."""
    style, layout = {"description_width": "60px"}, w.Layout(width="440px")
    options = [(stage.name, number) for number, stage in enumerate(stages)]
    stage = w.SelectionSlider(options=options, value=1, description="stage", style=style, layout=layout)
    page = w.IntSlider(1, 1, count_pages(stages[1]), description="page", style=style, layout=layout)
    stage.observe(lambda change: setattr(page, "max", count_pages(stages[change["new"]])), names="value")
    tooltips = ["the network as it is", "detail carries zeros", "laterals carry zeros", "both carry zeros"]
    skips = w.ToggleButtons(options=list(SKIPS.items()), description="skips", style=style, tooltips=tooltips)
    return {"stage": stage, "page": page, "skips": skips}


def count_pages(stage: Stage) -> int:
    """How many pages of `SHOWN` channels a stage fills."""
    return math.ceil(len(stage.maps) / SHOWN)


def draw_stage(stage: Stage, order: np.ndarray, page: int = 0, remark: str = "") -> np.ndarray:
    """Draw a page (from 0) of a stage's channels in this order, with their numbers and values: uint8 (H, W, 3).

    Each channel has its own scale, from its least value (dark) to its greatest (bright); both are written below it. The
    remark follows the stage's name.
    """
    first = page * SHOWN
    height = max(1, round(CELL * stage.maps.shape[1] / stage.maps.shape[2]))
    across, down = CELL + 4, height + FOOT + 2
    rows = math.ceil(min(SHOWN, len(order)) / COLUMNS)  # the last page is as tall as the others, so nothing jumps
    paper = Image.new("RGB", (COLUMNS * across, HEAD + rows * down), "white")
    pen = ImageDraw.Draw(paper)
    which = "all" if len(order) <= SHOWN else f"{first + 1} to {min(first + SHOWN, len(order))} of {len(order)}"
    pen.text((2, 4), f"{stage.name}: {stage.size} ({which}{remark})", fill="black", font=font(15))
    for number, channel in enumerate(order[first : first + SHOWN]):
        values = stage.maps[channel]
        low, high = values.min(), values.max()
        level = np.uint8((values - low) / max(high - low, 1e-12) * 255 + 0.5)
        cell = Image.fromarray(colormaps["viridis"](level, bytes=True)[..., :3])
        x, y = number % COLUMNS * across, HEAD + number // COLUMNS * down
        paper.paste(cell.resize((CELL, height), Image.Resampling.NEAREST), (x, y))
        words = f"no. {channel}: {low:.3g} to {high:.3g}"
        pen.text((x + 2, y + height + 1), words, fill="#404040", font=font(11))
    return np.asarray(paper)


@functools.lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, which every machine has."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def draw_output(features: Features) -> dict[str, np.ndarray]:
    """The image, the network's mask and its depth, uint8 (H, W, 3)."""
    depth = plots.color_depth(features.depth, DEPTH_LIMITS)
    return {"image": features.image, "mask": to_gray(features.mask), "depth": depth}


def still_picture(page: np.ndarray, runs) -> bytes:
    """A PNG file for readers without a kernel: a stage, and mask and depth for each setting of the skips."""
    cell = 156
    paper = Image.new("RGB", (page.shape[1] + 20 + 2 * (cell + 8), page.shape[0]), "white")
    paper.paste(Image.fromarray(page), (0, 0))
    pen = ImageDraw.Draw(paper)
    for row, (words, features) in enumerate(zip(SKIPS, runs)):
        pictures = draw_output(features)
        height = round(cell * len(features.image) / features.image.shape[1])
        for column, name in enumerate(("mask", "depth")):
            x, y = page.shape[1] + 20 + column * (cell + 8), row * (height + HEAD)
            pen.text((x, y + 6), f"{name}, {words}", fill="black", font=font(13))
            paper.paste(Image.fromarray(pictures[name]).resize((cell, height)), (x, y + HEAD))
    buffer = io.BytesIO()
    paper.quantize(256).save(buffer, "PNG", optimize=True)  # 256 colours need a third of the space
    return buffer.getvalue()
