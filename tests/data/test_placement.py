"""Objects stand on free floor, in view, large enough."""

import dataclasses

import numpy as np
import pytest

from maskdepth_utils.data.library import load_cutout, load_room
from maskdepth_utils.data.placement import footprint, is_free, place
from maskdepth_utils.draws import Draws


@pytest.fixture
def room(data):
    """A room of a simple plan, with a column, whose camera looks along its Z axis."""
    plan = {"box": (-2.5, 2.5, -1.0, 6.0), "obstacles": ((1.2, 1.6, 3.4, 3.8),)}
    return dataclasses.replace(load_room("room_train_000"), pan=0.0, **plan)


def test_a_footprint_is_where_the_object_stands(room):
    size = (0.8, 0.5, 1.1)
    corners = footprint(room, size, 0.0, 3.0, 0.0)
    np.testing.assert_allclose(corners, [[-0.4, 2.75], [0.4, 2.75], [0.4, 3.25], [-0.4, 3.25]])
    # turned by 90 degrees it is as wide as it was deep; panned to the right it stands to the right
    np.testing.assert_allclose(np.ptp(footprint(room, size, 90.0, 3.0, 0.0), axis=0), [0.5, 0.8], atol=1e-9)
    assert np.mean(footprint(dataclasses.replace(room, pan=10.0), size, 0.0, 3.0, 0.0), axis=0)[0] > 0


@pytest.mark.parametrize("yaw", [2, 4])
def test_the_footprint_turns_the_same_way_as_the_picture(room, yaw):
    """Turned to the left or right, a cabinet's nearest corner lies to one side: the same in picture and floor plan."""
    cutout = load_cutout("train_056_lower_cabinet", yaw, 0)
    relief = np.where(cutout.color[..., 3] == 255, cutout.relief, np.inf)
    column = np.unravel_index(relief.argmin(), relief.shape)[1] + 0.5 + cutout.x0
    nearest = min(footprint(room, cutout.size, cutout.yaw, 2.5, 0.0), key=lambda corner: corner[1])
    assert np.sign(nearest[0]) == np.sign(column)
    assert nearest[0] / nearest[1] == pytest.approx(column / cutout.focal, abs=0.01)


COLUMN = np.hypot(1.4, 3.6), np.degrees(np.arctan2(1.4, 3.6))  # distance and azimuth


@pytest.mark.parametrize("distance,azimuth,free", [(3, 0, True), (5.7, 0, True), (5.75, 0, False), (*COLUMN, False)])
def test_free_floor(room, distance, azimuth, free):
    """The wall is at 6 m, half of the object's depth and 3 cm are kept free."""
    assert is_free(room, footprint(room, (0.8, 0.5, 1), 0.0, distance, azimuth)) == free


@pytest.mark.parametrize("reach,free", [(0.55, True), (0.58, False)])  # 0.6 would touch, and 3 cm are kept
def test_a_square_on_its_tip_is_free_although_its_bounding_box_is_not(room, reach, free):
    tip = [(1.9, 4.1 - reach), (1.9 + reach, 4.1), (1.9, 4.1 + reach), (1.9 - reach, 4.1)]
    assert is_free(room, tip) == free  # the column's corner is at (1.6, 3.8)


def test_an_object_that_fits_in_one_corner_only_is_found(data):
    """Nearly all floor is taken: random draws fail, the grid of places does not."""
    plan = {"box": (-3.0, 2.0, -1.0, 5.0), "obstacles": ((-3, 2, -1, 2.6), (-3, 2, 3.6, 5))}
    room = dataclasses.replace(load_room("room_train_001"), **plan)
    placement = place(room, "train_008_chair", Draws(0, "train", 0))
    corners = footprint(room, placement.cutout.size, placement.cutout.yaw, placement.distance, placement.azimuth)
    assert is_free(room, corners) and np.mean(placement.mask > 0.5) >= 0.01


def test_an_object_that_fits_nowhere_is_reported(data):
    room = dataclasses.replace(load_room("room_train_001"), obstacles=((-9, 9, -9, 19),))
    assert place(room, "train_008_chair", Draws(0, "train", 0)) is None
