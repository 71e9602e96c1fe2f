"""The light and the colours of a sample.

Colours: there are few training rooms, and a network that recognises the green carpet need not look where the floor
ends. If colours tell it nothing, it must learn shapes. Light: shadows and reflections belong to no mask, and composites
have few.
"""

import math
from typing import Any

import cv2
import numpy as np

from ..draws import Draws
from .library import Room
from .projection import Projection
from .shadows import Lamp

# An object is as bright as its cutout times the room's brightness over this, with a spread (of the logarithm):
# measured on path-traced training objects in training rooms by data/render/render_scenes.py --light.
USUAL_BRIGHTNESS = 0.67
BRIGHTNESS_SPREAD = 0.19
PASTED = 0.25  # share of the samples in real light that stay as pasted
LINEAR = 0.5  # share of the others whose outlines mix in linear light
GLOSSY = 0.5  # share of the others whose floor mirrors
MOST_GLOSS = 0.4  # share of the light that such a floor mirrors at most
HUE = 30.0  # degrees, standard deviation of the turn of all hues
SATURATION, BRIGHTNESS, GAMMA = 0.35, 0.1, 0.2  # standard deviations of the factors' logarithms
LIGHTS = ("sky", "lamps", "mixed")  # no sample with lamps, all of them, or a share
LAMP_SHARE = 0.4  # share of the samples that have lamps when `light` is "mixed"
STRONG_SHARE = 0.5  # share of these samples that have one strong lamp
SUN_DISTANCE, SUN_RADIUS = 20.0, 0.1  # metres: far enough away for the shadow's rays to be parallel, half a degree wide
GRAY = np.full((3, 3), 1 / 3)


def draw_light(
    brightness: float, draws: Draws, shadow: bool, always_linear: bool, real_light: bool, recolor: bool
) -> dict[str, Any]:
    """Options of `compose` for a sample in a room of this brightness, at this level and with the dataset's options."""
    # The object follows the room's brightness, as far as path-traced objects do.
    gain = brightness / USUAL_BRIGHTNESS * math.exp(draws.fork("light").normal(0, BRIGHTNESS_SPREAD))
    options = {"gain": min(1.5, max(0.5, gain)), "shadow": float(shadow)}
    if real_light:
        options |= draw_real_light(draws.fork("real light"), always_linear)
    if recolor:
        options["colors"] = draw_color_matrix(draws.fork("object's colors"))
    return options


def draw_real_light(draws: Draws, always_linear: bool) -> dict[str, float | bool]:
    """Shadow, gloss and mixing for `compose`: the effects of real light, whatever the gap.

    Without this, a network never sees noiseless pairs with shadows, such as the scenes at gap "none". There all
    outlines mix in linear light (`always_linear`), since a shadow implies that nothing was pasted.
    """
    if draws.uniform() < PASTED:
        return {"shadow": 0.0, "gloss": 0.0, "linear": False}
    shadow = draws.uniform(0.3, 1.0)
    gloss = MOST_GLOSS * draws.uniform() ** 2 if draws.uniform() < GLOSSY else 0.0
    return {"shadow": shadow, "gloss": gloss, "linear": always_linear or draws.uniform() < LINEAR}


def draw_lamps(room: Room, projection: Projection, draws: Draws, strong: bool = False) -> tuple[Lamp, ...]:
    """Lamps in the room and their shares of its light; the rest is the sky's.

    One to three lamps together give 30 to 95 % of the light, or one `strong` lamp gives 75 to 97 %.
    """
    if strong:
        return (draw_lamp(room, projection, draws, draws.uniform(0.75, 0.97)),)
    count = 1 + (draws.uniform() < 0.45) + (draws.uniform() < 0.25)
    weights = [draws.uniform(0.3, 1.0) for _ in range(count)]
    total = draws.uniform(0.3, 0.95)
    return tuple(draw_lamp(room, projection, draws, total * weight / sum(weights)) for weight in weights)


def draw_lamp(room: Room, projection: Projection, draws: Draws, share: float) -> Lamp:
    """A ceiling panel, a bulb, a window or a low sun. Rooms' heights are not stored: ceilings are at 2.3 to 2.9 m."""
    x0, x1, z0, z1 = room.box
    heading = math.radians(projection.azimuth + room.pan)
    anchor = projection.distance * math.sin(heading), projection.distance * math.cos(heading)
    kind = draws.choice(("panel", "bulb", "window", "sun"), (0.25, 0.35, 0.2, 0.2))
    x, z = draws.uniform(x0, x1), draws.uniform(max(z0, -2.0), z1)
    if kind == "panel":
        return Lamp((x, draws.uniform(2.3, 2.9), z), draws.uniform(0.1, 0.4), share)
    if kind == "window":
        side = (x0, x1)[draws.integer(2)]
        return Lamp((side, draws.uniform(1.0, 2.0), z), draws.uniform(0.2, 0.6), share)
    if kind == "sun":
        turn, rise = draws.uniform(0, 2 * math.pi), math.radians(draws.uniform(15, 60))
        away = SUN_DISTANCE * math.cos(rise)
        above = SUN_DISTANCE * math.sin(rise)
        return Lamp((anchor[0] + away * math.cos(turn), above, anchor[1] + away * math.sin(turn)), SUN_RADIUS, share)
    height = draws.uniform(1.2, 2.6)
    # A bulb stays clear of the object.
    least = 0.3 + max(projection.cutout.size) / 2
    away = math.hypot(x - anchor[0], z - anchor[1])
    if away < least and height < projection.cutout.size[2] + 0.3:
        height = projection.cutout.size[2] + 0.5
    return Lamp((x, height, z), draws.uniform(0.02, 0.1), share)


def draw_color_matrix(draws: Draws) -> np.ndarray:
    """A random linear change of hue, saturation and brightness, float64 (3, 3), which leaves gray gray."""
    # The hues turn about the gray axis of the RGB cube (Rodrigues' formula).
    angle = math.radians(draws.normal(0, HUE))
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turned = math.cos(angle) * (np.eye(3) - GRAY) + math.sin(angle) * cross
    saturation, brightness = (math.exp(draws.normal(0, spread)) for spread in (SATURATION, BRIGHTNESS))
    return brightness * (GRAY + min(saturation, 2.0) * turned)


def recolor(pictures: list[np.ndarray], draws: Draws) -> list[np.ndarray]:
    """Change all uint8 (H, W, 3) pictures by the same random colour matrix and gamma: equal pixels stay equal."""
    matrix = draw_color_matrix(draws).astype(np.float32)
    gamma = math.exp(min(0.6, max(-0.6, draws.normal(0, GAMMA))))
    curve = np.uint8(np.rint(255 * (np.arange(256) / 255) ** gamma))
    return [cv2.LUT(cv2.transform(picture, matrix), curve) for picture in pictures]
