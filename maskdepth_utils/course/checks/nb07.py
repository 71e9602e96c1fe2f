"""Checks of the exercises in notebook 07: size and distance, a scene that fails, an order, a cure. See checks.py."""

import functools
from dataclasses import replace

import numpy as np

from ...inference.predictor import load_pretrained
from .. import widgets
from .verdict import Wrong, ask, describe, number, verdict

CHEST = widgets.Setup("room_test_003", "test_015_chest", 2, -8.0, 2.6)  # of exercise A
FAILED, MOST, LEAST_PIXELS = 0.5, 2.0, 100  # exercise B: IoU, strengths of the gap, pixels of the object
STRENGTHS = ("light", "noise", "compression", "motion")
SCENES = (  # of exercises C and D: four objects that are easy to find, each with a gap of its own
    widgets.Setup("room_test_010", "test_010_sofa", 1, 0.0, 3.5, seed=1),
    widgets.Setup("room_test_003", "test_002_chair", 2, -8.0, 2.6, seed=2),
    widgets.Setup("room_test_018", "test_007_bookcase", 7, -1.0, 4.2, seed=3),
    widgets.Setup("room_test_020", "test_015_chest", 0, 3.0, 3.0, seed=4),
)
STRONG, TOLD_APART = 4.0, 0.05  # how strong each is, and which difference of IoU decides an order
CURED, NO_WORSE = 0.8, 0.03  # exercise D: IoU after the cure, and what it may cost where nothing moved


@functools.cache
def shipped():
    """The shipped network, loaded once."""
    return load_pretrained()


@functools.cache
def score(setup: widgets.Setup) -> float:
    """The shipped network's mask IoU on a scene."""
    return widgets.predict_scene(widgets.build_scene(setup), shipped()).scores["IoU"]


@verdict
def check_distance(my_distance):
    """The distance in metres at which the chest of the test set covers half of what it covers at 2.6 m."""
    distance = number(my_distance, "my_distance")
    if not 0.5 <= distance <= 20:
        raise Wrong("my_distance", f"expected metres from 0.5 to 20, found {distance:g}")
    near, far = (widgets.build_scene(replace(CHEST, distance=d)).mask.sum() for d in (CHEST.distance, distance))
    share = far / near
    if abs(share - 0.5) > 0.05:
        hint = "Area has two directions: if both shrink with the distance, what becomes of their product?"
        words = f"it covers {share:.0%} of what it covers at {CHEST.distance:g} m, expected 50 %, give or take 5 %"
        raise Wrong(f"at {distance:g} m", words, hint)
    return f"At {distance:g} m the chest covers {share:.0%} of what it covers at {CHEST.distance:g} m"


@verdict
def check_break(my_setup):
    """A widgets.Setup that the data could hold, but for strengths up to 2, in which the network's IoU is below 0.5."""
    if not isinstance(my_setup, widgets.Setup):
        raise Wrong(
            "my_setup", f"expected a widgets.Setup, found {describe(my_setup)}", 'widgets.Setup("room_test_000", ...)'
        )
    if my_setup.gloss:
        raise Wrong("my_setup", f"expected no mirror, found gloss={my_setup.gloss:g}", "Mirrors were too easy.")
    for name in STRENGTHS:
        strength = getattr(my_setup, name)
        if not 0 <= strength <= MOST:
            raise Wrong("my_setup", f"expected {name} from 0 to {MOST:g}, found {strength:g}", "Be gentler.")
    scene = widgets.build_scene(my_setup)
    if scene.remark:
        raise Wrong("my_setup", scene.remark.rstrip("."), "Another distance or azimuth? It has to stand free.")
    pixels = int((scene.mask > 0.5).sum())
    if pixels < LEAST_PIXELS:
        raise Wrong("my_setup", f"the object has {pixels} pixels, expected at least {LEAST_PIXELS}", "Nearer.")
    found = score(my_setup)
    if found >= FAILED:
        hint = "Which objects are thin, or small at that distance? What happens to their edges if the camera moves?"
        raise Wrong("my_setup", f"IoU {found:.2f}, expected below {FAILED}", hint)
    return f"The network's IoU is {found:.2f}, on an object of {pixels} pixels"


@verdict
def check_order(my_order):
    """The names of four parts of the gap, from the one that costs least IoU at four times its strength to the worst."""
    if not isinstance(my_order, list | tuple):
        raise Wrong("my_order", f"expected a list of four names, found {describe(my_order)}")
    if sorted(map(str, my_order)) != sorted(STRENGTHS):
        raise Wrong("my_order", f"expected each of {', '.join(STRENGTHS)} once, found {', '.join(map(str, my_order))}")
    means = {part: mean_score(part) for part in STRENGTHS}
    for number_, first in enumerate(my_order):
        for second in my_order[number_ + 1 :]:
            if means[second] - means[first] > TOLD_APART:
                raise Wrong(
                    "my_order",
                    f"{second} stands after {first}, but costs less",
                    f"Try both at strength {STRONG:g}, all else at 1, on some scenes: what is left in the pictures?",
                )
    return f"Mean IoU of {len(SCENES)} scenes at strength {STRONG:g}: " + ", ".join(
        f"{part} {means[part]:.2f}" for part in my_order
    )


@functools.cache
def mean_score(part: str) -> float:
    """Mean IoU over the scenes with one part of the gap at its fourfold strength."""
    gap = "handheld" if part == "motion" else "tripod"
    return float(np.mean([score(replace(setup, gap=gap, **{part: STRONG})) for setup in SCENES]))


@verdict
def check_cure(my_predict):
    """my_predict(predictor, image, background) -> a Prediction that is right although the camera has moved.

    Four scenes with four times the data's motion: IoU 0.8 or more each. From a tripod: no worse than without.
    """
    gained = []
    for setup in SCENES:
        moved = replace(setup, gap="handheld", motion=STRONG)
        for case, words in ((moved, "after the camera has moved"), (setup, "from a tripod")):
            scene, plain = widgets.build_scene(case), score(case)
            where = f"{setup.object.split('_', 2)[2]}, {words}"
            found = ask(my_predict, shipped(), scene.image, scene.background, where=where)
            mask = getattr(found, "mask", None)
            if not isinstance(mask, np.ndarray) or mask.shape != scene.mask.shape:
                what = describe(found) if mask is None else f"a mask that is {describe(mask)}"
                raise Wrong(where, f"expected a Prediction with a mask of {scene.mask.shape}, found {what}")
            after = overlap(mask > 0.5, scene.mask > 0.5)
            least = CURED if case is moved else plain - NO_WORSE
            if after < least:
                hint = "The mask has to fit the image: it is the background that may be moved."
                raise Wrong(where, f"IoU {after:.2f}, expected at least {least:.2f} (without a cure {plain:.2f})", hint)
            if case is moved:
                gained.append((plain, after))
    plain, after = np.mean(gained, axis=0)
    return (
        f"After the camera has moved, mean IoU {after:.2f} instead of {plain:.2f}; from a tripod no worse than before"
    )


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two bool masks; 0 if both are empty."""
    return float((a & b).sum() / max((a | b).sum(), 1))
