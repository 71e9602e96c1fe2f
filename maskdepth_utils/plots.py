"""Pictures in one look: samples, predictions, training curves. Every function returns a matplotlib Figure.

Colours can be told apart by colour-blind readers: viridis for depth (near is bright), and Okabe and Ito's
blue, yellow and vermilion for marks. Notebook 01 draws its first pictures by hand, then goes on with these.
"""

import contextlib
import io

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from .camera import MAX_DEPTH  # metres at 1 on the network's scale

BLUE, ORANGE, VERMILION, GREEN, YELLOW = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#F0E442"
LINES = [BLUE, VERMILION, GREEN, ORANGE, "#CC79A7", "#56B4E9", "#000000"]
DEPTH_COLORS = "viridis_r"
INK, GRAY, PALE = "#1a1a1a", "#5f5f5f", "#bdbdbd"  # for text, lines and aids: contrast to white 17, 6 and 2
RUST = "#b04a00"  # dark enough for text
NAMES = {"val_iou": "IoU", "val_rmse": "depth RMSE (0 to 1)", "val_loss": "loss"}
STYLE = {
    "figure.dpi": 100, "figure.facecolor": "white", "font.size": 10, "axes.titlesize": 10,
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.alpha": 0.3, "legend.frameon": False, "lines.linewidth": 1.8,
    "axes.prop_cycle": plt.cycler(color=LINES), "image.interpolation": "nearest",
}  # fmt: skip


@contextlib.contextmanager
def panels(rows: int, columns: int, width: float = 9.0, aspect=1.0, title=0.3, legend=0.0):
    """A grid of pictures in the course's look, `width` inches wide: yields (figure, array of axes).

    aspect: a row's height to a column's width; title: inches above each row; legend: inches at the foot.
    The figure is closed at the end, so that a notebook shows it once, where its cell returns it.
    """
    with plt.rc_context(STYLE):
        height = width / columns * aspect + title
        figure, axes = plt.subplots(
            rows, columns, figsize=(width, rows * height + legend), squeeze=False, layout="constrained"
        )
        for axis in axes.flat:
            axis.set_axis_off()
        try:
            yield figure, axes
        finally:
            plt.close(figure)


def to_array(value) -> np.ndarray:
    """A tensor (C, H, W) or (H, W), or an array (H, W, C), as a numpy array (H, W, 3) or (H, W)."""
    if hasattr(value, "detach"):
        value = value.detach().float().cpu().numpy()
        if value.ndim == 3:
            value = value[0] if value.shape[0] == 1 else value.transpose(1, 2, 0)
    return np.asarray(value)


def to_unit(image) -> np.ndarray:
    """An RGB picture, a tensor or bytes, as an array with values from 0 to 1."""
    picture = to_array(image)
    return picture / 255 if picture.dtype == np.uint8 else picture


def to_metres(depth) -> np.ndarray:
    """Depth in metres: a tensor is on the network's scale (metres / 10), an array is in metres already."""
    return to_array(depth) * (MAX_DEPTH if hasattr(depth, "detach") else 1)


def get(sample, name):
    """A part of a sample (a dict), or of anything with attributes, such as a Scene; None if there is none."""
    return sample.get(name) if isinstance(sample, dict) else getattr(sample, name, None)


def read_prediction(prediction) -> tuple:
    """(mask probability, metres) as arrays, either None, of a `Prediction` or of a network's (mask_logits, depth)."""
    if hasattr(prediction, "mask_logits") or hasattr(prediction, "detach"):
        logits = getattr(prediction, "mask_logits", prediction)
        mask = None if logits is None else to_array(unbatch(logits).sigmoid())
        depth = unbatch(getattr(prediction, "depth", None))
    else:
        mask, depth = get(prediction, "mask"), unbatch(get(prediction, "depth"))
        mask = None if mask is None else to_array(unbatch(mask))
    return mask, None if depth is None else to_metres(depth)


def unbatch(value):
    """(1, C, H, W) -> (C, H, W)."""
    return value[0] if value is not None and value.ndim == 4 else value


def draw_picture(axis, picture, title: str = "") -> None:
    """An RGB picture or a mask (0 black, 1 white)."""
    picture = to_array(picture)
    axis.imshow(picture, cmap=None if picture.ndim == 3 else "gray", vmin=0, vmax=1)
    axis.set_title(title)


def draw_depth(axis, metres, title: str = "", limits=None):
    """Depth in metres; returns what `depth_bar` needs. limits: (nearest, farthest), to compare pictures."""
    low, high = limits or depth_limits(metres)
    drawn = axis.imshow(metres, cmap=DEPTH_COLORS, vmin=low, vmax=high)
    axis.set_title(title)
    return drawn


def depth_limits(*maps) -> tuple[float, float]:
    """Whole metres around all values of the given depth maps."""
    low, high = min(float(np.min(m)) for m in maps), max(float(np.max(m)) for m in maps)
    return float(np.floor(low)), float(max(np.ceil(high), np.floor(low) + 1))


def depth_bar(figure, drawn, axes) -> None:
    """The colour bar of a depth picture: metres, near (bright) at the top."""
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9, pad=0.02, aspect=18)
    bar.ax.invert_yaxis()
    bar.outline.set_visible(False)
    bar.ax.set_title("near", fontsize=9, loc="left")
    bar.ax.set_xlabel("far", fontsize=9, loc="left")
    bar.set_label("depth [m]")


def color_depth(depth: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """Metres (H, W) as colours, uint8 (H, W, 3): yellow is the nearest, dark blue the farthest.

    Args:
        depth: Depth in metres.
        limits: The distances of these two colours, to compare pictures; by default the depth's own.
    """
    low, high = limits or (float(depth.min()), float(depth.max()))
    table = np.uint8(colormaps[DEPTH_COLORS](np.arange(256))[:, :3] * 255)  # a table: large photos need little memory
    return table[np.clip((depth - low) / max(high - low, 0.1) * 256, 0, 255).astype(np.uint8)]


def overlay(image, mask, color=ORANGE, opacity: float = 0.6) -> np.ndarray:
    """The image with a mask's pixels tinted: float32 (H, W, 3) in [0, 1]."""
    picture = to_unit(image)
    amount = to_array(mask)[..., None] * opacity
    return (picture * (1 - amount) + np.array(to_rgb(color)) * amount).astype(np.float32)


def compare_masks(image, truth, mask) -> np.ndarray:
    """The image in gray with the mask's hits in blue, misses in yellow and false alarms in vermilion."""
    gray = np.repeat(to_unit(image).mean(-1, keepdims=True), 3, axis=-1) * 0.7 + 0.3
    truth, found = to_array(truth) > 0.5, to_array(mask) > 0.5
    for pixels, color in ((truth & found, BLUE), (truth & ~found, YELLOW), (found & ~truth, VERMILION)):
        gray = overlay(gray, pixels.astype(float), color, 0.85)
    return gray


def show_sample(sample, title: str = ""):
    """Image, background, mask and depth of one sample: a dataset's dict, or anything with such attributes."""
    with panels(1, 4) as (figure, axes):
        row = axes[0]
        draw_picture(row[0], get(sample, "image"), "image")
        draw_picture(row[1], get(sample, "background"), "background")
        draw_picture(row[2], get(sample, "mask"), "mask (1 = object)")
        depth_bar(figure, draw_depth(row[3], to_metres(get(sample, "depth")), "depth"), row[3])
        figure.suptitle(title, x=0.01, ha="left", fontsize=11) if title else None
    return figure


def show_batch(samples, count: int = 6, titles=None):
    """Columns of samples: image, background, mask drawn on the image, depth. samples: a list of samples, or a batch."""
    if isinstance(samples, dict):
        samples = [{name: values[i] for name, values in samples.items()} for i in range(len(samples["image"]))]
    samples = list(samples)[:count]
    maps = [to_metres(get(sample, "depth")) for sample in samples]
    limits = depth_limits(*maps)
    with panels(4, len(samples), aspect=0.9, title=0.08) as (figure, axes):
        for column, sample in enumerate(samples):
            draw_picture(axes[0, column], get(sample, "image"), titles[column] if titles else "")
            draw_picture(axes[1, column], get(sample, "background"))
            draw_picture(axes[2, column], overlay(get(sample, "image"), get(sample, "mask")))
            drawn = draw_depth(axes[3, column], maps[column], limits=limits)
        for row, name in enumerate(("image", "background", "mask", "depth")):
            axes[row, 0].text(-0.06, 0.5, name, rotation=90, va="center", ha="right", transform=axes[row, 0].transAxes)
        depth_bar(figure, drawn, list(axes[3]))
    return figure


def show_predictions(samples, predictions, titles=None):
    """A row per sample: image, background, predicted against true mask, true and predicted depth, error.

    samples: one sample or a list; predictions: for each, a `Prediction`, or what the network gave for it.
    """
    if not isinstance(samples, list | tuple):
        samples, predictions = [samples], [predictions]
    read = [read_prediction(prediction) for prediction in predictions]
    has_depth = any(depth is not None for _, depth in read)
    columns, width = (6, 10.0) if has_depth else (3, 7.0)
    with panels(len(samples), columns, width, 0.88 if has_depth else 1.0, legend=0.3) as (figure, axes):
        for row, sample, (mask, depth) in zip(axes, samples, read, strict=True):
            draw_picture(row[0], get(sample, "image"))
            draw_picture(row[1], get(sample, "background"))
            if mask is not None:
                draw_picture(row[2], compare_masks(get(sample, "image"), get(sample, "mask"), mask))
            if depth is not None:
                truth = to_metres(get(sample, "depth"))
                limits = depth_limits(truth)
                draw_depth(row[3], truth, limits=limits)
                depth_bar(figure, draw_depth(row[4], depth, limits=limits), row[3:5].tolist())
                error = row[5].imshow(np.abs(depth - truth), cmap="magma", vmin=0, vmax=1)
                bar = figure.colorbar(error, ax=row[5], shrink=0.9, pad=0.02, aspect=18, extend="max")
                bar.set_label("error [m]")
        names = ["image", "background", "mask", "true depth", "predicted depth", "depth error"]
        for axis, name in zip(axes[0], names, strict=False):
            axis.set_title(name)
        for axis, title in zip(axes[:, 0], titles or [], strict=False):
            axis.text(0, -0.03, title, va="top", fontsize=9, transform=axis.transAxes).set_in_layout(False)
        handles = [
            plt.Line2D([], [], marker="s", linestyle="", color=color, label=label)
            for color, label in ((BLUE, "mask: found"), (YELLOW, "missed"), (VERMILION, "false alarm"))
        ]
        if any(mask is not None for mask, _ in read):
            figure.legend(handles=handles, loc="outside lower left", ncols=3, fontsize=9)
    return figure


def show_prediction(image, background, prediction):
    """What was predicted for a photo whose truth nobody knows: photo, background, mask, depth."""
    mask, depth = read_prediction(prediction)
    height, width = to_array(image).shape[:2]
    columns = 2 + (mask is not None) + (depth is not None)
    aspect = min(max(height / width, 0.2), 3.0)  # a picture of one strip stays a page
    with panels(1, columns, width=10.0, aspect=aspect) as (figure, axes):
        draw_picture(axes[0, 0], image, "image")
        draw_picture(axes[0, 1], background, "background")
        if mask is not None:
            draw_picture(axes[0, 2], overlay(image, mask), "predicted mask")
        if depth is not None:
            depth_bar(figure, draw_depth(axes[0, -1], depth, "predicted depth"), axes[0, -1])
    return figure


def to_png(figure, dpi: int = 150) -> bytes:
    """A figure as the bytes of a PNG file; dpi: pixels per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def plot_history(history, names=("loss", "val_iou", "val_rmse")):
    """Training curves of what `fit` returned: a panel per figure, over samples seen; held-out values dotted.

    names: which of a record's figures; for each, its held-out twin (val_...) is drawn into the same panel.
    history: a list of records, or {label: list} to compare runs.
    """
    runs = history if isinstance(history, dict) else {"": history}
    names = [name for name in names if any(name in record for records in runs.values() for record in records)]
    crowded = len(runs) > 3  # then a legend in each panel would hide points: one for all, below
    width, legend = min(9.0, 3.6 * max(1, len(names))), 0.45 * crowded
    with panels(1, max(1, len(names)), width=width, aspect=0.8, legend=legend) as (figure, axes):
        for axis, name in zip(axes[0], names, strict=False):
            axis.set_axis_on()
            for (label, records), color in zip(runs.items(), LINES, strict=False):
                for key, style in ((name, "-"), (f"val_{name}", "--o")):
                    points = [(record["samples"], record[key]) for record in records if key in record]
                    style = "-o" if key.startswith("val_") and key == name else style
                    text = f"{label} {'held out' if key.startswith('val_') else 'training'}".strip()
                    if points:
                        axis.plot(*np.transpose(points), style, color=color, markersize=4, label=text)
            axis.set_title(NAMES.get(name, name.replace("_", " ")))
            axis.set_xlabel("samples seen")
            axis.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
            if not crowded:
                axis.legend(fontsize=8)
        if crowded:
            figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=4, fontsize=8)
    return figure
