"""What the course's drawings are made of: a white card measured in inches, blocks, arrows, maps and dimensions."""

import contextlib

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, ConnectionPatch, FancyBboxPatch

from ...inference.predictor import Predictor, load_pretrained
from ...plots import STYLE

WIDTH = 7.0  # inches: 700 pixels at the style's 100 dots per inch
SMALL, NORMAL = 9.0, 10.0  # points; nothing is written smaller
INK, GRAY, PALE = "#1a1a1a", "#5f5f5f", "#bdbdbd"  # on white 17, 6 and 2 to 1: for text, lines and aids
WARM = "#b04a00"  # vermilion, dark enough for text


@contextlib.contextmanager
def card(height: float):
    """A white card, 7 inches wide and `height` inches high: yields (figure, axis).

    The axis covers it all and counts in inches from the lower left corner. The figure is closed at the end, so that a
    notebook shows it once, where its cell returns it.
    """
    with plt.rc_context(STYLE | {"font.size": SMALL, "text.color": INK, "axes.titlesize": SMALL}):
        figure = plt.figure(figsize=(WIDTH, height), facecolor="white")
        try:
            axis = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
            axis.set_axis_off()
            yield figure, axis
        finally:
            plt.close(figure)


def inset(figure, x: float, y: float, width: float, height: float, **settings):
    """Axes inside a card: lower left corner and size in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((x / across, y / up, width / across, height / up), **settings)


def picture(figure, x: float, y: float, size: float, values, **settings):
    """A square map or picture with a thin frame, its lower left corner at (x, y), `size` inches wide: its axes."""
    axis = inset(figure, x, y, size, size)
    axis.imshow(values, **settings)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set(visible=True, color=GRAY, linewidth=0.8)
    return axis


def say(axis, x: float, y: float, text: str, **settings):
    """Text around the point (x, y)."""
    return axis.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": SMALL} | settings)


def arrow(axis, start, end, color=INK, style="-|>", width=1.3, **settings) -> None:
    """A straight arrow from `start` to `end`, both (x, y)."""
    look = {"arrowstyle": style, "color": color, "linewidth": width, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11}
    axis.annotate("", end, start, arrowprops=look | settings)


def path(axis, points, color=INK, width=1.3) -> None:
    """A line through `points`, an arrow head at its last one."""
    axis.plot(*zip(*points[:-1]), color=color, linewidth=width, solid_joinstyle="round")
    arrow(axis, points[-2], points[-1], color, width=width)


def block(axis, x: float, y: float, width: float, height: float, text: str, color, **settings) -> None:
    """A box with text, its middle at (x, y)."""
    corner = x - width / 2, y - height / 2
    look = {"boxstyle": "round,pad=0,rounding_size=0.05", "facecolor": color, "edgecolor": GRAY, "linewidth": 0.8}
    axis.add_patch(FancyBboxPatch(corner, width, height, **look | settings))
    say(axis, x, y - 0.01, text)


def plus(axis, x: float, y: float, radius: float = 0.085) -> None:
    """The sign for an addition: a plus in a circle."""
    axis.add_patch(Circle((x, y), radius, facecolor="white", edgecolor=INK, linewidth=1.1, zorder=3))
    reach = 0.6 * radius
    for xs, ys in (((x - reach, x + reach), (y, y)), ((x, x), (y - reach, y + reach))):
        axis.plot(xs, ys, color=INK, linewidth=1.1, zorder=4)


def tint(color, share: float):
    """A colour mixed with white: share 1 is the colour itself, 0 white."""
    return tuple(1 - share * (1 - part) for part in to_rgb(color))


def dimension(axis, start, end, color=INK) -> None:
    """A line with heads at both ends, for a length."""
    arrow(axis, start, end, color, style="<|-|>", width=1.1, mutation_scale=8)


def link(figure, start_axis, start, end_axis, end) -> None:
    """A thin line from a point of one picture to a point of another, each in its own coordinates: "here, enlarged"."""
    places = {"coordsA": start_axis.transData, "coordsB": end_axis.transData}
    figure.add_artist(ConnectionPatch(start, end, color=GRAY, linewidth=0.9, **places))


def shipped() -> Predictor:
    """The shipped network. Building it draws random weights first; the notebook's random numbers are left alone."""
    with torch.random.fork_rng(devices=[]):
        return load_pretrained(device="cpu")
