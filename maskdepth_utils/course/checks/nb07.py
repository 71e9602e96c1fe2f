"""Checks of the exercises in notebook 07: size and distance, a scene that fails, an order, a cure."""

import functools
import itertools
from dataclasses import replace

import numpy as np

from ...files import data_dir, read_dict
from ...inference.predictor import Prediction, load_pretrained
from ...metrics import iou
from .. import widgets
from ..widgets.scene import score
from .compare import take_parts
from .verdict import Wrong, as_number, call_answer, describe_error, describe_value, report_verdict, require

CHEST = widgets.Setup("room_test_003", "test_015_chest", 2, -8.0, 2.6)  # of `check_distance`
FAILED, LEAST_PIXELS = 0.5, 100  # of `check_break`: IoU, pixels of the object
STRENGTHS = ("light", "noise", "compression", "motion")
LIMITS = dict.fromkeys(STRENGTHS, 2) | {"shadow": 1, "gloss": 0, "lamp": 0, "distance": 20}
SCENES = (  # of `check_cure`: four objects that are easy to find, each with its own gap
    widgets.Setup("room_test_010", "test_010_sofa", 1, 0.0, 3.5, seed=1),
    widgets.Setup("room_test_003", "test_002_chair", 2, -8.0, 2.6, seed=2),
    widgets.Setup("room_test_018", "test_007_bookcase", 7, -1.0, 4.2, seed=3),
    widgets.Setup("room_test_020", "test_015_chest", 0, 3.0, 3.0, seed=4),
)
STRONG = 4.0  # strength of each part
CURED, NO_WORSE = 0.8, 0.03  # IoU after the cure, and the loss allowed where nothing moved

build = functools.cache(widgets.build_scene)
shipped = functools.cache(load_pretrained)


def mask_iou(mask: np.ndarray, scene) -> float:
    return score(iou, mask > 0.5, scene.mask)


@functools.cache
def shipped_iou(setup: widgets.Setup) -> float:
    return mask_iou(shipped().predict(build(setup).image, build(setup).background).mask, build(setup))


@report_verdict
def check_distance(my_distance):
    """The distance in metres at which the test set's chest covers half the area that it covers at 2.6 m."""
    distance = as_number(my_distance, "my_distance", 0.5, 20, "metres")
    near, far = (build(replace(CHEST, distance=d)).mask.sum() for d in (CHEST.distance, distance))
    share = far / near
    hint = "An area has two dimensions: if both shrink with the distance, what becomes of their product?"
    words = f"it covers {share:.0%} of what it covers at {CHEST.distance:g} m, expected 45 to 55 %"
    require(abs(share - 0.5) <= 0.05, f"at {distance:g} m", words, hint)
    return f"At {distance:g} m the chest covers {share:.0%} of what it covers at {CHEST.distance:g} m"


@report_verdict
def check_break(my_setup):
    """A widgets.Setup that the data could hold, but for strengths up to 2, in which the network's IoU is below 0.5."""
    where = "my_setup"
    right = isinstance(my_setup, widgets.Setup)
    require(right, where, f"expected a widgets.Setup, found {describe_value(my_setup)}")
    for name, most in LIMITS.items():
        as_number(getattr(my_setup, name), f"{where}, {name}", 0, most)
    try:
        scene = build(my_setup)
    except Exception as error:
        raise Wrong(where, f"no such scene can be made: {describe_error(error)}") from error
    hint = "Try another distance or azimuth: the object has to stand free."
    require(not scene.remark, where, scene.remark.rstrip("."), hint)
    pixels = int((scene.mask > 0.5).sum())
    words = f"the object has {pixels} pixels, expected at least {LEAST_PIXELS}"
    require(pixels >= LEAST_PIXELS, where, words, "Move it nearer to the camera.")
    found = shipped_iou(my_setup)
    hint = "Which objects are thin, or small at that distance? What happens to their edges if the camera moves?"
    require(found < FAILED, where, f"IoU {found:.2f}, expected below {FAILED}", hint)
    return f"The network's IoU is {found:.2f}, on an object of {pixels} pixels"


@report_verdict
def check_order(my_order):
    """The names of four parts of the gap, ordered by the IoU they cost at four times their strength, least first."""
    take_parts(my_order, STRENGTHS, "my_order")
    order = [str(part) if isinstance(part, str) else describe_value(part) for part in my_order]
    words = f"expected each of {', '.join(STRENGTHS)} once, found {', '.join(order)}"
    require(sorted(order) == sorted(STRENGTHS), "my_order", words)
    stored = read_dict(data_dir() / "results" / "gap_parts.json")  # by notebooks/tools/measure_exercises.py
    means = {part: np.mean(values) for part, values in stored["iou"].items()}
    hint = "What is left in the pictures? Try both in the playground, at that strength, in several rooms."
    for first, second in itertools.combinations(order, 2):
        words = f"{second} comes after {first}, but costs less: mean IoU {means[second]:.2f} against {means[first]:.2f}"
        require([second, first] not in stored["told_apart"], "my_order", words, hint)
    table = ", ".join(f"{part} {means[part]:.2f}" for part in order)
    return f"Mean IoU of {len(stored['rooms'])} test scenes at strength {STRONG:g}: {table}"


@report_verdict
def check_cure(my_predict):
    """my_predict(predictor, image, background) -> a Prediction that is right although the camera has moved."""
    gained = []
    for setup in SCENES:
        moved = replace(setup, gap="handheld", motion=STRONG)
        for case, camera in ((moved, "after the camera has moved"), (setup, "from a tripod")):
            scene, plain = build(case), shipped_iou(case)
            where = f"{setup.object.split('_', 2)[2]}, {camera}"
            found = call_answer(my_predict, shipped(), scene.image, scene.background, where=where)
            mask = found.mask if isinstance(found, Prediction) else found
            right = mask is not found and isinstance(mask, np.ndarray) and mask.shape == scene.mask.shape
            words = f"expected a Prediction with a mask of {scene.mask.shape}, found {describe_value(mask)}"
            require(right, where, words)
            after = mask_iou(mask, scene)
            least = CURED if case is moved else plain - NO_WORSE
            hint = "The mask has to fit the image: it is the background that may be moved."
            words = f"IoU {after:.2f}, expected at least {least:.2f} (without a cure {plain:.2f})"
            require(after >= least, where, words, hint)
            if case is moved:
                gained.append((plain, after))
    plain, after = np.mean(gained, axis=0)
    verdict = f"After the camera has moved, mean IoU {after:.2f} instead of {plain:.2f}"
    return f"{verdict}; from a tripod no worse than before"
