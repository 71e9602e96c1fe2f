"""The course's camera: its constants, points on the floor, and turning on the spot."""

import numpy as np
import pytest

from maskdepth_utils import camera
from maskdepth_utils.draws import Draws


def test_a_floor_point_appears_where_a_ray_meets_it():
    column, row, z = camera.floor_point(10.0, 3.0, 12.0)
    p, x, y = np.radians(10), (column - 80) / camera.FOCAL, (row - 80) / camera.FOCAL
    assert z * (y * np.cos(p) + np.sin(p)) == pytest.approx(1.5)
    assert np.degrees(np.arctan2(x, np.cos(p) - y * np.sin(p))) == pytest.approx(12)


def test_turned_views_stay_inside_the_stored_picture():
    turns = [camera.draw_turn(Draws(0, "any room", i), 2 + 12 * i / 199, 240, 192)[1] for i in range(200)]
    assert 0 not in turns  # every search found a turn
    assert np.std(turns) > 4
