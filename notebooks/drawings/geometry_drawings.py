"""Drawings of the camera and of composing, for the extra composite_geometry."""

import math
from dataclasses import replace

import numpy as np
from card import NORMAL, add_axes, card, draw_arrow, draw_dimension, tint, write
from matplotlib.patches import Arc, Polygon

from maskdepth_utils.camera import FOCAL, FOV, IMAGE_SIZE
from maskdepth_utils.data import library
from maskdepth_utils.data.compose import compose
from maskdepth_utils.data.datasets import MaskDepthDataset
from maskdepth_utils.files import find_entry
from maskdepth_utils.plots import BLUE, GRAY, INK, RUST, VERMILION, YELLOW

WALL = 4.0  # metres, straight ahead
TREADMILL = 73  # the validation sample of composite_geometry: a treadmill, partly behind a column


def pinhole():
    """Draw the pinhole camera, and the two depths of a wall 4 m ahead, in a top view."""
    scale = 0.97  # inches per metre
    eye, middle = 0.66, 2.56  # inches: the place of the camera
    wall = eye + scale * WALL
    screen = eye + scale * 1.35

    def at(x, degrees):  # on the camera's ray at this angle to its axis
        return x, middle + (x - eye) * math.tan(math.radians(degrees))

    with card(5.2) as (figure, axis):
        half = FOV / 2
        top, low = at(wall, half)[1], at(wall, -half)[1]
        axis.add_patch(Polygon([(eye, middle), (wall, top), (wall, low)], facecolor=tint(BLUE, 0.07)))
        axis.plot((eye, wall), (middle, low), color=GRAY, linewidth=1)
        reach = 2 * scale * WALL
        axis.add_patch(Arc((eye, middle), reach, reach, theta1=-half, theta2=half, color=GRAY, linestyle=":"))
        axis.plot((wall, wall), (low, top), color=INK, linewidth=4, solid_capstyle="butt")
        write(axis, wall + 0.14, low + 0.1, "wall", ha="left")
        x, y = at(eye + scale * WALL * math.cos(math.radians(half)), -half)
        write(axis, x - 0.1, y - 0.28, f"{WALL:g} m from the camera", ha="right")
        draw_arrow(axis, (x - 0.09, y - 0.22), (x, y), GRAY, width=0.8, mutation_scale=8)

        # The two depths: three points of the wall
        for x, name, color in ((5.3, "z-depth", BLUE), (6.35, "ray distance", RUST)):
            write(axis, x, top + 0.27, name, color=color, weight="bold")
        for degrees in (half, half / 2, 0):
            axis.plot(*zip((eye, middle), at(wall, degrees)), color=VERMILION, linewidth=1.6)
            axis.plot(*at(wall, degrees), "o", color=VERMILION, markersize=7, clip_on=False, zorder=5)
            distance = WALL / math.cos(math.radians(degrees))
            for x, metres, color in ((5.3, WALL, BLUE), (6.35, distance, RUST)):
                write(axis, x, at(wall, degrees)[1], f"{metres:.2f} m", color=color, fontsize=NORMAL)
        axis.plot((eye, eye), (middle, top + 0.06), color=GRAY, linestyle=":", linewidth=1.2)
        draw_dimension(axis, (eye, top), (wall - 0.06, top), BLUE)
        write(axis, (eye + wall) / 2, top + 0.12, "z-depth: straight ahead", color=BLUE)
        x, y = at(eye + 2.35, half)
        write(axis, x - 0.07, y + 0.12, "ray distance", color=RUST, rotation=half, rotation_mode="anchor")

        # The focal length
        axis.plot((screen, screen), (at(screen, half)[1], at(screen, -half)[1]), color=INK, linewidth=2.2)
        write(axis, screen - 0.02, at(screen, half)[1] + 0.16, f"picture, {IMAGE_SIZE} px", ha="right")
        draw_dimension(axis, (screen + 0.12, middle - 0.02), (screen + 0.12, at(screen, -half)[1]))
        write(axis, screen + 0.2, middle - 0.45, f"{IMAGE_SIZE // 2} px", ha="left")
        draw_dimension(axis, (eye + 0.06, middle), (screen - 0.02, middle))
        write(axis, screen - 0.3, middle + 0.1, "f", fontsize=NORMAL, style="italic")
        axis.add_patch(Arc((eye, middle), 1.1, 1.1, theta1=-half, theta2=0, color=INK, linewidth=1))
        write(axis, *at(eye + 0.76, -half / 2), f"{half:g}°")
        axis.plot(eye, middle, "o", color=INK, markersize=9)
        write(axis, eye - 0.02, middle - 0.2, "camera", ha="right")
        formula = f"f = {IMAGE_SIZE // 2} px / tan {half:g}°\n  = {FOCAL:.1f} px"
        write(axis, screen + 0.85, middle - 0.45, formula, ha="left", fontsize=NORMAL, linespacing=1.4)
    return figure


def z_buffer():
    """Draw one row of a composite from above and along its pixels: the nearer of room and object wins."""
    row = 100  # of the picture, below the horizon: its rays meet the floor
    far = 8.0  # metres that are drawn
    room, alone, both = compose_sample(TREADMILL)
    column = np.arange(IMAGE_SIZE) + 0.5
    slope = (column - IMAGE_SIZE / 2) / FOCAL  # a pixel's x in metres, per metre of z-depth
    present = alone.mask[row] > 0.5
    mask = both.mask[row] > 0.5
    hidden = present & ~mask
    # Where depth jumps there is an edge and no surface: no line from one side to the other.
    surface = np.where(np.abs(np.diff(room.depth[row], prepend=0)) > 0.5, np.nan, room.depth[row])
    thing = np.where(present, alone.depth[row], np.nan)

    with card(4.6) as (figure, axis):
        plan = add_axes(figure, 0.45, 1.0, 2.45, 2.8, xlim=(-3.5, 3.5), ylim=(0, far))
        plan.set(xlabel="metres to the right", ylabel="z-depth [m]", xticks=range(-3, 4))
        write(axis, 0.45, 3.93, "from above", ha="left")
        for pixel in range(3, IMAGE_SIZE, 5):
            end, color = both.depth[row, pixel], tint(VERMILION, 0.5) if mask[pixel] else tint(BLUE, 0.3)
            plan.plot((0, slope[pixel] * end), (0, end), color=color, linewidth=0.8)
        plan.plot(0, 0, "o", color=INK, markersize=9, clip_on=False)
        rows = add_axes(figure, 3.55, 1.0, 3.3, 2.8, xlim=(0, IMAGE_SIZE), ylim=(0, far))
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
            (plan, -1.95, 3.3, "column", BLUE), (plan, 0.7, 5.4, "object", RUST), (plan, 2.0, 4.5, "wall", BLUE),
            (plan, -0.8, 7.75, "here the rays meet the floor", BLUE), (plan, -2.2, 5.55, "hidden", RUST),
            (rows, 44, 2.75, "column", BLUE), (rows, 76, 5.2, "object", RUST), (rows, 136, 4.6, "wall", BLUE),
            (rows, 72, 7.75, "here the rays meet the floor", BLUE), (rows, 22, 4.3, "hidden", RUST),
            (rows, 90, 1.2, "yellow: the nearer one", INK),
        ):  # fmt: skip
            write(panel, x, y, words, color=color)
        draw_arrow(rows, (24, 4.5), (43.5, 5.45), RUST, width=0.9, mutation_scale=8)
        photo = add_axes(figure, 3.55, 3.9, 3.3, 0.66, xlim=(0, IMAGE_SIZE))
        photo.imshow(both.image[row - 16 : row + 16], extent=(0, IMAGE_SIZE, row + 16, row - 16), aspect="auto")
        photo.axhline(row + 0.5, color=YELLOW, linewidth=2)
        photo.set_axis_off()
        strip = add_axes(figure, 3.55, 0.6, 3.3, 0.28, yticks=[], xlabel="column of the picture [pixels]")
        strip.imshow(mask[None], cmap="gray", extent=(0, IMAGE_SIZE, 0, 1), aspect="auto")
        strip.grid(False)
        write(axis, 3.48, 0.74, "mask", ha="right")
    return figure


def compose_sample(index: int):
    """Compose a validation sample without a gap: the room, the object alone, and both."""
    about = MaskDepthDataset("val", gap="none").describe(index)
    room = library.load_room(about["room"], about["view"])
    name = about["object"]
    turn = find_entry("objects", name, library.data_dir())[1]["yaws"].index(about["yaw"])
    view = library.nearest_distance(library.cutout_distances(name), about["distance"])
    cutout = library.load_cutout(name, turn, view)
    nowhere = replace(room, depth_mm=np.full_like(room.depth_mm, np.iinfo(room.depth_mm.dtype).max))
    place = about["distance"], about["azimuth"], about["flip"]
    alone, both = (compose(one, cutout, *place, shadow=False, gain=about["gain"]) for one in (nowhere, room))
    return room, alone, both
