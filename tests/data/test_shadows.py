"""Shadows of lamps fall where geometry and path tracing put them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.data.library import cutout_distances, load_cutout, load_room, nearest_distance
from maskdepth_utils.data.light import draw_lamps
from maskdepth_utils.data.projection import project_cutout
from maskdepth_utils.data.shadows import Lamp, hidden_share, light_factor, object_points
from maskdepth_utils.draws import Draws
from maskdepth_utils.files import data_dir, entries

FIXTURE = Path(__file__).parents[1] / "fixtures" / "shadows.npz"
LAMP = Lamp((-1.0, 2.2, 1.0), 0.05, 0.6)


def stand(room_name, name, yaw, distance, azimuth):
    """A room, an object's projection into it, and the object's points."""
    yaw_number = entries("objects", None)[1][name]["yaws"].index(yaw)
    cutout = load_cutout(name, yaw_number, nearest_distance(cutout_distances(name), distance))
    room = load_room(room_name)
    return room, project_cutout(room, cutout, distance, azimuth), object_points(name, str(data_dir()))


@pytest.fixture(scope="module")
def chair():
    name = "test_003_table"
    return stand("room_test_007", name, entries("objects", None)[1][name]["yaws"][0], 3.0, 0.0)


def test_a_plate_halfway_to_the_lamp_casts_a_shadow_twice_as_large():
    side = np.arange(-0.25, 0.251, 0.02)
    plate = np.stack([*np.meshgrid(side, side), np.full((26, 26), 3.0)], -1).reshape(-1, 3).astype(np.float32)
    place = np.linspace(-1, 1, 101)
    wall = np.stack([*np.meshgrid(place, place), np.full((101, 101), 4.0)], -1).astype(np.float32)
    hidden = hidden_share(wall, plate, np.array([0.0, 0.0, 2.0]), 0.0, 1)
    expected = (np.abs(wall[..., 0]) <= 0.5) & (np.abs(wall[..., 1]) <= 0.5)
    assert (expected & (hidden == 1)).sum() / (expected | (hidden == 1)).sum() > 0.94
    # A lamp of 0.2 m has a penumbra as wide as itself: half of it is hidden at the edge.
    soft = hidden_share(wall, plate, np.array([0.0, 0.0, 2.0]), 0.1, 64)
    assert soft[50, 50] == 1 and soft[50, 0] == 0 and 0.4 < soft[50, 75] < 0.8
    # What is nearer to the lamp than the plate, or behind the lamp, is not in its shadow.
    assert not hidden_share(wall - np.float32([0, 0, 1.5]), plate, np.array([0.0, 0.0, 2.0]), 0.0, 1).any()
    assert not hidden_share(wall - np.float32([0, 0, 3]), plate, np.array([0.0, 0.0, 2.0]), 0.0, 1).any()


def test_light_adds_up(chair):
    linear = lambda *lamps: light_factor(*chair, lamps).astype(float) ** 2.2  # noqa: E731
    whole, part = linear(LAMP), linear(replace(LAMP, share=0.2))
    assert whole.min() == pytest.approx(1 - 0.6, abs=0.01) and whole.max() == pytest.approx(1)
    np.testing.assert_allclose(1 - part, (1 - whole) / 3, atol=0.01)
    other = replace(LAMP, position=(1.5, 2.0, 2.0), share=0.3, radius=0.0)
    alone = [linear(replace(lamp, radius=0.0)) for lamp in (LAMP, other)]
    np.testing.assert_allclose(linear(replace(LAMP, radius=0.0), other), sum(alone) - 1, atol=0.01)


def test_shadows_agree_with_path_tracing():
    """Rendered by data/render/render_hard_light.py shadows: where the lamp's direct light is darker by 10 %."""
    fixture = np.load(FIXTURE, allow_pickle=False)
    overlaps, in_all_light = [], []
    for row in range(len(fixture["room"])):
        values = {key: fixture[key][row] for key in fixture}
        place = (str(values["object"]), *(float(values[key]) for key in ("yaw", "distance", "azimuth")))
        room, projection, points = stand(str(values["room"]), *place)
        outside = ~np.unpackbits(values["mask"], axis=-1).astype(bool) & (projection.mask < 0.02)
        for key, share, found in (("direct", 1.0, overlaps), ("shadow", float(values["share"]), in_all_light)):
            true = np.unpackbits(values[key], axis=-1).astype(bool)
            lamp = Lamp(tuple(values["position"]), float(values["radius"]), share)
            ours = light_factor(room, projection, points, [lamp]) ** 2.2 < 0.9
            found.append((ours & true & outside).sum() / ((ours | true) & outside).sum())
    print(f"IoU of {len(overlaps)} shadows: median {np.median(overlaps):.3f}, worst {min(overlaps):.3f}")
    print(f"where bounced light and the sky's count, too: median {np.median(in_all_light):.3f}")
    assert len(overlaps) >= 40 and np.median(overlaps) >= 0.80


def test_lamps_change_nothing_but_the_rooms_light():
    sky, lamps, mixed = (MaskDepthDataset("train", gap="none", light=light) for light in ("sky", "lamps", "mixed"))
    darker, lit = 0, 0
    for index in range(0, 400_000, 20_011):
        a, b = sky.shot(index), lamps.shot(index)
        assert np.array_equal(a.mask, b.mask) and np.array_equal(a.depth, b.depth)
        assert np.array_equal(a.background, b.background)
        assert np.array_equal(a.image[a.mask == 1], b.image[b.mask == 1])
        assert (b.image <= a.image).all()
        darker += (b.image < cv2.multiply(a.image, (0.95,) * 3)).any(-1).mean() > 0.01
        lit += not np.array_equal(mixed.shot(index).image, a.image)
    assert darker >= 12 and 3 <= lit <= 14
    assert lamps.settings["light"] == "lamps" and "light" not in sky.settings


def test_lamps_give_the_shares_of_the_light_that_are_promised(chair):
    for index in range(200):
        draws = Draws(0, "train", index)
        usual, strong = ([lamp.share for lamp in draw_lamps(*chair[:2], draws, strong)] for strong in (False, True))
        assert 1 <= len(usual) <= 3 and 0.3 <= sum(usual) <= 0.95
        assert len(strong) == 1 and 0.75 <= strong[0] <= 0.97
