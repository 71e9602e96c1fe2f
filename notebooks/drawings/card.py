"""What the course's drawings are made of: a white card measured in inches, blocks, arrows, pictures and dimensions."""

import contextlib

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, ConnectionPatch, FancyBboxPatch

from maskdepth_utils.plots import GRAY, INK, STYLE

WIDTH = 7.0  # inches: 700 pixels at the style's 100 dots per inch
PLUS = 0.085  # inches: the radius of the sign for an addition
SMALL, NORMAL = 9.0, 10.0  # points; no text is smaller


@contextlib.contextmanager
def card(height: float):
    """Open a white card, 7 inches wide: yields (figure, axis).

    The axis covers the card and is measured in inches from the lower left corner.
    """
    with plt.rc_context(STYLE | {"font.size": SMALL, "text.color": INK, "axes.titlesize": SMALL}):
        figure = plt.figure(figsize=(WIDTH, height), facecolor="white")
        try:
            axis = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
            axis.set_axis_off()
            yield figure, axis
        finally:
            plt.close(figure)


def add_axes(figure, x: float, y: float, width: float, height: float, **settings):
    """Add axes to a card: lower left corner and size in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((x / across, y / up, width / across, height / up), **settings)


def add_picture(figure, x: float, y: float, size: float, values, **settings):
    """Add a square picture with a thin frame, `size` inches wide, its lower left corner at (x, y); returns its axes."""
    axis = add_axes(figure, x, y, size, size)
    axis.imshow(values, **settings)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set(visible=True, color=GRAY, linewidth=0.8)
    return axis


def write(axis, x: float, y: float, text: str, **settings) -> None:
    axis.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": SMALL} | settings)


def draw_arrow(axis, start, end, color=INK, style="-|>", width=1.3, **settings) -> None:
    look = {"arrowstyle": style, "color": color, "linewidth": width, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11}
    axis.annotate("", end, start, arrowprops=look | settings)


def draw_path(axis, points) -> None:
    """Draw a line through points, with an arrow head at the last one."""
    axis.plot(*zip(*points[:-1]), color=INK, linewidth=1.3, solid_joinstyle="round")
    draw_arrow(axis, points[-2], points[-1])


def draw_dimension(axis, start, end, color=INK) -> None:
    draw_arrow(axis, start, end, color, style="<|-|>", width=1.1, mutation_scale=8)


def draw_block(axis, x: float, y: float, width: float, height: float, text: str, color) -> None:
    look = {"boxstyle": "round,pad=0,rounding_size=0.05", "facecolor": color, "edgecolor": GRAY, "linewidth": 0.8}
    axis.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, **look))
    write(axis, x, y - 0.01, text)


def draw_plus(axis, x: float, y: float) -> None:
    """Draw the sign for an addition, a plus in a circle."""
    axis.add_patch(Circle((x, y), PLUS, facecolor="white", edgecolor=INK, linewidth=1.1, zorder=3))
    reach = 0.6 * PLUS
    axis.plot((x - reach, x + reach), (y, y), color=INK, linewidth=1.1, zorder=4)
    axis.plot((x, x), (y - reach, y + reach), color=INK, linewidth=1.1, zorder=4)


def draw_link(figure, start_axis, start, end_axis, end) -> None:
    """Draw a thin line from a point of one picture to a point of another, which shows the place enlarged."""
    places = {"coordsA": start_axis.transData, "coordsB": end_axis.transData}
    figure.add_artist(ConnectionPatch(start, end, color=GRAY, linewidth=0.9, **places))


def tint(color, share: float) -> tuple:
    """Mix a colour with white: share 1 is the colour itself, 0 white."""
    return tuple(1 - share * (1 - part) for part in to_rgb(color))
