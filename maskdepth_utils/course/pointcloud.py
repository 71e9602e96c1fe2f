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
from ..camera import FOV, IMAGE_SIZE, camera_rotation

MIME = "application/vnd.plotly.v1+json"  # what JupyterLab, Notebook 7 and VS Code draw without a widget
MOST_POINTS = IMAGE_SIZE**2
JUMP = 0.06  # share of the depth; neighbouring pixels of a floor 10 m away differ by 0.05
START = np.array([0.0, -3.0, 2.0])  # where the view starts: metres right, ahead and up of the camera
AXES = ("right", "ahead", "up")
GROUND = "#d5dae3"  # white walls and lamps stand out from it
SIDES = {"from behind the camera": (24, -90, 1.2), "from the left": (24, -160, 1.05)}  # degrees up and around; zoom


class Cloud(NamedTuple):
    """Points (N, 3), in metres right, ahead and up of the camera, and their colours (N, 3), uint8."""

    points: np.ndarray
    colors: np.ndarray


def view(image, depth, truth=None, mask=None, fov: float = FOV, pitch: float = 0.0, edges: bool = True) -> "View":
    """Show a scene in 3D as its depth map places it; with the true depth too, buttons switch between both.

    Args:
        image: The picture (H, W, 3), or a sample's tensor.
        depth: z-depth (H, W) in metres, or a sample's tensor.
        truth: The true depth, likewise.
        mask: A mask (H, W) of what is tinted.
        fov: The camera's horizontal field of view in degrees.
        pitch: How many degrees the camera looks down, to set the room upright.
        edges: Whether points that fly between foreground and background are left out.
    """
    depths = {"prediction": depth} if truth is None else {"prediction": depth, "truth": truth}
    clouds = {name: to_cloud(image, one, mask, fov, pitch, edges) for name, one in depths.items()}
    height, width = plots.to_array(image).shape[:2]
    return View(clouds, camera_outline(fov, pitch, height / width))


def lift(depth, fov: float = FOV) -> np.ndarray:
    """Lift a z-depth map (H, W) in metres to points (H, W, 3) in metres, in the camera's frame.

    x is right, y down, z ahead of the eye. `fov` is the horizontal field of view in degrees; pixels are square. The
    slopes x / z and y / z of a pixel's ray grow evenly from the picture's centre (the pinhole camera, notebook 01).
    """
    depth = np.asarray(depth)
    if depth.ndim != 2:
        raise ValueError(f"depth: expected shape (H, W), found {depth.shape}")
    if not 1 <= fov < 180:
        raise ValueError(f"fov: expected the horizontal field of view in degrees, 1 to 179; found {fov}")
    height, width = depth.shape
    focal = width / (2 * math.tan(math.radians(fov / 2)))
    v, u = np.mgrid[0:height, 0:width] + 0.5  # a pixel's centre
    rays = np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones((height, width))], axis=-1)
    return (rays * depth[..., None]).astype(np.float32)


def level(points: np.ndarray, pitch: float) -> np.ndarray:
    """Turn points (..., 3) of a camera that looks down by `pitch` degrees into the frame of a level one at its place.

    There the floor is the plane y = eye height.
    """
    return (points @ camera_rotation(pitch)).astype(np.float32)


def upright(points: np.ndarray, pitch: float) -> np.ndarray:
    """Turn points (N, 3) of a camera's frame into metres right, ahead and up of the camera."""
    return level(points, pitch)[:, [0, 2, 1]] * np.float32([1, 1, -1])


def depth_edges(depth, jump: float = JUMP) -> np.ndarray:
    """Find pixels that fly between foreground and background: bool (H, W).

    At an outline a smooth depth map runs through all values in between, where nothing is. Such a pixel has neighbours
    that are nearer by more than the share `jump` of its depth, and others that are farther. A pixel at the rim of
    either surface is not marked, since its own surface continues on one side; so thin legs stay.
    """
    depth = np.asarray(depth, np.float32)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(depth, 1, mode="edge"), (3, 3))
    return (around.min(axis=(2, 3)) < depth * (1 - jump)) & (around.max(axis=(2, 3)) > depth * (1 + jump))


def to_cloud(image, depth, mask=None, fov: float = FOV, pitch: float = 0.0, edges: bool = True) -> Cloud:
    """Lift a picture's pixels, at most about `MOST_POINTS` of them. Arguments as for `view`."""
    picture, depth = plots.to_unit(image), plots.to_metres(depth)
    if picture.shape[:2] != depth.shape:
        raise ValueError(f"image and depth: expected equal sizes, found {picture.shape[:2]} and {depth.shape}")
    if mask is not None:
        picture = plots.overlay(picture, mask, opacity=0.5)
    # Thinned before looking for edges: a large photo's depth was enlarged, and its jumps run over many pixels.
    step = max(1, math.ceil(math.sqrt(depth.size / MOST_POINTS)))
    pick = np.s_[step // 2 :: step, step // 2 :: step]
    thin = depth[pick]
    keep = np.isfinite(thin) & (thin > 0)
    if edges:
        keep &= ~depth_edges(thin)
    colors = np.uint8(np.clip(picture[pick][keep], 0, 1) * 255 + 0.5)
    return Cloud(upright(lift(depth, fov)[pick][keep], pitch), colors)


def camera_outline(fov: float = FOV, pitch: float = 0.0, aspect: float = 1.0, far: float = 0.4) -> np.ndarray:
    """The camera as a line (12, 3): a pyramid from the eye to a picture of that height / width, `far` metres ahead."""
    x = far * math.tan(math.radians(fov / 2))
    y = x * aspect
    eye, a, b, c, d = (0, 0, 0), (-x, -y, far), (x, -y, far), (x, y, far), (-x, y, far)
    return upright(np.array([eye, a, b, eye, c, d, eye, a, d, c, b, eye]), pitch)


class View:
    """One or two named clouds and the camera's outline (N, 3), shown as a cell's last line."""

    def __init__(self, clouds: dict[str, Cloud], camera: np.ndarray):
        self.clouds, self.camera = clouds, camera
        everything = np.concatenate([camera, *(cloud.points for cloud in clouds.values())])
        self.low, self.high = everything.min(axis=0) - 0.1, everything.max(axis=0) + 0.1

    def figure(self):
        """plotly's figure: the points of each cloud, the camera, and buttons if there are two clouds."""
        hover = "<br>".join(f"{axis} %{{{key}:.2f}} m" for key, axis in zip("xyz", AXES))
        figure = go.Figure()
        for number, (name, cloud) in enumerate(self.clouds.items()):
            index, scale = quantize(cloud.colors)
            marker = {"size": 2.5, "color": index, "colorscale": scale, "cmin": 0, "cmax": 255, "line": {"width": 0}}
            figure.add_scatter3d(
                **by_axis(cloud.points), mode="markers", name=name, visible=number == 0, marker=marker,
                hovertemplate=f"{hover}<extra>{name}</extra>",
            )  # fmt: skip
        line = {"color": "black", "width": 3}
        figure.add_scatter3d(**by_axis(self.camera), mode="lines", line=line, hoverinfo="skip")
        margin = {"l": 0, "r": 0, "t": 0, "b": 0}
        if len(self.clouds) > 1:
            margin["t"] = 44
            names = list(self.clouds)
            buttons = [
                {"label": name, "method": "restyle", "args": [{"visible": [name == one for one in names] + [True]}]}
                for name in names
            ]
            place = {"direction": "right", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}
            figure.update_layout(updatemenus=[{"type": "buttons", "buttons": buttons} | place])
        return figure.update_layout(scene=self.layout(), height=520, margin=margin, showlegend=False)

    def layout(self) -> dict:
        """plotly's scene: equal scales on all axes, and the start behind and above the camera."""
        size = self.high - self.low
        ground = {"backgroundcolor": GROUND, "gridcolor": "white", "showbackground": True}
        scene = {
            f"{axis}axis": {"title": {"text": f"{name} [m]"}, "range": [float(low), float(high)], "dtick": 1} | ground
            for axis, name, low, high in zip("xyz", AXES, self.low, self.high)
        }
        # plotly's units: 0 is the middle, and with these ratios 1 is the longest side.
        middle = (self.low + self.high) / 2
        target = np.array([0, np.median(next(iter(self.clouds.values())).points[:, 1]), -0.9])
        camera = {name: (at - middle) / size.max() for name, at in {"eye": START, "center": target}.items()}
        scene["aspectmode"] = "manual"
        scene["aspectratio"] = dict(zip("xyz", (size / size.max()).tolist()))
        scene["camera"] = {name: dict(zip("xyz", at.tolist())) for name, at in camera.items()}
        scene["camera"]["up"] = {"x": 0, "y": 0, "z": 1}
        scene["dragmode"] = "turntable"  # keeps the room upright
        return scene

    def still(self):
        """A matplotlib figure: a column for each cloud, seen from behind the camera and from the left."""
        columns, rows = len(self.clouds), len(SIDES)
        with plt.rc_context(plots.STYLE):
            figure = plt.figure(figsize=(4.4 * columns, 3.4 * rows))
            for column, (name, cloud) in enumerate(self.clouds.items()):
                for row, (side, (above, around, zoom)) in enumerate(SIDES.items()):
                    # Placed by hand: matplotlib leaves a 3D axis too much room.
                    left, bottom = column / columns, 1 - (row + 1) / rows
                    axis = figure.add_axes((left, bottom, 1 / columns, 0.94 / rows), projection="3d")
                    self.draw_cloud(axis, cloud)
                    axis.view_init(above, around)
                    axis.set_box_aspect(self.high - self.low, zoom=zoom)
                    title = f"{name}, {side}" if columns > 1 else side
                    figure.text(left + 0.03 / columns, bottom + 0.98 / rows, title, va="top")
            plt.close(figure)
        return figure

    def draw_cloud(self, axis, cloud: Cloud) -> None:
        """Draw points and camera into a matplotlib 3D axis, with a line for each metre."""
        axis.scatter(*cloud.points.T, c=cloud.colors / 255, s=0.9, linewidths=0, depthshade=False)
        axis.plot(*self.camera.T, color="black", linewidth=1)
        for name, label, low, high in zip("xyz", AXES, self.low, self.high):
            axis.set(**{f"{name}lim": (low, high)})
            getattr(axis, f"set_{name}label")(f"{label} [m]", fontsize=8, labelpad=-3)
            line = getattr(axis, f"{name}axis")
            line.set_major_locator(MultipleLocator(1))
            line.set_pane_color(GROUND)
        axis.tick_params(labelsize=7, pad=-2)

    def _repr_mimebundle_(self, include=None, exclude=None):
        buffer = io.BytesIO()
        self.still().savefig(buffer, format="jpeg", dpi=110, pil_kwargs={"quality": 85, "optimize": True})
        bundle = {
            # Not a PNG: beside one, plotly's JupyterLab extension shows that until the mouse comes by.
            "image/jpeg": base64.b64encode(buffer.getvalue()).decode(),
            "text/plain": "A 3D view: run the cell to turn it.",
        }
        figure = self.figure()
        if "google.colab" in sys.modules:  # Colab draws pages only
            return bundle | {"text/html": figure.to_html(include_plotlyjs="cdn", full_html=False)}
        return bundle | {MIME: json.loads(figure.to_json()) | {"config": {"displaylogo": False, "responsive": True}}}


def by_axis(points: np.ndarray) -> dict[str, np.ndarray]:
    """Points (N, 3) as {"x": ..., "y": ..., "z": ...}."""
    return {axis: np.ascontiguousarray(column) for axis, column in zip("xyz", points.T)}


def quantize(colors: np.ndarray) -> tuple[np.ndarray, list]:
    """Colours (N, 3) as one byte for each point, uint8 (N,), and the scale of 256 colours that it indexes.

    That takes a tenth of the space of colours in words.
    """
    picture = Image.fromarray(colors[None]).quantize(256, Image.Quantize.MEDIANCUT)
    found = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
    palette = np.pad(found, ((0, 256 - len(found)), (0, 0)))
    return np.asarray(picture)[0], [[i / 255, "#{:02x}{:02x}{:02x}".format(*color)] for i, color in enumerate(palette)]
