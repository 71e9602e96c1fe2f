"""A walk through a network's stages, as a widget and as pictures. Used in notebooks 03 and 07."""

import functools
import html
import io
import math

import ipywidgets as w
import numpy as np
import torch
from matplotlib import colormaps, font_manager
from PIL import Image, ImageDraw, ImageFont

from ... import metrics, plots
from .features import SKIPS, Features, Stage, collect_features, find_model, skip_modules
from .parts import Picture, Tiles, assemble, enlarge, errors_shown_in, to_gray, to_png
from .scene import DEPTH_LIMITS

SHOWN, COLUMNS = 16, 4  # channels on a page, and in a row of it
CELL = 160  # pixels: a channel's width on the page
HEAD, FOOT = 26, 16  # pixels for the words above the page and below each channel
CAPTIONS = {
    "image": ("Image", "the photo with the object"),
    "mask": ("Network's mask", "with these skips: the object is white"),
    "depth": ("Network's depth", "with these skips: bright is near, dark is 10 m away"),
}


def feature_maps(network, image, background, **start) -> w.VBox:
    """Walk through a network's stages, look at their channels, and cut its skips to see what they carry.

    Args:
        network: As for `collect_features`, like the pictures.
        image: The photo with the object.
        background: The photo without it.
        **start: Values to start with: stage, page, skips, colors.
    """
    collect = functools.cache(functools.partial(collect_features, network, image, background))
    whole = collect(True)
    has_skips = bool(skip_modules(find_model(network)))
    controls = stage_controls(whole.stages, has_skips)
    page = Picture("The stage's channels", flex="1 1 400px", min_width="300px", max_width="656px")
    tiles = Tiles(CAPTIONS)
    tiles.box.layout.width = "232px"  # one below the other, beside the page
    note = w.HTML()

    def update():
        with errors_shown_in(note):
            number, skips = controls["stage"].value, controls["skips"].value
            features = collect(skips)
            stage = features.stages[number]
            change_in_words = "" if skips is True or not has_skips else describe_change(whole, features, skips)
            remark = f"; {name_of(skips)}" if change_in_words else ""
            # The order of the whole network: channels keep their places when skips are cut.
            order = whole.stages[number].order
            page.value = to_png(draw_stage(stage, controls["page"].value - 1, order, controls["colors"].value, remark))
            tiles.show({name: to_png(enlarge(picture)) for name, picture in draw_output(features).items()})
            missing = "" if has_skips else " This network has no skips to cut."
            note.value = html.escape(describe_stage(stage, len(features.image)) + change_in_words + missing)

    def draw_still(tiles):
        runs = {words: collect(skips) for words, skips in SKIPS.items() if has_skips or skips is True}
        return still_picture(draw_stage(whole.stages[controls["stage"].value]), runs)

    beside = w.Box([page, tiles.box], layout=w.Layout(flex_flow="row wrap", align_items="flex-start"))
    box = assemble(controls, start, update, [note, beside], tiles, draw_still=draw_still)
    box.page = page
    return box


def stage_controls(stages: list[Stage], has_skips: bool) -> dict[str, w.Widget]:
    """The controls. In Notebook 7, which keeps the arrow keys for itself, Page Up and Page Down move the sliders."""
    style, layout = {"description_width": "60px"}, w.Layout(width="440px")
    options = [(stage.name, number) for number, stage in enumerate(stages)]
    stage = w.SelectionSlider(options=options, value=1, description="stage", style=style, layout=layout)
    page = w.IntSlider(1, 1, count_pages(stages[1]), description="page", style=style, layout=layout)
    stage.observe(lambda change: setattr(page, "max", count_pages(stages[change["new"]])), names="value")
    tooltips = ["the network as it is", "detail carries zeros", "laterals carry zeros", "both carry zeros"]
    skips = w.ToggleButtons(
        options=list(SKIPS.items()), description="skips", style=style, disabled=not has_skips, tooltips=tooltips
    )
    colors = w.ToggleButtons(options=["viridis", "gray"], description="colours", style=style)
    return {"stage": stage, "page": page, "skips": skips, "colors": colors}


def count_pages(stage: Stage) -> int:
    """How many pages of `SHOWN` channels a stage fills."""
    return math.ceil(len(stage.maps) / SHOWN)


def name_of(skips: bool | str) -> str:
    """The words for a setting of the skips, as the buttons show them."""
    return next(words for words, value in SKIPS.items() if value == skips)


def describe_stage(stage: Stage, height: int) -> str:
    """A stage's size in words, for a picture of `height` pixels."""
    channels, rows, columns = stage.maps.shape
    share = height / rows
    pixels = f"every {share:.3g} x {share:.3g} pixels" if share > 1 else "every pixel"
    return f"{stage.name}: {channels} channels of {rows} x {columns} numbers, one for {pixels}."


def describe_change(whole: Features, cut: Features, skips: bool | str) -> str:
    """What changes in mask and depth when skips are cut, in words."""
    changes = []
    if cut.mask is not None:
        masks = [torch.from_numpy(features.mask > 0.5).float()[None, None] for features in (cut, whole)]
        changes.append(f"IoU with the mask of all skips {metrics.iou(*masks).item():.2f}")
    if cut.depth is not None:
        changes.append(f"mean change of the depth {np.abs(whole.depth - cut.depth).mean():.2f} m")
    return f" {name_of(skips)}: {', '.join(changes)}."


def draw_stage(stage: Stage, page: int = 0, order=None, colors: str = "viridis", remark: str = "") -> np.ndarray:
    """Draw a page of a stage's channels with their numbers and values: uint8 (H, W, 3).

    Each channel has its own scale, from its least value (dark) to its greatest (bright); both are written below it.

    Args:
        stage: The stage.
        page: 0 shows the first 16 channels; a page beyond the last shows the last.
        order: The channels' order; by default, the most varied first.
        colors: A colour map of matplotlib, such as "gray".
        remark: What to write behind the stage's name.
    """
    order = stage.order if order is None else order
    pages = count_pages(stage)
    first = min(max(page, 0), pages - 1) * SHOWN
    height = max(1, round(CELL * stage.maps.shape[1] / stage.maps.shape[2]))
    across, down = CELL + 4, height + FOOT + 2
    rows = math.ceil(min(SHOWN, len(order)) / COLUMNS)  # the last page is as tall as the others, and nothing jumps
    paper = Image.new("RGB", (COLUMNS * across, HEAD + rows * down), "white")
    pen = ImageDraw.Draw(paper)
    which = "all" if pages == 1 else f"{first + 1} to {min(first + SHOWN, len(order))} of {len(order)}"
    pen.text((2, 4), f"{stage.name}: {stage.size} ({which}{remark})", fill="black", font=font(15))
    for number, channel in enumerate(order[first : first + SHOWN]):
        values = stage.maps[channel]
        low, high = values.min(), values.max()
        level = np.uint8((values - low) / max(high - low, 1e-12) * 255 + 0.5)
        cell = Image.fromarray(colormaps[colors](level, bytes=True)[..., :3])
        corner = number % COLUMNS * across, HEAD + number // COLUMNS * down
        paper.paste(cell.resize((CELL, height), Image.Resampling.NEAREST), corner)
        words = f"no. {channel}: {low:.3g} to {high:.3g}"
        pen.text((corner[0] + 2, corner[1] + height + 1), words, fill="#404040", font=font(11))
    return np.asarray(paper)


@functools.lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, which is there on every machine."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def draw_output(features: Features) -> dict[str, np.ndarray]:
    """The image, the network's mask and its depth, uint8 (H, W, 3); gray for what it does not predict."""
    gray = np.full_like(features.image, 128)
    mask = gray if features.mask is None else to_gray(features.mask)
    depth = gray if features.depth is None else plots.color_depth(features.depth, DEPTH_LIMITS)
    return {"image": features.image, "mask": mask, "depth": depth}


def still_picture(page: np.ndarray, runs: dict[str, Features], cell: int = 156) -> bytes:
    """A PNG file for readers without a kernel: a stage, and mask and depth for each setting of the skips."""
    height, width = next(iter(runs.values())).image.shape[:2]
    beside, across, down = page.shape[1] + 20, cell + 8, round(cell * height / width) + HEAD
    paper = Image.new("RGB", (beside + 2 * across, max(page.shape[0], len(runs) * down)), "white")
    paper.paste(Image.fromarray(page), (0, 0))
    pen = ImageDraw.Draw(paper)
    for row, (words, features) in enumerate(runs.items()):
        pictures = draw_output(features)
        for column, name in enumerate(("mask", "depth")):
            x, y = beside + column * across, row * down
            pen.text((x, y + 6), f"{name}, {words}", fill="black", font=font(13))
            paper.paste(Image.fromarray(pictures[name]).resize((cell, down - HEAD)), (x, y + HEAD))
    buffer = io.BytesIO()
    paper.quantize(256).save(buffer, "PNG", optimize=True)  # 256 colours take a third of the space
    return buffer.getvalue()
