"""What the widgets compute, without a front end."""

import dataclasses

import cv2
import numpy as np

from maskdepth_utils.course.widgets.scene import LIMITS, Setup, build, draw_play, draw_scene, play
from maskdepth_utils.data.library import object_names, room_names
from maskdepth_utils.plots import color_depth

SETUP = Setup(room_names("test")[0], object_names("test")[2], azimuth=3.0, distance=2.6)


def decode(png):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def change(**settings):
    return build(dataclasses.replace(SETUP, **settings))


def test_every_setting_changes_what_it_should_and_nothing_else():
    scene = build(SETUP)
    again = change(seed=0)
    assert all(np.array_equal(getattr(scene, f.name), getattr(again, f.name)) for f in dataclasses.fields(scene))
    assert scene.remark == "" and 0.01 < (scene.mask > 0.5).mean() < 0.7
    near, far = change(distance=2.2), change(distance=3.4)
    assert near.mask.sum() > scene.mask.sum() > far.mask.sum()
    assert np.median(near.depth[near.mask > 0.5]) < np.median(far.depth[far.mask > 0.5])
    right = change(azimuth=10.0)
    assert np.nonzero(right.mask > 0.5)[1].mean() > np.nonzero(scene.mask > 0.5)[1].mean() + 10
    assert not np.array_equal(change(yaw=3).mask, scene.mask)
    assert np.array_equal(change(flip=True).mask, scene.mask[:, ::-1])
    for gap in ("none", "handheld"):  # what is between the shots moves nothing in the first one
        other = change(gap=gap)
        assert np.array_equal(other.mask, scene.mask) and np.array_equal(other.depth, scene.depth)
    clean = change(gap="none").background
    apart = [np.abs(change(light=s, noise=s, compression=s).background.astype(int) - clean).mean()
             for s in (0.2, 1.0, 2.0)]  # fmt: skip
    assert apart[0] < apart[1] < apart[2]


def test_what_the_data_never_show_is_said():
    assert "out of the picture" in change(azimuth=60.0).remark
    assert "outside" in change(distance=1.2).remark
    backwards = (change(distance=distance).remark for distance in np.arange(2.6, 9, 0.1))
    assert "wall" in next(remark for remark in backwards if remark)


def test_pictures_show_the_scene_pixel_by_pixel():
    scene = build(SETUP)
    tiles = {name: decode(png) for name, png in draw_scene(scene).items()}
    assert set(tiles) == {"background", "image", "mask", "depth"}
    assert all(tile.shape == (320, 320, 3) for tile in tiles.values())
    assert np.array_equal(tiles["image"][::2, ::2], scene.image)
    marked = decode(draw_scene(scene, pixel=(40, 100))["image"])
    assert tuple(marked[201, 81]) == (255, 255, 255) and np.array_equal(marked[:100], tiles["image"][:100])
    bright = color_depth(np.array([[1.0, 9.0]]), LIMITS).astype(int).sum(-1)[0]
    assert bright[0] > bright[1]  # near is bright


def test_a_prediction_is_scored_against_the_truth():
    scene = change(gap="none")

    class Knows:
        def predict(self, image, background):
            return scene.mask, scene.depth

    played = play(scene, Knows())
    assert played.scores["IoU"] == 1.0 and played.scores["depth RMSE, m"] == 0.0
    assert 0 < played.scores["IoU of the threshold"] < 1
    assert play(scene, Knows(), threshold=0.99).scores["IoU"] < 1
    assert set(draw_play(scene, played)) >= {"mask", "threshold", "depth", "depth error"}
