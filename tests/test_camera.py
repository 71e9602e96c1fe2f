"""The course's camera: its constants, points on the floor, and turning on the spot."""

import numpy as np
import pytest
from raycast import FOCAL

from maskdepth_utils import camera
from maskdepth_utils.draws import Draws


def test_the_camera_is_the_one_the_course_describes():
    assert (camera.IMAGE_SIZE, camera.FOV, camera.EYE_HEIGHT, camera.MAX_DEPTH) == (160, 60, 1.5, 10)
    assert camera.FOCAL == pytest.approx(138.564, abs=1e-3)


def test_a_floor_point_appears_where_a_ray_meets_it():
    column, row, z = camera.floor_point(10.0, 3.0, 12.0)
    p, x, y = np.radians(10), (column - 80) / FOCAL, (row - 80) / FOCAL
    assert z * (y * np.cos(p) + np.sin(p)) == pytest.approx(1.5)
    assert np.degrees(np.arctan2(x, np.cos(p) - y * np.sin(p))) == pytest.approx(12)


def test_turned_views_stay_inside_the_stored_picture():
    turns = [camera.draw_turn(Draws(0, "any room", i), 2 + 12 * i / 199, 240, 192)[1] for i in range(200)]
    assert 0 not in turns  # every search found a turn
    assert np.std(turns) > 4
