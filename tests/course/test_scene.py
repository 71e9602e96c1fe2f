"""Composing a scene of your own, and scoring a prediction of it."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from maskdepth_utils.course.widgets import Setup, build_scene, predict_scene
from maskdepth_utils.data.library import object_names, room_names
from maskdepth_utils.inference.predictor import Prediction

SETUP = Setup(room_names("test")[0], object_names("test")[2], azimuth=3.0, distance=2.6)


@pytest.fixture(scope="module")
def scene():
    return build_scene(SETUP)


def build_with(**changes):
    return build_scene(replace(SETUP, **changes))


def test_a_setup_gives_the_same_scene_again(scene):
    again = build_with()
    assert all(np.array_equal(getattr(scene, f.name), getattr(again, f.name)) for f in fields(scene))
    assert scene.remark == "" and 0.01 < (scene.mask > 0.5).mean() < 0.7


def test_each_part_of_the_place_changes_the_scene(scene):
    near, far = build_with(distance=2.2), build_with(distance=3.4)
    assert near.mask.sum() > scene.mask.sum() > far.mask.sum()
    assert np.median(near.depth[near.mask > 0.5]) < np.median(far.depth[far.mask > 0.5])
    right = build_with(azimuth=10.0)
    assert np.nonzero(right.mask > 0.5)[1].mean() > np.nonzero(scene.mask > 0.5)[1].mean() + 10
    assert not np.array_equal(build_with(yaw=3).mask, scene.mask)
    assert np.array_equal(build_with(flip=True).mask, scene.mask[:, ::-1])


def test_the_gap_changes_pictures_but_not_the_truth(scene):
    clean, moved = build_with(gap="none"), build_with(gap="handheld")
    for other in (clean, moved):
        assert np.array_equal(other.mask, scene.mask) and np.array_equal(other.depth, scene.depth)
    shots = [build_with(light=s, noise=s, compression=s).background.astype(int) for s in (0.2, 1.0, 2.0)]
    weak, usual, strong = (np.abs(shot - clean.background).mean() for shot in shots)
    assert weak < usual < strong
    with pytest.raises(ValueError, match="unknown gap 'wide'"):
        build_with(gap="wide")


def test_a_remark_says_why_the_data_hold_no_such_scene():
    assert "out of the picture" in build_with(azimuth=60.0).remark
    assert "outside" in build_with(distance=1.2).remark
    backwards = (build_with(distance=distance).remark for distance in np.arange(2.6, 9, 0.1))
    assert "wall" in next(remark for remark in backwards if remark)


def test_a_prediction_is_scored_against_the_truth():
    scene = build_with(gap="none")
    oracle = SimpleNamespace(predict=lambda image, background: Prediction(scene.mask, scene.depth))
    scores = predict_scene(scene, oracle).scores
    assert scores["IoU"] == 1.0 and scores["depth RMSE, m"] == 0.0
    assert 0 < scores["IoU of the threshold"] < 1
    assert predict_scene(scene, oracle, threshold=0.99).scores["IoU"] < 1
