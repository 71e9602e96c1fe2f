"""What the widgets compute: settings in, pictures out, without a front end. widgets.py puts sliders on it.

setup = Setup(room="room_test_000", object="test_002_chair", distance=2.5)
scene = build(setup)                      # image, background, mask, depth
tiles = draw_scene(scene)                 # {"image": PNG bytes, ...}
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from matplotlib import colormaps

from ... import plots
from ...baselines import DifferenceThreshold
from ...camera import IMAGE_SIZE, floor_point
from ...data.compose import compose, nearest_distance
from ...data.datasets import USUAL_BRIGHTNESS
from ...data.library import cutout_distances, load_cutout, load_room
from ...data.placement import MIN_INSIDE, footprint, is_free
from ...data.shots import LEVELS, Strengths, shoot
from ...draws import Draws
from ...metrics import iou, rmse

TILE = 320  # pixels: twice the picture, so that single pixels can be seen
FARTHEST = 10.0  # metres
LIMITS = (0.0, FARTHEST)  # of every depth picture's colours, so that two of them can be compared


@dataclass(frozen=True)
class Setup:
    """One scene. distance: metres from the eye to the object's foot, horizontally; azimuth: degrees to the right."""

    room: str
    object: str
    yaw: int = 0  # which of the object's eight views
    azimuth: float = 0.0
    distance: float = 3.0
    flip: bool = False
    gap: str = "tripod"
    seed: int = 0  # another seed draws another gap
    light: float = 1.0  # strengths of the gap, 1 as in the data: see shots.Strengths
    noise: float = 1.0
    compression: float = 1.0
    motion: float = 1.0
    shadow: float = 1.0  # of the contact shadow, 0 to 1; under "none" there is none
    gloss: float = 0.0  # how much of the object the floor mirrors, 0 to 1


# Scenes that are hard for one reason each, of test rooms and test objects, chosen by hand: they show what may happen,
# not how often. (How often is what notebook 07 measures after them.)
BREAK_IT = {
    "nothing special": Setup("room_test_003", "test_002_chair", 2, -8.0, 2.6),
    "camouflaged object": Setup("room_test_018", "test_007_bookcase", 7, -1.0, 4.2),
    "window behind": Setup("room_test_044", "test_020_girl", 6, -8.5, 3.2, flip=True),
    "heavy noise": Setup("room_test_003", "test_002_chair", 2, -8.0, 2.6, noise=8.0),
    "shifted camera": Setup("room_test_003", "test_002_chair", 2, -8.0, 2.6, gap="handheld", seed=5, motion=4.0),
    "mirror in the floor": Setup("room_test_000", "test_018_bicycle", 2, 3.0, 2.6, gloss=0.4),
}


@dataclass(frozen=True)
class Built:
    """A composed scene: uint8 pictures (160, 160, 3), coverage and metres (160, 160); remark: what is odd about it."""

    image: np.ndarray
    background: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    remark: str


def build(setup: Setup, data=None) -> Built:
    """Compose the scene. Where the object cannot stand it is drawn all the same, and `remark` says why not."""
    room = load_room(setup.room, data=data)
    row = nearest_distance(cutout_distances(setup.object, data), setup.distance)
    cutout = load_cutout(setup.object, setup.yaw, row, data)
    shadow, gain = setup.shadow * LEVELS[setup.gap].shadow, room.brightness / USUAL_BRIGHTNESS
    composite = compose(room, cutout, setup.distance, setup.azimuth, setup.flip, shadow, gain, setup.gloss)
    draws = Draws(setup.seed, "live", 0)
    strengths = Strengths(setup.light, setup.noise, setup.compression, setup.motion)
    image, background = shoot(composite.image, composite.background, setup.gap, draws, strengths)
    return Built(image, background, composite.mask, composite.depth, remark(room, cutout, setup, composite))


def remark(room, cutout, setup: Setup, composite) -> str:
    """Why such a scene is not among the data, in words; nothing if it could be."""
    if not composite.mask.any():
        return "The object is out of the picture, or hidden."
    if not is_free(room, footprint(room, cutout.size, cutout.yaw, setup.distance, setup.azimuth)):
        return "The object stands in a wall or in furniture: samples of the data never do."
    column, line, _ = floor_point(room.pitch, setup.distance, setup.azimuth)
    if not (0 <= column < IMAGE_SIZE and 0 <= line < IMAGE_SIZE) or composite.inside < MIN_INSIDE:
        return "The object's foot, or most of it, is outside the picture: samples of the data never are."
    return ""


def draw_scene(scene: Built, pixel=None) -> dict[str, bytes]:
    """The four pictures of a sample as PNG. pixel: (column, row) to mark with a cross."""
    tiles = {
        "background": scene.background,
        "image": scene.image,
        "mask": np.repeat(to_bytes(scene.mask)[..., None], 3, axis=2),
        "depth": plots.color_depth(scene.depth, LIMITS),
    }
    return {name: to_png(tile, pixel) for name, tile in tiles.items()}


@dataclass(frozen=True)
class Played:
    """What network and baseline make of a scene: probabilities, metres, and their scores."""

    mask: np.ndarray
    depth: np.ndarray
    threshold_mask: np.ndarray
    scores: dict


def play(scene: Built, predictor, threshold: float = 0.5, baseline: DifferenceThreshold | None = None) -> Played:
    """Predict. threshold: on the network's probability; baseline: whose mask stands beside it."""
    mask, depth = predictor.predict(scene.image, scene.background)
    if mask is None or depth is None:
        raise ValueError("play: expected a network that predicts mask and depth, found one without the "
                         f"{'mask' if mask is None else 'depth'}")  # fmt: skip
    pair = (torch.from_numpy(x).permute(2, 0, 1)[None] / 255 for x in (scene.image, scene.background))
    rough = (baseline or DifferenceThreshold(0.1))(*pair)[0][0, 0].numpy()
    truth, found, other = (torch.from_numpy(np.float32(x))[None, None] for x in (scene.mask, mask > threshold, rough))
    scores = {"IoU": iou(found, truth).item(), "IoU of the threshold": iou(other, truth).item()}
    meters = (torch.from_numpy(np.clip(x, 0, FARTHEST))[None, None] for x in (depth, scene.depth))
    scores["depth RMSE, m"] = rmse(*meters).item()
    return Played(np.float32(mask > threshold), depth, rough, scores)


def draw_play(scene: Built, played: Played) -> dict[str, bytes]:
    """The scene and its predictions as PNG, masks compared with the truth: blue hit, yellow missed, red false."""
    error = np.clip(np.abs(played.depth - np.minimum(scene.depth, FARTHEST)), 0, 2) / 2
    tiles = {
        "image": scene.image,
        "background": scene.background,
        "mask": to_bytes(plots.compare_masks(scene.image, scene.mask, played.mask)),
        "threshold": to_bytes(plots.compare_masks(scene.image, scene.mask, played.threshold_mask)),
        "depth": plots.color_depth(played.depth, LIMITS),
        "true depth": plots.color_depth(scene.depth, LIMITS),
        "depth error": to_bytes(colormaps["cividis"](error)[..., :3]),
    }
    return {name: to_png(tile) for name, tile in tiles.items()}


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as uint8, rounded."""
    return np.uint8(np.clip(picture, 0, 1) * 255 + 0.5)


def to_png(picture: np.ndarray, pixel=None) -> bytes:
    """PNG of `TILE` pixels, without blending neighbouring pixels."""
    factor = max(1, math.ceil(TILE / max(picture.shape[:2])))
    large = np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)
    if pixel is not None:
        center = tuple(int((x + 0.5) * factor) for x in pixel)
        for color, width in ((0, 0, 0), 5), ((255, 255, 255), 2):
            cv2.drawMarker(large, center, color, cv2.MARKER_CROSS, 24, width)
    done, code = cv2.imencode(".png", cv2.cvtColor(large, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return code.tobytes()
