"""Drawings of two losses, for notebook 04."""

import numpy as np
import torch
from card import NORMAL, SMALL, add_axes, add_picture, card, draw_arrow, draw_link, write
from matplotlib.patches import Rectangle

from maskdepth_utils import load_pretrained
from maskdepth_utils.data.datasets import MaskDepthDataset
from maskdepth_utils.losses import C1, C2, GAUSSIAN, WINDOW, sobel
from maskdepth_utils.plots import BLUE, DEPTH_COLORS, GRAY, INK, PALE, RUST, VERMILION

PERSON = 28  # a validation sample: a person before a wall


def sobel_edge():
    """Draw the Sobel filter's response to an edge, along one row of a true and a predicted depth map.

    The maps are in metres; the losses compute the same on metres / 10. This is the horizontal of the edge loss's two
    directions. The prediction is the shipped network's.
    """
    row = 72
    shown = 90.5, 150.5  # the columns that are drawn
    shot = MaskDepthDataset("val", gap="tripod").shot(PERSON)
    predicted = load_pretrained(device="cpu").predict(shot.image, shot.background).depth
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    # The response at a pixel is that of the 3 x 3 around it; the map's border has none.
    answers = [np.pad(sobel(torch.tensor(depth)[None, None])[0][0, 0], 1) for depth in (shot.depth, predicted)]
    at = int(answers[0][row].argmax())
    patch = shot.depth[row - 1 : row + 2, at - 1 : at + 2]

    with card(4.62) as (figure, axis):
        close = add_picture(figure, 0.12, 2.02, 2.4, shot.depth, cmap=DEPTH_COLORS)
        close.set_title("true depth", pad=4)
        close.set(xlim=shown, ylim=(row + 30, row - 30))
        close.axhline(row, color=RUST, linewidth=2)
        close.add_patch(Rectangle((at - 1.5, row - 1.5), 3, 3, fill=False, edgecolor=INK, linewidth=1.6))
        cell = 0.38  # inches, like the places of the two tables
        low = 0.5
        left, right = 0.12, 1.54
        for x, end in ((at - 1.5, left), (at + 1.5, left + 3 * cell)):
            draw_link(figure, close, (x, row + 1.5), axis, (end, low + 3 * cell))
        draw_table(axis, left, low, cell, patch, "{:.2f}")
        draw_table(axis, right, low, cell, kernel, "{:d}")
        write(axis, (left + 3 * cell + right) / 2, low + 1.5 * cell, "×", fontsize=NORMAL)
        result = f"= {answers[0][row, at]:.1f}"
        write(axis, right + 3 * cell + 0.06, low + 1.5 * cell, result, fontsize=NORMAL, ha="left")
        write(axis, left + 1.5 * cell, low - 0.16, "depth [m]")
        write(axis, right + 1.5 * cell, low - 0.16, "kernel")

        column = np.arange(shot.depth.shape[1])
        plots = [add_axes(figure, 3.85, bottom, 3.0, 1.72, xlim=shown) for bottom in (2.7, 0.5)]
        for plot, (true, guess), name in zip(plots, ((shot.depth, predicted), answers), ("depth", "Sobel response")):
            plot.plot(column, true[row], color=BLUE, label="true")
            plot.plot(column, guess[row], "--", color=VERMILION, label="predicted")
            plot.plot(at, true[row, at], "s", markersize=8, markerfacecolor="none", markeredgecolor=INK)
            plot.set_ylabel(f"{name} [m]")
        plots[0].tick_params(labelbottom=False)
        plots[0].set_title("along the line", pad=4)
        plots[0].legend(loc="lower left", fontsize=SMALL, handlelength=1.6, borderaxespad=0.1)
        plots[1].fill_between(column, answers[0][row], answers[1][row], color=PALE, alpha=0.8, linewidth=0)
        write(plots[1], 142, -5, "gray gap:\nedge loss")
        plots[1].set_xlabel("column [pixels]")
    return figure


def draw_table(axis, left: float, bottom: float, cell: float, numbers, form: str) -> None:
    """Draw a table of numbers, in cells of `cell` inches."""
    rows, columns = numbers.shape
    for (row, column), number in np.ndenumerate(numbers):
        x, y = left + column * cell, bottom + (rows - 1 - row) * cell
        axis.add_patch(Rectangle((x, y), cell, cell, facecolor="white", edgecolor=GRAY, linewidth=0.8))
        write(axis, x + cell / 2, y + cell / 2 - 0.01, form.format(number).replace("-", "\N{MINUS SIGN}"))


def ssim_window():
    """Draw what SSIM computes at one pixel: two windows, the weights, and what it compares.

    a is a true depth map of 80 px, b the same moved two pixels to the right; values are metres / 10, as the losses see
    them. Level and structure are the factors of that name in notebook 04's `ssim_map`.
    """
    truth = MaskDepthDataset("val", size=80, gap="none")[PERSON]["depth"][0].numpy()
    moved = np.pad(truth, ((0, 0), (2, 0)), mode="edge")[:, :-2]
    row, column = 36, 57
    reach = WINDOW // 2
    window = np.s_[row - reach : row + reach + 1, column - reach : column + reach + 1]
    a, b, weights = truth[window].ravel(), moved[window].ravel(), np.outer(GAUSSIAN, GAUSSIAN)
    mean_a, mean_b = np.average([a, b], axis=1, weights=weights.ravel())
    (variance_a, covariance), (_, variance_b) = np.cov(a, b, ddof=0, aweights=weights.ravel())
    level = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    structure = (2 * covariance + C2) / (variance_a + variance_b + C2)
    colors = {"cmap": DEPTH_COLORS, "vmin": truth.min(), "vmax": truth.max()}

    with card(3.96) as (figure, axis):
        size, zoom = 1.58, 1.48  # inches: a whole map, and a window
        corner = column - reach - 0.5, row - reach - 0.5
        for bottom, values, name in ((2.14, truth, "a: true depth"), (0.16, moved, "b: 2 pixels to the right")):
            whole = add_picture(figure, 0.08, bottom, size, values, **colors)
            whole.set_title(name, pad=4)
            whole.add_patch(Rectangle(corner, WINDOW, WINDOW, fill=False, edgecolor=INK, linewidth=1.6))
            close = add_picture(figure, 1.94, bottom + (size - zoom) / 2, zoom, values[window], **colors)
            close.set_title(f"{name[0]}: {WINDOW} × {WINDOW} pixels", pad=4)
            for y, end in ((corner[1], -0.5), (corner[1] + WINDOW, WINDOW - 0.5)):
                draw_link(figure, whole, (corner[0] + WINDOW, y), close, (-0.5, end))
        middle = 1.93
        write(axis, 3.57, middle, "×", fontsize=NORMAL + 2)
        close = add_picture(figure, 3.72, middle - 0.6, 1.2, weights, cmap="Greys", vmin=0)
        close.set_title("weights, sum 1", pad=4)
        draw_arrow(axis, (4.98, middle), (5.16, middle))

        name, first, second = 5.24, 6.2, 6.72  # the table's columns
        lines = [
            (3.02, "", "a", "b"), (2.75, "mean", f"{mean_a:.2f}", f"{mean_b:.2f}"),
            (2.48, "variance", f"{variance_a:.4f}", f"{variance_b:.4f}"), (2.21, "covariance", f"{covariance:.4f}"),
            (1.79, "level", f"{level:.2f}"), (1.52, "× structure", f"{structure:.2f}"),
            (1.1, "= SSIM", f"{level * structure:.2f}"),
        ]  # fmt: skip
        for y, words, *values in lines:
            weight = "bold" if words in ("", "= SSIM") else "normal"
            write(axis, name, y, words, ha="left", weight=weight)
            for x, value in zip((first, second) if len(values) == 2 else ((first + second) / 2,), values):
                write(axis, x, y, value, weight=weight)
        for y in (2.0, 1.31):
            axis.plot((name, second + 0.2), (y, y), color=PALE, linewidth=0.8)
    return figure
