"""A depth map as points in space that you can walk around. Used in notebooks 05 and 07.

shown = view(image, depth, truth=true_depth)   # as a cell's last line: a 3D view to turn with the mouse
shown.save("room.html")                        # a page of its own, which needs no network
shown.static()                                 # the same as a matplotlib figure, from two viewpoints

Depth is z-depth in metres, along the optical axis. The 3D view is plotly's; where no JavaScript runs (a page on GitHub,
a stored notebook), or plotly is missing, the static picture is shown instead.
"""

import base64
import io
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MultipleLocator
from PIL import Image

from .. import plots
from ..camera import FOV, IMAGE_SIZE, camera_rotation
from ..files import write_file

MIME = "application/vnd.plotly.v1+json"  # what JupyterLab, Notebook 7 and VS Code draw without a widget
MOST = IMAGE_SIZE**2  # points of a cloud: a canonical picture's, one for each pixel
JUMP = 0.06  # share of the depth; neighbouring pixels of a floor 10 m away differ by 0.05
BEHIND = (0.0, -3.0, 2.0)  # metres right, ahead and up of the camera: where the view starts
AXES = ("right", "ahead", "up")
PREDICTION, TRUTH = "prediction", "truth"
GROUND = "#d5dae3"  # white walls and lamps stand out from it
SEEN = {"from behind the camera": (24, -90, 1.2), "from the left": (24, -160, 1.05)}  # degrees above and around; zoom
FLAT = {"red": plots.VERMILION, "blue": plots.BLUE}  # the first cloud and the second, where both are shown


def lift(depth, fov: float = FOV) -> np.ndarray:
    """Where each pixel lies: z-depth (H, W), metres -> points (H, W, 3), metres, in the camera's frame.

    x is right, y down, z ahead of the eye. fov: the camera's horizontal field of view, degrees; its pixels are square.
    A pixel's ray has the slopes x / z and y / z, which grow evenly from the picture's centre (the pinhole camera).
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
    """Points (..., 3) of a camera that looks down by `pitch` degrees, in the frame of a level one at the same eye.

    There the floor is the plane y = eye height.
    """
    return (points @ camera_rotation(pitch)).astype(np.float32)


def upright(points: np.ndarray, pitch: float) -> np.ndarray:
    """Points (N, 3) of a camera's frame as metres right, ahead and up of it: pictures have y down, rooms have z up."""
    x, y, z = level(points, pitch).T
    return np.stack([x, z, -y], axis=-1)


def depth_edges(depth, jump: float = JUMP) -> np.ndarray:
    """Pixels that fly between foreground and background: bool (H, W).

    At an outline a smooth depth map runs through all values in between, where nothing is. Such a pixel has neighbours
    (of eight) that are nearer by more than the share `jump` of its depth, and others that are farther. A pixel at
    the rim of either surface is not marked: its own surface continues on one side. So thin legs stay.
    """
    depth = np.asarray(depth, np.float32)
    padded = np.pad(depth, 1, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    return (around.min(axis=(2, 3)) < depth * (1 - jump)) & (around.max(axis=(2, 3)) > depth * (1 + jump))


@dataclass(frozen=True)
class Cloud:
    """points: float32 (N, 3), metres right, ahead and up of the camera; colors: uint8 (N, 3)."""

    points: np.ndarray
    colors: np.ndarray


def to_cloud(image, depth, mask=None, fov: float = FOV, pitch: float = 0.0, edges=True, most: int = MOST) -> Cloud:
    """Lift a picture's pixels, thinned out to about `most` points, without those that fly (see `depth_edges`).

    image (H, W, 3), depth (H, W) in metres, or a sample's tensors; mask (H, W): tints what it covers; pitch: how many
    degrees the camera looks down, to set the room upright; edges=False keeps the flying points.
    """
    picture, depth = plots.to_unit(image), plots.to_metres(depth)
    if picture.shape[:2] != depth.shape:
        raise ValueError(f"image and depth: expected equal sizes, found {picture.shape[:2]} and {depth.shape}")
    if mask is not None:
        picture = plots.overlay(picture, mask, opacity=0.5)
    # Thinned before looking for edges: a large photo's depth was enlarged, and its jumps run over many pixels.
    step = max(1, math.ceil(math.sqrt(depth.size / most)))
    pick = np.s_[step // 2 :: step, step // 2 :: step]
    thin = depth[pick]
    keep = np.isfinite(thin) & (thin > 0)
    if edges:
        keep &= ~depth_edges(thin)
    return Cloud(upright(lift(depth, fov)[pick][keep], pitch), np.uint8(np.clip(picture[pick][keep], 0, 1) * 255 + 0.5))


def view(image, depth, truth=None, mask=None, fov: float = FOV, pitch: float = 0.0, edges=True) -> "View":
    """The scene in 3D, as depth says it is; with the true depth too, buttons switch between both.

    image (H, W, 3); depth and truth (H, W), metres; or a sample's tensors. mask (H, W): tints the object.
    fov: the camera's horizontal field of view, degrees; pitch: degrees that it looks down, to set the room upright;
    edges=False keeps the points that fly between foreground and background. Axes: metres from the camera.
    """
    depths = {PREDICTION: depth} if truth is None else {PREDICTION: depth, TRUTH: truth}
    options = {"mask": mask, "fov": fov, "pitch": pitch, "edges": edges}
    aspect = np.divide(*plots.to_array(image).shape[:2])
    return View({name: to_cloud(image, one, **options) for name, one in depths.items()}, frame(fov, pitch, aspect))


def frame(fov: float = FOV, pitch: float = 0.0, aspect: float = 1.0, far: float = 0.4) -> np.ndarray:
    """The camera as a line (12, 3) in metres right, ahead and up: a pyramid from the eye to a picture `far` metres
    ahead. aspect: height / width."""
    x = far * math.tan(math.radians(fov / 2))
    y = x * aspect
    eye, a, b, c, d = (0, 0, 0), (-x, -y, far), (x, -y, far), (x, y, far), (-x, y, far)
    return upright(np.array([eye, a, b, eye, c, d, eye, a, d, c, b, eye]), pitch)


class View:
    """One or two clouds, shown by a notebook as a cell's last line: plotly's view and, beside it, a still picture.

    clouds: {name: Cloud}; camera: a line (N, 3), drawn with them. `figure()` is plotly's.
    """

    def __init__(self, clouds: dict[str, Cloud], camera: np.ndarray):
        self.clouds, self.camera = clouds, camera
        everything = np.concatenate([camera, *(cloud.points for cloud in clouds.values())])
        self.low, self.high = everything.min(axis=0) - 0.1, everything.max(axis=0) + 0.1

    def figure(self):
        """plotly's figure: one set of points for each cloud, the camera, and buttons if there are two clouds."""
        import plotly.graph_objects as go

        traces = [points_of(name, cloud, number == 0) for number, (name, cloud) in enumerate(self.clouds.items())]
        line = {"color": "black", "width": 3}
        traces.append({"type": "scatter3d", "mode": "lines", "line": line, "hoverinfo": "skip"} | by_axis(self.camera))
        return go.Figure({"data": traces, "layout": self.layout()})

    def layout(self) -> dict:
        """Equal scales on all axes, and the start behind and above the camera."""
        size = self.high - self.low
        ground = {"backgroundcolor": GROUND, "gridcolor": "white", "showbackground": True}
        scene = {
            f"{axis}axis": {"title": {"text": f"{name} [m]"}, "range": [float(low), float(high)], "dtick": 1} | ground
            for axis, name, low, high in zip("xyz", AXES, self.low, self.high)
        }
        # plotly counts in boxes: its middle is 0, and with these ratios one unit is the longest side.
        scene |= {"aspectmode": "manual", "aspectratio": dict(zip("xyz", (size / size.max()).tolist()))}
        look = np.array([0, np.median(next(iter(self.clouds.values())).points[:, 1]), -0.9])
        where = {"eye": np.array(BEHIND), "center": look}
        boxes = {name: (at - (self.low + self.high) / 2) / size.max() for name, at in where.items()}
        scene["camera"] = {name: dict(zip("xyz", at.tolist())) for name, at in boxes.items()}
        scene["camera"]["up"] = {"x": 0, "y": 0, "z": 1}
        scene["dragmode"] = "turntable"  # keeps the room upright
        margin = {"l": 0, "r": 0, "t": 44 if len(self.clouds) > 1 else 0, "b": 0}
        layout = {"scene": scene, "height": 520, "margin": margin, "showlegend": False}
        return layout | ({"updatemenus": [self.buttons()]} if len(self.clouds) > 1 else {})

    def buttons(self) -> dict:
        """Prediction, truth, or both in one colour each. They work in the browser alone."""
        names, colors = list(self.clouds), [scale(cloud)[1] for cloud in self.clouds.values()]
        settings = {name: ([name == other for other in names], colors) for name in names}
        both = ", ".join(f"{name} {color}" for name, color in zip(names, FLAT))
        settings[f"both ({both})"] = ([True] * len(names), [[[0, color], [1, color]] for color in FLAT.values()])
        which = list(range(len(names)))  # the camera's line stays as it is
        return {
            "type": "buttons", "direction": "right", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom",
            "buttons": [
                {"label": label, "method": "restyle", "args": [{"visible": shown, "marker.colorscale": colors}, which]}
                for label, (shown, colors) in settings.items()
            ],
        }  # fmt: skip

    def static(self):
        """A matplotlib figure: a column for each cloud, seen from behind the camera and from the left."""
        return draw(self)

    def save(self, path) -> Path:
        """Write a page that draws the 3D view in any browser and needs no network (5 MB: plotly is in it)."""
        path = Path(path)
        write_file(path, self.figure().to_html(include_plotlyjs=True).encode())
        return path

    def _repr_mimebundle_(self, include=None, exclude=None):
        bundle = {
            # Not a PNG: beside one, plotly's JupyterLab extension shows that until the mouse comes by.
            "image/jpeg": base64.b64encode(small_jpeg(self.static())).decode(),
            "text/plain": "A 3D view: run the cell to turn it.",
        }
        try:
            figure = self.figure()
        except ImportError:
            bundle["text/plain"] = "A 3D view, still: install plotly to turn it."
            return bundle
        if "google.colab" in sys.modules:  # Colab draws pages only
            return bundle | {"text/html": figure.to_html(include_plotlyjs="cdn", full_html=False)}
        return bundle | {MIME: json.loads(figure.to_json()) | {"config": {"displaylogo": False, "responsive": True}}}


def by_axis(points: np.ndarray) -> dict:
    return {axis: np.ascontiguousarray(column) for axis, column in zip("xyz", points.T)}


def scale(cloud: Cloud) -> tuple[np.ndarray, list]:
    """Each point's colour as a number 0 to 255, uint8 (N,), and the colour scale that says which colour it is.

    256 colours and a byte for each point take a tenth of the space of colours in words.
    """
    picture = Image.fromarray(cloud.colors[None]).quantize(256, Image.Quantize.MEDIANCUT)
    palette = np.zeros((256, 3), np.uint8)
    found = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
    palette[: len(found)] = found
    return np.asarray(picture)[0], [[i / 255, "#{:02x}{:02x}{:02x}".format(*c)] for i, c in enumerate(palette)]


def points_of(name: str, cloud: Cloud, visible: bool) -> dict:
    """plotly's trace of a cloud."""
    number, colors = scale(cloud)
    hover = "<br>".join(f"{axis} %{{{key}:.2f}} m" for key, axis in zip("xyz", AXES))
    return {
        "type": "scatter3d", "mode": "markers", "name": name, "visible": visible, **by_axis(cloud.points),
        "marker": {"size": 2.5, "color": number, "colorscale": colors, "cmin": 0, "cmax": 255, "line": {"width": 0}},
        "hovertemplate": f"{hover}<extra>{name}</extra>",
    }  # fmt: skip


def draw(shown: View):
    """The static picture: see `View.static`."""
    columns, width = len(shown.clouds), 4.4
    with plt.rc_context(plots.STYLE):
        figure = plt.figure(figsize=(width * columns, len(SEEN) * 3.4))
        for column, (name, cloud) in enumerate(shown.clouds.items()):
            for row, (title, (above, around, zoom)) in enumerate(SEEN.items()):
                # Placed by hand: matplotlib leaves a 3D axis too much room.
                bottom = 1 - (row + 1) / len(SEEN)
                box = (column / columns, bottom, 1 / columns, 0.94 / len(SEEN))
                axis = figure.add_axes(box, projection="3d")
                draw_cloud(axis, cloud, shown)
                axis.view_init(above, around)
                axis.set_box_aspect(shown.high - shown.low, zoom=zoom)
                words = f"{name}, {title}" if columns > 1 else title
                figure.text(box[0] + 0.03 / columns, bottom + 0.98 / len(SEEN), words, va="top")
        plt.close(figure)
    return figure


def draw_cloud(axis, cloud: Cloud, shown: View) -> None:
    """Points and camera into a matplotlib 3D axis, a line for each metre."""
    axis.scatter(*cloud.points.T, c=cloud.colors / 255, s=0.9, linewidths=0, depthshade=False)
    axis.plot(*shown.camera.T, color="black", linewidth=1)
    for name, label, low, high in zip("xyz", AXES, shown.low, shown.high):
        getattr(axis, f"set_{name}lim")(low, high)
        getattr(axis, f"set_{name}label")(f"{label} [m]", fontsize=8, labelpad=-3)
        line = getattr(axis, f"{name}axis")
        line.set_major_locator(MultipleLocator(1))
        line.set_pane_color(GROUND)
    axis.tick_params(labelsize=7, pad=-2)


def small_jpeg(figure) -> bytes:
    """A figure as the bytes of a JPEG file, about 100 kB."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", dpi=110, pil_kwargs={"quality": 85, "optimize": True})
    return buffer.getvalue()
