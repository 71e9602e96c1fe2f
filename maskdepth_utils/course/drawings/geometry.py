"""The course's drawings of the camera and of composing, for notebook 01. Reach them as drawings.pinhole() and so on."""

import math
from dataclasses import replace

import numpy as np
from matplotlib.patches import Arc, Polygon

from ...camera import FOCAL, FOV, IMAGE_SIZE
from ...data import library
from ...data.compose import compose
from ...data.datasets import MaskDepthDataset
from ...files import find_entry
from ...plots import BLUE, VERMILION, YELLOW
from .card import GRAY, INK, NORMAL, WARM, arrow, card, dimension, inset, say, tint

WALL = 4.0  # metres, straight ahead
TREADMILL = 73  # the validation sample of notebook 01: a treadmill, partly behind a column


def pinhole():
    """The pinhole camera, and the two depths of a wall 4 m ahead, in a top view. For notebook 01, "Which depth?".

    Caption: A wall 4 m ahead, seen from above. Its z-depth is 4 m everywhere. The ray distance, from the camera to the
    point, is 4 m in the middle only, and 4.62 m at the edge of the picture. The focal length f follows from half the
    picture's width, 80 pixels, and half the field of view, 30 degrees.
    """
    scale, eye, middle = 0.97, 0.66, 2.56  # inches per metre; where the camera is, in inches
    wall, screen = eye + scale * WALL, eye + scale * 1.35

    def at(x, degrees):
        """The point x inches from the left, on the camera's ray that leaves its axis by so many degrees."""
        return x, middle + (x - eye) * math.tan(math.radians(degrees))

    with card(5.2) as (figure, axis):
        half, top, low = FOV / 2, at(wall, FOV / 2)[1], at(wall, -FOV / 2)[1]
        axis.add_patch(Polygon([(eye, middle), (wall, top), (wall, low)], facecolor=tint(BLUE, 0.07)))
        axis.plot((eye, wall), (middle, low), color=GRAY, linewidth=1)
        reach = 2 * scale * WALL
        axis.add_patch(Arc((eye, middle), reach, reach, theta1=-half, theta2=half, color=GRAY, linestyle=":"))
        axis.plot((wall, wall), (low, top), color=INK, linewidth=4, solid_capstyle="butt")
        say(axis, wall + 0.14, low + 0.1, "wall", ha="left")
        x, y = at(eye + scale * WALL * math.cos(math.radians(half)), -half)
        say(axis, x - 0.1, y - 0.28, f"{WALL:g} m from the camera", ha="right")
        arrow(axis, (x - 0.09, y - 0.22), (x, y), GRAY, width=0.8, mutation_scale=8)

        # The two depths: three points of the wall
        for x, name, color in ((5.3, "z-depth", BLUE), (6.35, "ray distance", WARM)):
            say(axis, x, top + 0.27, name, color=color, weight="bold")
        for degrees in (half, half / 2, 0):
            axis.plot(*zip((eye, middle), at(wall, degrees)), color=VERMILION, linewidth=1.6)
            axis.plot(*at(wall, degrees), "o", color=VERMILION, markersize=7, clip_on=False, zorder=5)
            distance = WALL / math.cos(math.radians(degrees))
            for x, metres, color in ((5.3, WALL, BLUE), (6.35, distance, WARM)):
                say(axis, x, at(wall, degrees)[1], f"{metres:.2f} m", color=color, fontsize=NORMAL)
        axis.plot((eye, eye), (middle, top + 0.06), color=GRAY, linestyle=":", linewidth=1.2)
        dimension(axis, (eye, top), (wall - 0.06, top), BLUE)
        say(axis, (eye + wall) / 2, top + 0.12, "z-depth: straight ahead", color=BLUE)
        x, y = at(eye + 2.35, half)
        say(axis, x - 0.07, y + 0.12, "ray distance", color=WARM, rotation=half, rotation_mode="anchor")

        # The focal length
        axis.plot((screen, screen), (at(screen, half)[1], at(screen, -half)[1]), color=INK, linewidth=2.2)
        say(axis, screen - 0.02, at(screen, half)[1] + 0.16, f"picture, {IMAGE_SIZE} px", ha="right")
        dimension(axis, (screen + 0.12, middle - 0.02), (screen + 0.12, at(screen, -half)[1]))
        say(axis, screen + 0.2, middle - 0.45, f"{IMAGE_SIZE // 2} px", ha="left")
        dimension(axis, (eye + 0.06, middle), (screen - 0.02, middle))
        say(axis, screen - 0.3, middle + 0.1, "f", fontsize=NORMAL, style="italic")
        axis.add_patch(Arc((eye, middle), 1.1, 1.1, theta1=-half, theta2=0, color=INK, linewidth=1))
        say(axis, *at(eye + 0.76, -half / 2), f"{half:g}°")
        axis.plot(eye, middle, "o", color=INK, markersize=9)
        say(axis, eye - 0.02, middle - 0.2, "camera", ha="right")
        formula = f"f = {IMAGE_SIZE // 2} px / tan {half:g}°\n  = {FOCAL:.1f} px"
        say(axis, screen + 0.85, middle - 0.45, formula, ha="left", fontsize=NORMAL, linespacing=1.4)
    return figure


def z_buffer():
    """Who is in front? One row of a composite, from above and along its pixels. For notebook 01, step 4 of composing.

    The sample is the notebook's. Left, every pixel of the row is drawn at its place (x, z) in the camera's frame; this
    row is below the horizon, so its rays meet the floor. All of it is computed from the row's depths.

    Caption: A z-buffer at work in one row of the picture (yellow line). Left, from above: each ray ends at whatever is
    nearest. Right: the depth of the room (blue) and of the object (orange) along the row. At each pixel the nearer one
    wins; the mask is white where that is the object. Behind the column the object loses.
    """
    row, far = 100, 8.0  # of the picture; metres drawn
    room, alone, both = composed(TREADMILL)
    column = np.arange(IMAGE_SIZE) + 0.5
    slope = (column - IMAGE_SIZE / 2) / FOCAL  # a pixel's x in metres, per metre of z-depth
    present, mask = alone.mask[row] > 0.5, both.mask[row] > 0.5
    hidden = present & ~mask
    # Where depth jumps there is an edge and no surface: no line from one side to the other.
    surface = np.where(np.abs(np.diff(room.depth[row], prepend=0)) > 0.5, np.nan, room.depth[row])
    thing = np.where(present, alone.depth[row], np.nan)

    with card(4.6) as (figure, axis):
        plan = inset(figure, 0.45, 1.0, 2.45, 2.8, xlim=(-3.5, 3.5), ylim=(0, far))
        plan.set(xlabel="metres to the right", ylabel="z-depth [m]", xticks=range(-3, 4))
        say(axis, 0.45, 3.93, "from above", ha="left")
        for pixel in range(3, IMAGE_SIZE, 5):
            end, color = both.depth[row, pixel], tint(VERMILION, 0.5) if mask[pixel] else tint(BLUE, 0.3)
            plan.plot((0, slope[pixel] * end), (0, end), color=color, linewidth=0.8)
        plan.plot(0, 0, "o", color=INK, markersize=9, clip_on=False)
        rows = inset(figure, 3.55, 1.0, 3.3, 2.8, xlim=(0, IMAGE_SIZE), ylim=(0, far))
        rows.tick_params(labelbottom=False)
        rows.plot(column, both.depth[row], color=YELLOW, linewidth=8, alpha=0.8)
        for z, color, look in (
            (surface, BLUE, {"linewidth": 2.2}),
            (np.where(mask, thing, np.nan), VERMILION, {"linewidth": 2.6}),
            (np.where(hidden, thing, np.nan), VERMILION, {"linewidth": 2.2, "linestyle": (0, (1, 0.8))}),
        ):
            plan.plot(slope * z, z, color=color, **look)
            rows.plot(column, z, color=color, **look)
        for panel, x, y, words, color in (
            (plan, -1.95, 3.3, "column", BLUE), (plan, 0.7, 5.4, "object", WARM), (plan, 2.0, 4.5, "wall", BLUE),
            (plan, 0.35, 7.05, "floor", BLUE), (plan, -2.2, 5.55, "hidden", WARM),
            (rows, 44, 2.75, "column", BLUE), (rows, 76, 5.2, "object", WARM), (rows, 136, 4.6, "wall", BLUE),
            (rows, 88, 7.0, "floor", BLUE), (rows, 22, 4.3, "hidden", WARM),
            (rows, 90, 1.2, "yellow: the nearer one", INK),
        ):  # fmt: skip
            say(panel, x, y, words, color=color)
        arrow(rows, (24, 4.5), (43.5, 5.45), WARM, width=0.9, mutation_scale=8)
        photo = inset(figure, 3.55, 3.9, 3.3, 0.66, xlim=(0, IMAGE_SIZE))
        photo.imshow(both.image[row - 16 : row + 16], extent=(0, IMAGE_SIZE, row + 16, row - 16), aspect="auto")
        photo.axhline(row + 0.5, color=YELLOW, linewidth=2)
        photo.set_axis_off()
        strip = inset(figure, 3.55, 0.6, 3.3, 0.28, yticks=[], xlabel="column of the picture [pixels]")
        strip.imshow(mask[None], cmap="gray", extent=(0, IMAGE_SIZE, 0, 1), aspect="auto")
        strip.grid(False)
        say(axis, 3.48, 0.74, "mask", ha="right")
    return figure


def composed(index: int):
    """(room, the object alone at its place, both composed) of a validation sample without a gap, as in notebook 01."""
    about = MaskDepthDataset("val", gap="none").describe(index)
    room, name = library.load_room(about["room"], about["view"]), about["object"]
    turn = find_entry("objects", name, library.data_dir())[1]["yaws"].index(about["yaw"])
    nearest = library.nearest_distance(library.cutout_distances(name), about["distance"])
    cutout = library.load_cutout(name, turn, nearest)
    nowhere = replace(room, depth_mm=np.full_like(room.depth_mm, np.iinfo(room.depth_mm.dtype).max))
    place = about["distance"], about["azimuth"], about["flip"]
    alone, both = (compose(one, cutout, *place, shadow=False, gain=about["gain"]) for one in (nowhere, room))
    return room, alone, both
