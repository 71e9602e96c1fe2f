"""Compose a scene with sliders: the composer of notebooks 01 and 07, and the playground of notebook 07."""

import html

import cv2
import ipywidgets as w
import numpy as np
from matplotlib import colormaps

from ... import plots
from ...data.library import object_names, room_names
from ...data.shots import LEVELS
from .parts import Tiles, assemble, checkbox, dropdown, enlarge, follow_preset, read_settings, slider, to_bytes, to_gray
from .scene import DEPTH_LIMITS, HARD_SCENES, Setup, build_scene, predict_scene

SCENE_CAPTIONS = {
    "background": ("Background", "the empty room"),
    "image": ("Image", "the photo with the object"),
    "mask": ("Mask", "the object's pixels are white"),
    "depth": ("Depth", "bright is near, dark is 10 m away"),
}
PREDICTION_CAPTIONS = {
    "image": ("Image", "the photo with the object"),
    "background": ("Background", "the empty room"),
    "mask": ("Network's mask", "blue: found, yellow: missed, vermilion: false alarm"),
    "threshold": ("Difference threshold", "blue: found, yellow: missed, vermilion: false alarm"),
    "depth": ("Network's depth", "bright is near, dark is 10 m away"),
    "true depth": ("True depth", "bright is near, dark is 10 m away"),
    "depth error": ("Depth error", "dark: none, yellow: 2 m or more"),
}
OWN_SCENE = "your own scene"
GROUPS = {
    "Scene": ("room", "object", "yaw", "azimuth", "distance", "flip", "shadow", "gloss"),
    "Lamp": ("lamp", "lamp_x", "lamp_height", "lamp_z", "lamp_radius"),
    "Gap between the two shots": ("gap", "seed", "light", "noise", "compression", "motion"),
}


def composer(split: str = "test", **start) -> w.VBox:
    """Choose room, object, place and gap; see background, image, mask and depth, and the depth of any pixel.

    `split` says which rooms and objects are offered; `start` has initial values for fields of `Setup`.
    """
    controls = scene_controls(split)
    cross = {"column": slider("column", 80, 0, 159, 1), "row": slider("row", 120, 0, 159, 1)}
    tiles = Tiles(SCENE_CAPTIONS)

    def update():
        scene = build_scene(current_setup(controls))
        column, row = cross["column"].value, cross["row"].value
        depth = plots.color_depth(scene.depth, DEPTH_LIMITS)
        pictures = {"background": scene.background, "image": scene.image, "mask": to_gray(scene.mask), "depth": depth}
        for name, picture in pictures.items():
            pictures[name] = large = enlarge(picture)
            center = [int((place + 0.5) * large.shape[0] / picture.shape[0]) for place in (column, row)]
            cv2.drawMarker(large, center, (0, 0, 0), cv2.MARKER_CROSS, 24, 5)
            cv2.drawMarker(large, center, (255, 255, 255), cv2.MARKER_CROSS, 24, 2)
        tiles.show(pictures)
        what = "the object" if scene.mask[row, column] > 0.5 else "the room"
        return f"Under the cross: {what}, <b>{scene.depth[row, column]:.2f} m</b> away. {html.escape(scene.remark)}"

    groups = GROUPS | {"How far away is the pixel under the cross?": tuple(cross)}
    return assemble(controls | cross, update, tiles, start=start, groups=groups)


def playground(predictor, baseline=None) -> w.VBox:
    """A test scene beside the network's prediction, a fitted `DifferenceThreshold`'s, and the scores of both."""
    threshold = slider("mask above", 0.5, 0.02, 0.98, 0.02)
    extra = {"preset": dropdown("break it", [*HARD_SCENES, OWN_SCENE]), "threshold": threshold}
    controls = scene_controls("test") | extra
    tiles = Tiles(PREDICTION_CAPTIONS)

    def follow(changed):
        follow_preset(controls, changed, HARD_SCENES, OWN_SCENE)

    def update():
        scene = build_scene(current_setup(controls))
        prediction = predict_scene(scene, predictor, threshold.value, baseline)
        masks = {"mask": prediction.mask, "threshold": prediction.threshold_mask}
        depths = {"depth": prediction.depth, "true depth": scene.depth}
        error = np.abs(prediction.depth - scene.depth.clip(*DEPTH_LIMITS))
        tiles.show(
            {"image": scene.image, "background": scene.background}
            | {name: to_bytes(plots.compare_masks(scene.image, scene.mask, mask)) for name, mask in masks.items()}
            | {name: plots.color_depth(depth, DEPTH_LIMITS) for name, depth in depths.items()}
            | {"depth error": to_bytes(colormaps["cividis"](error / 2)[..., :3])}
        )
        scores = " · ".join(f"{name} <b>{value:.3f}</b>" for name, value in prediction.scores.items())
        return f"{scores}. {html.escape(scene.remark)}"

    start = {"preset": next(iter(HARD_SCENES))}
    return assemble(controls, update, tiles, start=start, follow=follow, groups={"Try this": tuple(extra)} | GROUPS)


def scene_controls(split: str) -> dict[str, w.Widget]:
    """One control for each field of `Setup`."""
    names = object_names(split)
    words = [name.split("_", 2)[2].replace("_", " ") for name in names]
    labels = [f"{word} ({name.split('_')[1]})" if words.count(word) > 1 else word for word, name in zip(words, names)]
    return {
        "room": dropdown("room", room_names(split)),
        "object": dropdown("object", zip(labels, names)),
        "yaw": slider("view (of 8)", 0, 0, 7, 1),
        "azimuth": slider("left to right, °", 0.0, -28, 28, 0.5),
        "distance": slider("distance, m", 3.0, 1.6, 7.0, 0.05),
        "flip": checkbox("mirrored"),
        "shadow": slider("contact shadow", 1.0, 0, 1, 0.1),
        "gloss": slider("floor mirrors", 0.0, 0, 0.6, 0.05),
        "lamp": slider("share of light", 0.0, 0, 0.9, 0.05),
        "lamp_x": slider("to the right, m", 1.5, -4, 4, 0.1),
        "lamp_height": slider("above floor, m", 2.0, 0.3, 2.9, 0.1),
        "lamp_z": slider("ahead, m", 2.0, -2, 8, 0.1),
        "lamp_radius": slider("radius, m", 0.05, 0, 0.5, 0.05),
        "gap": dropdown("gap", LEVELS, list(LEVELS).index("tripod")),
        "seed": slider("another gap", 0, 0, 20, 1),
        "light": slider("light change ×", 1.0, 0, 4, 0.25),
        "noise": slider("noise ×", 1.0, 0, 8, 0.25),
        "compression": slider("compression ×", 1.0, 0, 2.5, 0.25),
        "motion": slider("motion ×", 1.0, 0, 5, 0.25),
    }


def current_setup(controls: dict[str, w.Widget]) -> Setup:
    """The scene that a composer or playground currently shows: pass its `box.controls`."""
    return read_settings(Setup, controls)

