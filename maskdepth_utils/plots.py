"""Figures of samples, predictions and training curves, and the course's colours.

Colour-blind readers can tell the colours apart: viridis for depth (near is bright), and Okabe and Ito's palette for
marks. The notebooks draw with these functions.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from .camera import MAX_DEPTH
from .inference.predictor import Prediction
from .models.networks import MaskDepth, to_mask_depth

BLUE, ORANGE, VERMILION, GREEN, YELLOW = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#F0E442"
LINES = [BLUE, VERMILION, GREEN, ORANGE, "#CC79A7", "#56B4E9", "#000000"]
DEPTH_COLORS = "viridis_r"
INK, GRAY, PALE = "#1a1a1a", "#5f5f5f", "#bdbdbd"  # for text, lines and aids: contrast with white 17, 6 and 2
RUST = "#b04a00"  # dark enough for text
TITLES = {"val_iou": "IoU", "val_rmse": "depth RMSE (0 to 1)", "val_loss": "loss"}
STYLE = {
    "figure.dpi": 100, "figure.facecolor": "white", "font.size": 10, "axes.titlesize": 10,
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.alpha": 0.3, "legend.frameon": False, "lines.linewidth": 1.8,
    "axes.prop_cycle": plt.cycler(color=LINES), "image.interpolation": "nearest",
}  # fmt: skip
Picture = np.ndarray | Tensor  # (H, W, 3) or (H, W); a tensor also (C, H, W) or (1, C, H, W)
Limits = tuple[float, float]  # the nearest and the farthest distance of a drawing, metres


@contextlib.contextmanager
def panels(
    rows: int, columns: int, width: float = 9.0, aspect: float = 1.0, title: float = 0.3, legend: float = 0.0
) -> Iterator[tuple[Figure, np.ndarray]]:
    """Yield a figure, `width` inches wide, and its grid of axes; at the end close it: a notebook then shows it once.

    A row is `aspect` times as high as a column is wide; `title` and `legend` are inches above each row and below all.
    """
    height = rows * (width / columns * aspect + title) + legend
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
        for axis in axes.flat:
            axis.set_axis_off()
        try:
            yield figure, axes
        finally:
            plt.close(figure)


def to_array(value: Picture) -> np.ndarray:
    """Convert a tensor (1, C, H, W), (C, H, W) or (H, W) to an array (H, W, 3) or (H, W); arrays stay as they are."""
    if isinstance(value, Tensor):
        value = value.detach().float().cpu()
        value = value[0] if value.ndim == 4 else value
        value = value.movedim(0, -1).squeeze(-1) if value.ndim == 3 else value
    return np.asarray(value)


def to_unit(image: Picture) -> np.ndarray:
    """Convert an RGB picture to an array of values from 0 to 1."""
    picture = to_array(image)
    return picture / 255 if picture.dtype == np.uint8 else picture


def to_metres(depth: Picture) -> np.ndarray:
    """Convert a depth to metres: a tensor is on the network's scale (metres / 10), an array is in metres already."""
    return to_array(depth) * (MAX_DEPTH if isinstance(depth, Tensor) else 1)


def read_prediction(prediction: Prediction | MaskDepth | Tensor | dict) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Mask probability and metres of a `Prediction`, a network's output or a dict of a mask and a depth."""
    if isinstance(prediction, dict):
        mask, depth = prediction.get("mask"), prediction.get("depth")
    elif isinstance(prediction, Prediction):
        mask, depth = prediction.mask, prediction.depth
    else:
        logits, depth = to_mask_depth(prediction)
        mask = None if logits is None else logits.sigmoid()
    return None if mask is None else to_array(mask), None if depth is None else to_metres(depth)


def draw_picture(axis: Axes, picture: Picture, title: str = "") -> None:
    """Draw an RGB picture or a mask (0 is black, 1 is white)."""
    picture = to_array(picture)
    axis.imshow(picture, cmap="gray" if picture.ndim == 2 else None, vmin=0, vmax=1)
    axis.set_title(title)


def draw_depth(axis: Axes, metres: np.ndarray, title: str = "", limits: Limits | None = None) -> AxesImage:
    """Draw a depth map, by default between its own limits; pass the result to `depth_bar`."""
    nearest, farthest = limits or depth_limits(metres)
    axis.set_title(title)
    return axis.imshow(metres, cmap=DEPTH_COLORS, vmin=nearest, vmax=farthest)


def depth_limits(*maps: np.ndarray) -> Limits:
    """Whole metres around all values of the depth maps."""
    nearest, farthest = np.floor(np.min(maps)), np.ceil(np.max(maps))
    return float(nearest), float(max(farthest, nearest + 1))


def depth_bar(figure: Figure, drawn: AxesImage, axes: Axes | list[Axes]) -> None:
    """Add the colour bar of a depth map in metres, with near at the top."""
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9, pad=0.02, aspect=18, label="depth [m]")
    bar.ax.invert_yaxis()
    bar.outline.set_visible(False)
    bar.ax.set_title("near", fontsize=9, loc="left")
    bar.ax.set_xlabel("far", fontsize=9, loc="left")


def color_depth(depth: np.ndarray, limits: Limits | None = None) -> np.ndarray:
    """Convert metres (H, W) to colours, uint8 (H, W, 3): yellow at the nearer of two limits, dark blue at the other."""
    nearest, farthest = limits or (float(depth.min()), float(depth.max()))
    table = np.uint8(colormaps[DEPTH_COLORS](np.arange(256))[:, :3] * 255)  # a table saves memory for large photos
    return table[np.clip((depth - nearest) / max(farthest - nearest, 0.1) * 256, 0, 255).astype(np.uint8)]


def overlay(image: Picture, mask: Picture, color: str = ORANGE, opacity: float = 0.6) -> np.ndarray:
    """Tint a mask's pixels in an image: float32 (H, W, 3) in [0, 1]."""
    amount = to_array(mask)[..., None] * opacity
    return (to_unit(image) * (1 - amount) + np.array(to_rgb(color)) * amount).astype(np.float32)


def compare_masks(image: Picture, truth: Picture, mask: Picture) -> np.ndarray:
    """Draw the image in gray, the mask's hits in blue, its misses in yellow and its false alarms in vermilion."""
    picture = np.repeat(to_unit(image).mean(-1, keepdims=True), 3, axis=-1) * 0.7 + 0.3
    truth, found = to_array(truth) > 0.5, to_array(mask) > 0.5
    for pixels, color in ((truth & found, BLUE), (truth & ~found, YELLOW), (found & ~truth, VERMILION)):
        picture = overlay(picture, pixels.astype(float), color, 0.85)
    return picture


def show_sample(sample: dict, title: str = "") -> Figure:
    """Show image, background, mask and depth of one sample."""
    with panels(1, 4) as (figure, [row]):
        draw_picture(row[0], sample["image"], "image")
        draw_picture(row[1], sample["background"], "background")
        draw_picture(row[2], sample["mask"], "mask (1 = object)")
        depth_bar(figure, draw_depth(row[3], to_metres(sample["depth"]), "depth"), row[3])
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def show_batch(samples: Sequence[dict], titles: Sequence[str] | None = None) -> Figure:
    """Show a column for each sample: image, background, mask drawn on the image, depth."""
    maps = [to_metres(sample["depth"]) for sample in samples]
    with panels(4, len(samples), aspect=0.9, title=0.08) as (figure, axes):
        for column, sample, metres, title in zip(axes.T, samples, maps, titles or [""] * len(samples), strict=True):
            draw_picture(column[0], sample["image"], title)
            draw_picture(column[1], sample["background"])
            draw_picture(column[2], overlay(sample["image"], sample["mask"]))
            drawn = draw_depth(column[3], metres, limits=depth_limits(*maps))
        for axis, name in zip(axes[:, 0], ("image", "background", "mask", "depth"), strict=True):
            axis.text(-0.06, 0.5, name, rotation=90, va="center", ha="right", transform=axis.transAxes)
        depth_bar(figure, drawn, axes[3].tolist())
    return figure


def show_predictions(samples: Sequence[dict], predictions: Sequence, titles: Sequence[str] | None = None) -> Figure:
    """Show a row for each sample: image, background, predicted against true mask, true and predicted depth, error.

    `predictions` are of any kind that `read_prediction` accepts; `titles` appear below the images.
    """
    read = [read_prediction(prediction) for prediction in predictions]
    has_depth = any(depth is not None for _, depth in read)
    columns, width, aspect = (6, 10.0, 0.88) if has_depth else (3, 7.0, 1.0)
    with panels(len(samples), columns, width, aspect, legend=0.3) as (figure, axes):
        for row, sample, (mask, depth) in zip(axes, samples, read, strict=True):
            draw_picture(row[0], sample["image"])
            draw_picture(row[1], sample["background"])
            if mask is not None:
                draw_picture(row[2], compare_masks(sample["image"], sample["mask"], mask))
            if depth is not None:
                truth = to_metres(sample["depth"])
                draw_depth(row[3], truth)
                depth_bar(figure, draw_depth(row[4], depth, limits=depth_limits(truth)), row[3:5].tolist())
                error = row[5].imshow(np.abs(depth - truth), cmap="magma", vmin=0, vmax=1)
                figure.colorbar(error, ax=row[5], shrink=0.9, pad=0.02, aspect=18, extend="max", label="error [m]")
        for axis, name in zip(axes[0], ("image", "background", "mask", "true depth", "predicted depth", "depth error")):
            axis.set_title(name)
        for axis, title in zip(axes[:, 0], titles or []):
            axis.text(0, -0.03, title, va="top", fontsize=9, transform=axis.transAxes).set_in_layout(False)
        if any(mask is not None for mask, _ in read):
            names = {"mask: found": BLUE, "missed": YELLOW, "false alarm": VERMILION}
            marks = [plt.Line2D([], [], marker="s", linestyle="", color=names[name], label=name) for name in names]
            figure.legend(handles=marks, loc="outside lower left", ncols=3, fontsize=9)
    return figure


def show_prediction(image: Picture, background: Picture, prediction: Prediction | MaskDepth | dict) -> Figure:
    """Show a prediction for a photo without a known truth: photo, background, mask, depth."""
    mask, depth = read_prediction(prediction)
    height, width = to_array(image).shape[:2]
    aspect = min(max(height / width, 0.2), 3.0)  # even a very tall picture fits on a page
    with panels(1, 4 - (mask is None) - (depth is None), width=10.0, aspect=aspect) as (figure, [row]):
        draw_picture(row[0], image, "image")
        draw_picture(row[1], background, "background")
        if mask is not None:
            draw_picture(row[2], overlay(image, mask), "predicted mask")
        if depth is not None:
            depth_bar(figure, draw_depth(row[-1], depth, "predicted depth"), row[-1])
    return figure


def to_png(figure: Figure, dpi: int = 150) -> bytes:
    """Write a figure as a PNG file; dpi: pixels per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def plot_history(history: list[dict], names: Sequence[str]) -> Figure:
    """Plot the records that `fit` returned, over the samples seen.

    Each of `names` has a panel, to which its held-out values (``val_...``) are added as a dashed line.
    """
    with panels(1, len(names), min(9.0, 3.6 * len(names)), 0.8) as (figure, axes):
        for axis, name in zip(axes[0], names):
            axis.set_axis_on()
            for key, style in ((name, "-o" if name.startswith("val_") else "-"), (f"val_{name}", "--o")):
                points = [(record["samples"], record[key]) for record in history if key in record]
                label = "held out" if key.startswith("val_") else "training"
                if points:
                    axis.plot(*np.transpose(points), style, color=BLUE, markersize=4, label=label)
            axis.set_title(TITLES.get(name, name.replace("_", " ")))
            axis.set_xlabel("samples seen")
            axis.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
            axis.legend(fontsize=8)
    return figure
