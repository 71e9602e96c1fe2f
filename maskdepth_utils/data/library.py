"""Find, check and open what data/ holds: rooms, object cutouts and whole scenes.

Loaded data stay in memory: 77 MB for 100 rooms with 5 views each and their floors, 77 MB for 100 objects.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ..camera import IMAGE_SIZE, draw_turn, floor_mask, turned_view
from ..draws import Draws
from ..files import AssetError, data_dir, entries, find_entry, open_picture

Rectangle = tuple[float, float, float, float]  # on the floor, metres in room axes: X0, X1, Z0, Z1
SPLITS = ("train", "val", "test")
SCENES = {  # light -> folder of path-traced test scenes
    "soft": "scenes",  # the rooms' own
    "hard": "scenes_hard",  # also a small lamp, whose shadow shows
    "mirror": "scenes_mirror",  # the rooms' own, and a floor that mirrors
}
VIEWS = 5  # views of a training room: the rendered one and four turned ones


@dataclass(frozen=True)
class Room:
    """An empty room as its camera sees it. Room axes in metres: origin on the floor below the eye, X right, Z ahead."""

    name: str
    pitch: float  # degrees, > 0 looks down
    pan: float  # degrees, > 0 is turned right of the room's Z axis
    image: np.ndarray  # uint8 (160, 160, 3), RGB
    depth_mm: np.ndarray  # uint16 (160, 160), z-depth in millimetres
    box: Rectangle
    obstacles: tuple[Rectangle, ...]  # columns and fixed furniture
    brightness: float  # mean of the image's values, 0 to 1

    @property
    def depth(self) -> np.ndarray:
        """z-depth, float32 (160, 160), metres."""
        return self.depth_mm * np.float32(0.001)

    @cached_property
    def floor(self) -> np.ndarray:
        """Mask of the floor, bool (160, 160): everything less than 2 cm above it."""
        return _frozen(floor_mask(self.depth_mm, self.pitch))


@dataclass(frozen=True)
class Cutout:
    """One view of an object from a level camera that faces its floor anchor at `distance`.

    (x0, y0) is the top-left corner of the colour and relief pictures relative to the principal point, in pixels at
    `focal`; the shadow has its own corner, and pixels `shadow_step` times as large.
    """

    kind: str
    yaw: float  # degrees: the object's turn as seen from the camera, 0 = its front
    distance: float  # metres, horizontally from eye to anchor
    focal: float
    size: tuple[float, float, float]  # width, depth, height, metres
    premultiplied: np.ndarray  # uint8 (H, W, 4), RGB already multiplied by alpha
    relief_code: np.ndarray  # uint16 (H, W), millimetres + 32768
    shadow: np.ndarray  # uint8 (h, w), 255 = none
    x0: float
    y0: float
    shadow_x0: float
    shadow_y0: float
    shadow_step: float
    area: float  # square metres that the object covers in the anchor's plane
    relief_range: tuple[float, float]  # least and greatest relief on the object, metres

    @property
    def color(self) -> np.ndarray:
        """RGBA, uint8 (H, W, 4), straight alpha: what a picture viewer expects."""
        alpha = self.premultiplied[..., 3:].astype(np.float32)
        rgb = self.premultiplied[..., :3] * (255 / np.maximum(alpha, 1))
        return np.concatenate([np.minimum(rgb + 0.5, 255), alpha], -1).astype(np.uint8)

    @property
    def relief(self) -> np.ndarray:
        """How much farther than the anchor each pixel is, float32 (H, W), metres."""
        return (self.relief_code.astype(np.float32) - 32768) * np.float32(0.001)


class Shot(NamedTuple):
    """A photo, its empty background and the truth, before they become tensors. Arrays are (H, W, ...)."""

    image: np.ndarray  # uint8 RGB
    background: np.ndarray  # uint8 RGB
    mask: np.ndarray  # float32 coverage by the object, 0 to 1
    depth: np.ndarray | None  # float32 z-depth, metres; None if it has not been measured
    about: dict  # what is known of it; of a dataset's sample: room, object, distance (metres), angles (degrees) ...


def room_names(split: str, data: str | Path | None = None) -> list[str]:
    """Names of a split's rooms."""
    return _names_in_split("rooms", split, data)


def object_names(split: str, data: str | Path | None = None) -> list[str]:
    """Names of a split's objects."""
    return _names_in_split("objects", split, data)


def scene_names(data: str | Path | None = None, light: str = "soft") -> list[str]:
    """Names of the path-traced test scenes in this light, one of SCENES."""
    return list(entries(SCENES[light], data)[1])


def _names_in_split(kind: str, split: str, data: str | Path | None) -> list[str]:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose from {', '.join(SPLITS)}")
    return [name for name, entry in entries(kind, data)[1].items() if entry["split"] == split]


def load_room(name: str, view: int = 0, data: str | Path | None = None) -> Room:
    """Load one of a room's views, 0 to 4. Raises AssetError for an unknown room or a damaged file.

    View 0 is the rendered picture, pixel for pixel; views 1 to 4 turn the camera on the spot, see `camera.draw_turn`.
    """
    if view not in range(VIEWS):
        raise ValueError(f"view: expected 0 to {VIEWS - 1}, found {view!r}")
    return _room_view(str(data or data_dir()), name, int(view))


@lru_cache(maxsize=100)  # 23 MB: the other views of a room need not decode it again
def _stored_room(data: str, name: str) -> tuple[np.ndarray, np.ndarray, dict]:
    """Picture and z-depth in millimetres as they are stored, wider than the view, and the room's entry."""
    head, entry = find_entry("rooms", name, data)
    path, shape = Path(data) / "rooms" / name, (head["height"], head["width"])
    return open_picture(f"{path}.webp", "RGB", shape), open_picture(f"{path}_depth.png", "I;16", shape), entry


@lru_cache(maxsize=900 * VIEWS)
def _room_view(data: str, name: str, view: int) -> Room:
    image, depth, entry = _stored_room(data, name)
    pitch, pan, (height, width) = entry["pitch"], entry["pan"], depth.shape
    if view == 0:
        top, left = (height - IMAGE_SIZE) // 2, (width - IMAGE_SIZE) // 2
        window = np.s_[top : top + IMAGE_SIZE, left : left + IMAGE_SIZE]
        image, depth = image[window].copy(), depth[window].copy()
    else:
        new_pitch, turn = draw_turn(Draws(0, name, view), pitch, width, height)
        image, depth = turned_view(image, depth, pitch, new_pitch, turn)
        pitch, pan = new_pitch, pan + turn
    box, obstacles = tuple(entry["box"]), tuple(map(tuple, entry["obstacles"]))
    brightness = float(image.mean()) / 255
    return Room(name, pitch, pan, _frozen(image), _frozen(depth), box, obstacles, brightness)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False  # the caches return the same array again
    return array


def load_cutout(name: str, yaw: int, distance: int, data: str | Path | None = None) -> Cutout:
    """Load an object's view number `yaw` (0 to 7) from its distance number `distance` (0 is the nearest)."""
    views = _cutouts(str(data or data_dir()), name)
    if not (0 <= distance < len(views) and 0 <= yaw < len(views[0])):
        has = f"yaw 0 to {len(views[0]) - 1} and distance 0 to {len(views) - 1}"
        raise ValueError(f"{name}: expected {has}, found yaw {yaw} and distance {distance}")
    return views[distance][yaw]


def cutout_distances(name: str, data: str | Path | None = None) -> tuple[float, ...]:
    """The distances from which the object was rendered, metres, nearest first."""
    return tuple(views[0].distance for views in _cutouts(str(data or data_dir()), name))


def nearest_distance(distances: Sequence[float], distance: float) -> int:
    """Index of the cutout distance nearest to `distance` in ratio: its camera's view is the most similar."""
    return min(range(len(distances)), key=lambda i: abs(math.log(distances[i] / distance)))


@lru_cache(maxsize=200)
def _cutouts(data: str, name: str) -> list[list[Cutout]]:
    """All views of an object, [distance][yaw], from its three sheets."""
    head, entry = find_entry("objects", name, data)
    rows, yaws = entry["distances"], entry["yaws"]

    def read_views(ending: str, mode: str, frame: str) -> list[list[np.ndarray]]:
        """Cut a sheet, with a row of views for each distance, into its views."""
        heights, widths = ([row[frame][key] for row in rows] for key in ("height", "width"))
        shape = sum(heights), len(yaws) * max(widths)
        sheet = open_picture(Path(data) / "objects" / f"{name}_{ending}", mode, shape)
        bands = np.split(sheet, np.cumsum(heights)[:-1])
        return [np.split(band[:, : len(yaws) * width], len(yaws), axis=1) for band, width in zip(bands, widths)]

    sheets = (("color.webp", "RGBA", "frame"), ("relief.png", "I;16", "frame"), ("shadow.png", "L", "shadow"))
    return [
        [_make_cutout(head["focal"], entry, row, *view) for view in zip(yaws, *views)]
        for row, *views in zip(rows, *(read_views(*sheet) for sheet in sheets))
    ]


def _make_cutout(
    focal: float, entry: dict, row: dict, yaw: float, color: np.ndarray, relief: np.ndarray, shadow: np.ndarray
) -> Cutout:
    # The frame fits the widest view: keep the part that this one fills.
    x, y, width, height = cv2.boundingRect(cv2.extractChannel(color, 3))
    if not width:
        raise AssetError(f"{entry['name']}_color.webp is damaged: the view at {yaw} degrees is empty. Restore the file")
    color, relief = color[y : y + height, x : x + width], relief[y : y + height, x : x + width].copy()
    # Resampling mixes neighbouring pixels: weighted by alpha, colours from outside the object leave no fringe.
    alpha = cv2.extractChannel(color, 3)
    color = cv2.multiply(color, cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)]), scale=1 / 255)  # rounds
    nearest, farthest, _, _ = cv2.minMaxLoc(relief, mask=alpha)
    frame, shade, distance = row["frame"], row["shadow"], row["distance"]
    return Cutout(
        kind=entry["kind"], yaw=float(yaw), distance=distance, focal=focal, size=tuple(entry["size"]),
        premultiplied=_frozen(color), relief_code=_frozen(relief), shadow=_frozen(shadow.copy()),
        x0=frame["x0"] + x, y0=frame["y0"] + y,
        shadow_x0=shade["x0"], shadow_y0=shade["y0"], shadow_step=shade["step"],
        area=cv2.sumElems(alpha)[0] / 255 * (distance / focal) ** 2,
        relief_range=((nearest - 32768) / 1000, (farthest - 32768) / 1000),
    )  # fmt: skip


def load_scene(name: str, data: str | Path | None = None, light: str = "soft") -> Shot:
    """Load a path-traced test scene in this light, one of SCENES."""
    folder = SCENES[light]
    _, entry = find_entry(folder, name, data)
    path, shape = Path(data or data_dir()) / folder / name, (IMAGE_SIZE, IMAGE_SIZE)
    image, background = (open_picture(f"{path}{end}.webp", "RGB", shape) for end in ("", "_background"))
    mask = open_picture(f"{path}_mask.png", "L", shape) / np.float32(255)
    depth = open_picture(f"{path}_depth.png", "I;16", shape) * np.float32(0.001)
    kind = entries("objects", data)[1].get(entry["object"], {}).get("kind", "")
    about = {key: entry[key] for key in ("room", "object", "distance", "azimuth", "yaw")}
    return Shot(image, background, mask, depth, {"scene": name, "kind": kind} | about)
