"""A scene of your own: compose it, and let the network predict it. Built by the widgets of notebooks 01 and 07."""

from dataclasses import dataclass

import numpy as np
import torch

from ...baselines import DifferenceThreshold
from ...camera import IMAGE_SIZE, MAX_DEPTH, floor_point
from ...data.compose import compose
from ...data.library import Cutout, Room, cutout_distances, load_cutout, load_room, nearest_distance
from ...data.light import USUAL_BRIGHTNESS
from ...data.placement import MIN_INSIDE, footprint, is_free
from ...data.projection import project_cutout
from ...data.shadows import Lamp, light_factor, object_points
from ...data.shots import LEVELS, draw_level, shoot
from ...draws import Draws
from ...files import data_dir
from ...metrics import iou, rmse

DEPTH_LIMITS = (0.0, MAX_DEPTH)  # metres: the range of all depth pictures' colours, so that they can be compared


@dataclass(frozen=True)
class Setup:
    """The object of a scene and its place, and how the two shots differ."""

    room: str
    object: str
    yaw: int = 0  # which of the object's eight views
    azimuth: float = 0.0  # degrees to the right of the camera's axis
    distance: float = 3.0  # metres from the eye to the object's foot, along the floor
    flip: bool = False  # whether the object is mirrored
    gap: str = "tripod"
    seed: int = 0  # a different seed draws a different gap
    light: float = 1.0  # strengths of the gap's parts, 1 as in the data: see `shots.shoot`
    noise: float = 1.0
    compression: float = 1.0
    motion: float = 1.0
    shadow: float = 1.0  # strength of the contact shadow, 0 to 1
    gloss: float = 0.0  # how much of the object the floor mirrors, 0 to 1
    lamp: float = 0.0  # share of the light that one lamp gives, 0 (there is none) to 1
    lamp_x: float = 1.5  # metres to the right of the camera, in room axes
    lamp_height: float = 2.0  # metres above the floor
    lamp_z: float = 2.0  # metres ahead of the camera
    lamp_radius: float = 0.05  # metres


# Scenes of test rooms and test objects that are hard for one reason each. They were chosen by hand and show what may
# happen, not how often; notebook 07 measures that.
HARD_SCENES = {
    "nothing special": Setup("room_test_003", "test_002_chair", 2, -8.0, 2.6),
    "camouflaged object": Setup("room_test_018", "test_007_bookcase", 7, -1.0, 4.2),
    "lamp behind": Setup(
        "room_test_003", "test_002_chair", 2, -8.0, 2.6, lamp=0.8, lamp_x=-1.2, lamp_height=1.6, lamp_z=3.8
    ),
    "low sun": Setup(
        "room_test_003", "test_002_chair", 2, -8.0, 2.6, lamp=0.8, lamp_x=-4.0, lamp_height=1.5, lamp_z=3.5
    ),
    "window behind": Setup("room_test_044", "test_020_girl", 6, -8.5, 3.2, flip=True),
    "heavy noise": Setup("room_test_003", "test_002_chair", 2, -8.0, 2.6, noise=8.0),
    "shifted camera": Setup("room_test_003", "test_002_chair", 2, -8.0, 2.6, gap="handheld", seed=5, motion=4.0),
    "mirror in the floor": Setup("room_test_000", "test_018_bicycle", 2, 3.0, 2.6, gloss=0.4),
}


@dataclass(frozen=True)
class Scene:
    """A composed scene: uint8 pictures (160, 160, 3), coverage and metres (160, 160).

    `remark` says why the data cannot hold such a scene; it is empty if they can.
    """

    image: np.ndarray
    background: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    remark: str


def build_scene(setup: Setup) -> Scene:
    """Compose a scene. An object that cannot stand there is drawn anyway, and `remark` says why it cannot."""
    room = load_room(setup.room)
    view = nearest_distance(cutout_distances(setup.object), setup.distance)
    cutout = load_cutout(setup.object, setup.yaw, view)
    draws = Draws(setup.seed, "live", 0)
    level = LEVELS[draw_level(setup.gap, draws.fork("level"))]
    shadow = setup.shadow if level.shadow else 0.0
    gain = room.brightness / USUAL_BRIGHTNESS
    pose = room, cutout, setup.distance, setup.azimuth
    light, projection = None, project_cutout(*pose)
    if setup.lamp:
        lamp = Lamp((setup.lamp_x, setup.lamp_height, setup.lamp_z), setup.lamp_radius, setup.lamp)
        light = light_factor(room, projection, object_points(setup.object, str(data_dir())), [lamp])
        shadow *= 1 - setup.lamp
    composite = compose(*pose, setup.flip, shadow, gain, setup.gloss, light=light, projection=projection)
    strengths = {name: getattr(setup, name) for name in ("light", "noise", "compression", "motion")}
    image, background = shoot(composite.image, composite.background, setup.gap, draws, **strengths)
    return Scene(image, background, composite.mask, composite.depth, _remark(room, cutout, setup, composite))


def _remark(room: Room, cutout: Cutout, setup: Setup, composite) -> str:
    if not composite.mask.any():
        return "The object is out of the picture, or hidden."
    if not is_free(room, footprint(room, cutout.size, cutout.yaw, setup.distance, setup.azimuth)):
        return "The object stands in a wall or in furniture, as it never does in the data."
    column, row, _ = floor_point(room.pitch, setup.distance, setup.azimuth)
    if not (0 <= column < IMAGE_SIZE and 0 <= row < IMAGE_SIZE) or composite.about["inside"] < MIN_INSIDE:
        return "The object's foot, or most of it, is outside the picture, as it never is in the data."
    return ""


@dataclass(frozen=True)
class ScenePrediction:
    """The masks (0 or 1) of network and difference threshold, the network's depth in metres, and their scores."""

    mask: np.ndarray
    depth: np.ndarray
    threshold_mask: np.ndarray
    scores: dict[str, float]


def predict_scene(
    scene: Scene, predictor, threshold: float = 0.5, baseline: DifferenceThreshold | None = None
) -> ScenePrediction:
    """Predict a scene's mask and depth with a network for both, and score them against the truth.

    The network's mask is where its probability is above the threshold. The fitted baseline's mask is beside it.
    """
    probability, depth = predictor.predict(scene.image, scene.background)
    pair = [torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 for picture in (scene.image, scene.background)]
    mask = np.float32(probability > threshold)
    threshold_mask = (baseline or DifferenceThreshold(0.1))(*pair)[0][0, 0].numpy()
    scores = {
        "IoU": score(iou, mask, scene.mask),
        "IoU of the threshold": score(iou, threshold_mask, scene.mask),
        "depth RMSE, m": score(rmse, depth.clip(*DEPTH_LIMITS), scene.depth.clip(*DEPTH_LIMITS)),
    }
    return ScenePrediction(mask, depth, threshold_mask, scores)


def score(metric, prediction: np.ndarray, truth: np.ndarray) -> float:
    """Compute a metric of two maps (H, W)."""
    return metric(*(torch.from_numpy(np.float32(values))[None, None] for values in (prediction, truth))).item()
