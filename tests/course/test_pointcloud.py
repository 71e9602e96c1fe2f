"""The 3D view: points lie where the room's geometry says, nothing flies, and a still picture is always there."""

import base64
import io
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils import plots
from maskdepth_utils.camera import EYE_HEIGHT, FOCAL, floor_point
from maskdepth_utils.course import pointcloud
from maskdepth_utils.course.pointcloud import MIME, depth_edges, level, lift, to_cloud, view
from maskdepth_utils.data.library import load_room, room_names

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
SLOPE = np.linspace(2, 5, 60, dtype=np.float32) * np.ones((40, 1), np.float32)


def test_points_keep_their_depth_and_their_place_in_the_picture():
    points = lift(SLOPE, fov=90)  # of 60 px width: a focal length of 30 px
    assert points.shape == (40, 60, 3) and np.array_equal(points[..., 2], SLOPE)
    z = SLOPE[7, 11]
    assert points[7, 11] == pytest.approx([(11.5 - 30) / 30 * z, (7.5 - 20) / 30 * z, z])


@pytest.mark.parametrize("number", [0, 1])
def test_the_floor_of_a_room_is_a_plane_below_the_eye(number):
    room = load_room(room_names("test")[number])
    points = level(lift(room.depth), room.pitch)[room.floor]
    assert len(points) > 1000 and np.abs(points[:, 1] - EYE_HEIGHT).max() < 0.03
    cloud = to_cloud(room.image, room.depth, pitch=room.pitch)
    assert cloud.points[:, 2].min() == pytest.approx(-EYE_HEIGHT, abs=0.03)  # up, for the view


def test_a_point_goes_back_to_its_pixel():
    room = load_room(room_names("test")[0])
    x, y, z = level(lift(room.depth), room.pitch)[140, 30]
    azimuth, distance = np.degrees(np.arctan2(x, z)), np.hypot(x, z)
    assert y == pytest.approx(EYE_HEIGHT, abs=0.03)
    column, row, depth = floor_point(room.pitch, distance, azimuth)
    assert (column, row) == (pytest.approx(30.5, abs=1), pytest.approx(140.5, abs=1))
    assert depth == pytest.approx(room.depth[140, 30], abs=0.03)


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
    assert len(to_cloud(picture, depth).points) == 360 and len(to_cloud(picture, depth, edges=False).points) == 400


def test_a_floor_far_away_does_not_fly():
    rows = EYE_HEIGHT * FOCAL / np.arange(21, 139)  # of a level camera: 9.9 to 1.5 m
    assert not depth_edges(np.repeat(rows[:, None], 80, axis=1)).any()


def test_colors_are_the_picture_s_and_the_mask_is_tinted():
    cloud = to_cloud(PICTURE, SLOPE)
    assert np.array_equal(cloud.colors, PICTURE.reshape(-1, 3))
    mask = np.zeros((40, 60))
    mask[3, 4] = 1
    changed = (to_cloud(PICTURE, SLOPE, mask=mask).colors != cloud.colors).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [3 * 60 + 4]
    room = load_room(room_names("test")[0])
    cloud = to_cloud(room.image, room.depth)
    number, colors = pointcloud.quantize(cloud.colors)
    drawn = np.array([[int(colors[i][1][k : k + 2], 16) for k in (1, 3, 5)] for i in number])
    assert np.abs(drawn - cloud.colors).mean() < 4  # 256 colours are enough


def test_samples_and_large_photos():
    tensors = torch.from_numpy(PICTURE).permute(2, 0, 1) / 255, torch.from_numpy(SLOPE)[None] / 10
    assert np.allclose(to_cloud(*tensors).points, to_cloud(PICTURE, SLOPE).points, atol=1e-5)
    large = to_cloud(np.zeros((480, 640, 3), np.uint8), np.full((480, 640), 3, np.float32))
    assert 0.5 * pointcloud.MOST_POINTS < len(large.points) <= pointcloud.MOST_POINTS
    holes = SLOPE.copy()
    holes[0, :5], holes[1, :5] = np.nan, 0
    assert len(to_cloud(PICTURE, holes, edges=False).points) == SLOPE.size - 10
    with pytest.raises(ValueError, match="equal sizes"):
        view(PICTURE, SLOPE[:30])
    with pytest.raises(ValueError, match="fov"):
        view(PICTURE, SLOPE, fov=180)


def test_scales_are_equal_and_the_start_is_behind_and_above_the_camera():
    scene = view(PICTURE, SLOPE, truth=SLOPE + 1).layout()
    ranges = np.array([np.diff(scene[f"{axis}axis"]["range"])[0] for axis in "xyz"])
    ratios = np.array([scene["aspectratio"][axis] for axis in "xyz"])
    assert np.allclose(ranges / ratios, ranges.max())  # as many metres to a unit on every axis
    middle = np.array([np.mean(scene[f"{axis}axis"]["range"]) for axis in "xyz"])
    eye = middle + np.array([scene["camera"]["eye"][axis] for axis in "xyz"]) * ranges.max()
    assert eye == pytest.approx(pointcloud.START, abs=1e-6) and eye[1] < 0 < eye[2]
    assert [scene[f"{axis}axis"]["title"]["text"] for axis in "xyz"] == ["right [m]", "ahead [m]", "up [m]"]


def test_buttons_switch_between_prediction_and_truth():
    shown = view(PICTURE, SLOPE, truth=SLOPE + 1)
    figure = shown.figure()
    labels = {button.label: button.args[0]["visible"] for button in figure.layout.updatemenus[0].buttons}
    assert list(labels.values()) == [[True, False], [False, True], [True, True]]
    assert [trace.visible for trace in figure.data[:2]] == [True, False]
    assert np.allclose(figure.data[1].y - figure.data[0].y, 1, atol=1e-4)  # "ahead" is z-depth while pitch is 0
    assert not view(PICTURE, SLOPE).figure().layout.updatemenus


def test_a_notebook_gets_a_picture_beside_the_view_and_nothing_blocks():
    bundle = view(PICTURE, SLOPE, truth=SLOPE, mask=SLOPE > 3)._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/jpeg"]))).size == (968, 748)
    assert len(bundle["image/jpeg"]) < 300_000
    assert set(bundle[MIME]) == {"data", "layout", "config"} and json.dumps(bundle)
    assert "text/html" not in bundle  # no copy of plotly in every output
    assert "image/png" not in bundle  # plotly's extension would show it in place of the view


def test_a_full_picture_stays_small():
    room = load_room(room_names("test")[0])
    assert len(json.dumps(view(room.image, room.depth)._repr_mimebundle_()[MIME])) < 600_000


def test_without_plotly_the_picture_remains(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    bundle = view(PICTURE, SLOPE)._repr_mimebundle_()
    assert set(bundle) == {"image/jpeg", "text/plain"} and "install plotly" in bundle["text/plain"]


def test_colab_gets_a_page(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", object())
    bundle = view(PICTURE, SLOPE)._repr_mimebundle_()
    assert "<script" in bundle["text/html"] and len(bundle["text/html"]) < 300_000 and MIME not in bundle


def test_the_still_picture_says_which_is_which():
    figure = view(PICTURE, SLOPE, truth=SLOPE).still()
    assert len(figure.axes) == 4 and figure.axes[0].get_xlabel() == "right [m]"
    assert [text.get_text() for text in figure.texts][2] == "truth, from behind the camera"
    assert not plots.plt.get_fignums()
