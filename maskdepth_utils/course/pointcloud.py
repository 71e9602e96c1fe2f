"""A depth map as points in space that you can walk around. Used in notebooks 05 and 07.

`view(image, depth, truth=true_depth)` as a cell's last line is a 3D view to turn with the mouse; where no JavaScript
runs (a page on GitHub), a still picture.
"""

import base64
import io
import json
import math
import sys
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.ticker import MultipleLocator
from PIL import Image

from .. import plots
from ..camera import FOV, camera_rotation

MIME = "application/vnd.plotly.v1+json"  # what JupyterLab, Notebook 7 and VS Code draw without a widget
JUMP = 0.06  # share of the depth; neighbouring pixels of a floor 10 m away differ by 0.05
START = np.array([0.0, -3.0, 2.0])  # where the view starts: metres right, ahead and up of the camera
AXES = {"x": "right [m]", "y": "ahead [m]", "z": "up [m]"}
GROUND = "#d5dae3"  # white walls and lamps stand out from it
SIDES = {"from behind the camera": (24, -90, 1.2), "from the left": (24, -160, 1.05)}  # degrees up and around; zoom


class Cloud(NamedTuple):
    """Points (N, 3), in metres right, ahead and up of the camera, and their colours (N, 3), uint8."""

    points: np.ndarray
    colors: np.ndarray


def view(image, depth, truth=None, mask=None, pitch: float = 0.0) -> "View":
    """Show a scene in 3D as its depth map places it; with the true depth too, buttons switch between the two.

    Args:
        image: The picture (H, W, 3), or a sample's tensor.
        depth: z-depth (H, W) in metres, or a sample's tensor.
        truth: The true depth, likewise.
        mask: A mask (H, W) of the pixels to tint.
        pitch: How many degrees the camera looks down, to set the room upright.
    """
    depths = {"prediction": depth} if truth is None else {"prediction": depth, "truth": truth}
    height, width = plots.to_array(image).shape[:2]
    x, far = 0.4 * math.tan(math.radians(FOV / 2)), 0.4  # metres: the drawn camera, a pyramid
    y = x * height / width
    eye, a, b, c, d = (0, 0, 0), (-x, -y, far), (x, -y, far), (x, y, far), (-x, y, far)
    camera = upright(np.array([eye, a, b, eye, c, d, eye, a, d, c, b, eye]), pitch)
    return View({name: to_cloud(image, one, mask, pitch) for name, one in depths.items()}, camera)


def lift(depth: np.ndarray) -> np.ndarray:
    """Lift a z-depth map (H, W) in metres to points (H, W, 3) in metres: right, down and ahead of the eye.

    The slopes x / z and y / z of a pixel's ray grow evenly from the picture's centre (a pinhole camera).
    """
    height, width = depth.shape
    focal = width / (2 * math.tan(math.radians(FOV / 2)))
    v, u = np.mgrid[0:height, 0:width] + 0.5  # a pixel's centre
    rays = np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones_like(u)], axis=-1)
    return (rays * depth[..., None]).astype(np.float32)


def level(points: np.ndarray, pitch: float) -> np.ndarray:
    """Turn points (..., 3) of a camera that looks down by `pitch` degrees: the floor is then at y = 1.5 m."""
    return (points @ camera_rotation(pitch)).astype(np.float32)


def upright(points: np.ndarray, pitch: float) -> np.ndarray:
    """Turn points (N, 3) of a camera's frame into metres right, ahead and up of the camera."""
    return level(points, pitch)[:, [0, 2, 1]] * np.float32([1, 1, -1])


def depth_edges(depth: np.ndarray) -> np.ndarray:
    """Find pixels that fly between foreground and background: bool (H, W).

    At an outline a smooth depth map runs through all values in between, where nothing is. Such a pixel has neighbours
    that are nearer by more than the share `JUMP` of its depth, and others that are farther. A pixel at the rim of
    either surface is not marked, since its own surface continues on one side; so thin legs stay.
    """
    around = np.lib.stride_tricks.sliding_window_view(np.pad(depth, 1, mode="edge"), (3, 3))
    return (around.min(axis=(2, 3)) < depth * (1 - JUMP)) & (around.max(axis=(2, 3)) > depth * (1 + JUMP))


def to_cloud(image, depth, mask=None, pitch: float = 0.0) -> Cloud:
    """Lift a picture's pixels, except those that `depth_edges` finds. Arguments as for `view`."""
    picture, depth = plots.to_unit(image), plots.to_metres(depth)
    if picture.shape[:2] != depth.shape:
        raise ValueError(f"image and depth: expected equal sizes, found {picture.shape[:2]} and {depth.shape}")
    if mask is not None:
        picture = plots.overlay(picture, mask, opacity=0.5)
    keep = ~depth_edges(depth)
    return Cloud(upright(lift(depth)[keep], pitch), np.uint8(picture[keep] * 255 + 0.5))


class View:
    """One or two named clouds and the camera's outline (N, 3), shown as a cell's last line."""

    def __init__(self, clouds: dict[str, Cloud], camera: np.ndarray):
        self.clouds, self.camera = clouds, camera
        everything = np.concatenate([camera, *(cloud.points for cloud in clouds.values())])
        self.low, self.high = everything.min(axis=0) - 0.1, everything.max(axis=0) + 0.1

    def figure(self) -> go.Figure:
        """plotly's figure: the points of each cloud, the camera, and buttons if there are two clouds."""
        hover = "<br>".join(f"{words[:-4]} %{{{axis}:.2f}} m" for axis, words in AXES.items())
        figure = go.Figure()
        for name, cloud in self.clouds.items():
            index, scale = quantize(cloud.colors)
            figure.add_scatter3d(
                **dict(zip("xyz", cloud.points.T)), mode="markers", name=name, visible=name == "prediction",
                marker={"size": 2.5, "color": index, "colorscale": scale, "cmin": 0, "cmax": 255, "line": {"width": 0}},
                hovertemplate=f"{hover}<extra>{name}</extra>",
            )  # fmt: skip
        line = {"color": "black", "width": 3}
        figure.add_scatter3d(**dict(zip("xyz", self.camera.T)), mode="lines", line=line, hoverinfo="skip")
        if len(self.clouds) > 1:
            shown = {"prediction": [True, False, True], "truth": [False, True, True]}  # the camera always
            buttons = [{"label": name, "method": "restyle", "args": [{"visible": shown[name]}]} for name in self.clouds]
            place = {"direction": "right", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}
            figure.update_layout(updatemenus=[{"type": "buttons", "buttons": buttons} | place])
        margin = {"l": 0, "r": 0, "t": 44 * (len(self.clouds) > 1), "b": 0}
        return figure.update_layout(scene=self.layout(), height=520, margin=margin, showlegend=False)

    def layout(self) -> dict:
        """plotly's scene: equal scales on all axes, and the start behind and above the camera."""
        size = self.high - self.low
        ground = {"backgroundcolor": GROUND, "gridcolor": "white", "showbackground": True, "dtick": 1}
        scene = {
            f"{axis}axis": {"title": {"text": words}, "range": [float(low), float(high)]} | ground
            for (axis, words), low, high in zip(AXES.items(), self.low, self.high)
        }
        # plotly's units: 0 is the middle, and with these ratios 1 is the longest side.
        target = np.array([0, np.median(self.clouds["prediction"].points[:, 1]), -0.9])
        eye, center = ((at - (self.low + self.high) / 2) / size.max() for at in (START, target))
        camera = {"eye": eye, "center": center, "up": np.array([0, 0, 1])}
        return scene | {
            "aspectmode": "manual", "aspectratio": dict(zip("xyz", (size / size.max()).tolist())),
            "camera": {name: dict(zip("xyz", at.tolist())) for name, at in camera.items()},
            "dragmode": "turntable",  # keeps the room upright
        }  # fmt: skip

    def still(self) -> plt.Figure:
        """A matplotlib figure: a column for each cloud, seen from behind the camera and from the left."""
        columns, rows = len(self.clouds), len(SIDES)
        with plt.rc_context(plots.STYLE):
            figure = plt.figure(figsize=(4.4 * columns, 3.4 * rows))
            for column, (name, cloud) in enumerate(self.clouds.items()):
                for row, (side, (above, around, zoom)) in enumerate(SIDES.items()):
                    # Placed by hand: matplotlib leaves a 3D axis too much room.
                    left, bottom = column / columns, 1 - (row + 1) / rows
                    axis = figure.add_axes((left, bottom, 1 / columns, 0.94 / rows), projection="3d")
                    axis.scatter(*cloud.points.T, c=cloud.colors / 255, s=0.9, linewidths=0, depthshade=False)
                    axis.plot(*self.camera.T, color="black", linewidth=1)
                    for (key, words), low, high in zip(AXES.items(), self.low, self.high):
                        axis.set(**{f"{key}lim": (low, high)})
                        line = getattr(axis, f"{key}axis")
                        line.set_label_text(words, fontsize=8)
                        line.labelpad = -3
                        line.set_major_locator(MultipleLocator(1))
                        line.set_pane_color(GROUND)
                    axis.tick_params(labelsize=7, pad=-2)
                    axis.view_init(above, around)
                    axis.set_box_aspect(self.high - self.low, zoom=zoom)
                    title = f"{name}, {side}" if columns > 1 else side
                    figure.text(left + 0.03 / columns, bottom + 0.98 / rows, title, va="top")
            plt.close(figure)
        return figure

    def _repr_mimebundle_(self, include=None, exclude=None):
        buffer = io.BytesIO()
        self.still().savefig(buffer, format="jpeg", dpi=110, pil_kwargs={"quality": 85, "optimize": True})
        bundle = {
            # No PNG: plotly's JupyterLab extension would show it until the mouse moves over it.
            "image/jpeg": base64.b64encode(buffer.getvalue()).decode(),
            "text/plain": "A 3D view: run the cell to turn it.",
        }
        figure = self.figure()
        if "google.colab" in sys.modules:  # Colab draws pages only
            return bundle | {"text/html": figure.to_html(include_plotlyjs="cdn", full_html=False)}
        return bundle | {MIME: json.loads(figure.to_json()) | {"config": {"displaylogo": False, "responsive": True}}}


def quantize(colors: np.ndarray) -> tuple[np.ndarray, list]:
    """Colours (N, 3) as an index (N,) into a scale of 256 colours: a tenth of the size of colours as text."""
    picture = Image.fromarray(colors[None]).quantize(256, Image.Quantize.MEDIANCUT)
    found = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
    palette = np.pad(found, ((0, 256 - len(found)), (0, 0)))
    return np.asarray(picture)[0], [[i / 255, "#{:02x}{:02x}{:02x}".format(*color)] for i, color in enumerate(palette)]
