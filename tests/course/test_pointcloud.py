"""The 3D view: points lie where the room's geometry says, nothing flies, and a still picture is always there."""

import base64
import io
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils.camera import EYE_HEIGHT, FOCAL
from maskdepth_utils.course import pointcloud
from maskdepth_utils.course.pointcloud import MIME, depth_edges, level, lift, to_cloud, view
from maskdepth_utils.data.library import load_room, room_names

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
SLOPE = np.linspace(2, 5, 60, dtype=np.float32) * np.ones((40, 1), np.float32)


@pytest.fixture(scope="module")
def room():
    return load_room(room_names("test")[0])


def test_points_keep_their_depth_and_their_place_in_the_picture():
    points = lift(SLOPE)
    assert points.shape == (40, 60, 3) and np.array_equal(points[..., 2], SLOPE)
    z, focal = SLOPE[7, 11], FOCAL * 60 / 160
    assert points[7, 11] == pytest.approx([(11.5 - 30) / focal * z, (7.5 - 20) / focal * z, z])


def test_the_floor_of_a_room_is_a_plane_below_the_eye(room):
    points = level(lift(room.depth), room.pitch)
    floor = points[room.floor]
    assert len(floor) > 1000 and np.abs(floor[:, 1] - EYE_HEIGHT).max() < 0.03
    cloud = to_cloud(room.image, room.depth, pitch=room.pitch)
    assert cloud.points[:, 2].min() == pytest.approx(-EYE_HEIGHT, abs=0.03)  # up, for the view


def test_flying_points_are_dropped_and_surfaces_stay():
    depth = np.full((20, 20), 6, np.float32)
    depth[:, :8] = 2  # a step: both surfaces are real
    depth[5, 12] = depth[6:20, 15] = 2  # a dot, and a thin leg
    assert not depth_edges(depth).any()
    depth[:, 8], depth[:, 9] = 3.3, 4.6  # the step smoothed
    flying = np.zeros((20, 20), bool)
    flying[:, 8:10] = True
    assert np.array_equal(depth_edges(depth), flying)
    picture = np.zeros((20, 20, 3), np.uint8)
    assert len(to_cloud(picture, depth).points) == 360
    rows = EYE_HEIGHT * FOCAL / np.arange(21, 139)  # the floor below a level camera: 9.9 to 1.5 m
    assert not depth_edges(np.repeat(rows[:, None], 80, axis=1)).any()


def test_colors_are_the_pictures_and_the_mask_is_tinted(room):
    cloud = to_cloud(PICTURE, SLOPE)
    assert np.array_equal(cloud.colors, PICTURE.reshape(-1, 3))
    mask = np.zeros((40, 60))
    mask[3, 4] = 1
    changed = (to_cloud(PICTURE, SLOPE, mask=mask).colors != cloud.colors).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [3 * 60 + 4]
    colors = to_cloud(room.image, room.depth).colors
    index, scale = pointcloud.quantize(colors)
    drawn = np.array([[int(scale[i][1][k : k + 2], 16) for k in (1, 3, 5)] for i in index])
    assert np.abs(drawn - colors).mean() < 4  # 256 colours are enough


def test_samples_and_refused_input():
    tensors = torch.from_numpy(PICTURE).permute(2, 0, 1) / 255, torch.from_numpy(SLOPE)[None] / 10
    assert np.allclose(to_cloud(*tensors).points, to_cloud(PICTURE, SLOPE).points, atol=1e-5)
    with pytest.raises(ValueError, match="equal sizes"):
        view(PICTURE, SLOPE[:30])


def test_scales_are_equal_and_the_start_is_behind_and_above_the_camera():
    scene = view(PICTURE, SLOPE, truth=SLOPE + 1).layout()
    ranges = np.array([np.diff(scene[f"{axis}axis"]["range"])[0] for axis in "xyz"])
    ratios = np.array([scene["aspectratio"][axis] for axis in "xyz"])
    assert np.allclose(ranges / ratios, ranges.max())  # as many metres to a unit on every axis
    middle = np.array([np.mean(scene[f"{axis}axis"]["range"]) for axis in "xyz"])
    eye = middle + np.array([scene["camera"]["eye"][axis] for axis in "xyz"]) * ranges.max()
    assert eye == pytest.approx(pointcloud.START, abs=1e-6) and eye[1] < 0 < eye[2]


def test_buttons_switch_between_prediction_and_truth():
    figure = view(PICTURE, SLOPE, truth=SLOPE + 1).figure()
    shown = {button.label: button.args[0]["visible"] for button in figure.layout.updatemenus[0].buttons}
    assert shown == {"prediction": [True, False, True], "truth": [False, True, True]}  # the camera stays
    assert np.allclose(figure.data[1].y - figure.data[0].y, 1, atol=1e-4)  # "ahead" is z-depth while pitch is 0
    assert not view(PICTURE, SLOPE).figure().layout.updatemenus


def test_a_notebook_gets_a_small_view_and_a_still_picture(room):
    shown = view(PICTURE, SLOPE, truth=SLOPE, mask=SLOPE > 3)
    assert shown.still().texts[2].get_text() == "truth, from behind the camera"
    bundle = shown._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/jpeg"]))).size == (968, 748)
    assert len(bundle["image/jpeg"]) < 300_000
    # Neither a copy of plotly in every output, nor a PNG, which plotly's extension would show in place of the view.
    assert set(bundle) == {MIME, "image/jpeg", "text/plain"}
    assert len(json.dumps(json.loads(view(room.image, room.depth).figure().to_json()))) < 600_000


def test_colab_gets_a_page(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", object())
    bundle = view(PICTURE, SLOPE)._repr_mimebundle_()
    assert "<script" in bundle["text/html"] and len(bundle["text/html"]) < 300_000 and MIME not in bundle
