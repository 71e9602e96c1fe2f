"""What ships in data/ can be found and opened, and damage is reported so that one knows what to do."""

import json

import numpy as np
import pytest
import tiny_data as tiny
from PIL import Image

from maskdepth_utils.camera import EYE_HEIGHT, FOCAL, FOV, IMAGE_SIZE, MAX_DEPTH, draw_turn, floor_point
from maskdepth_utils.data import library
from maskdepth_utils.data.library import load_cutout, load_room, load_scene
from maskdepth_utils.draws import Draws
from maskdepth_utils.files import AssetError


def test_the_camera_is_the_one_the_course_describes():
    assert IMAGE_SIZE == 160 and FOV == 60 and EYE_HEIGHT == 1.5 and MAX_DEPTH == 10
    assert FOCAL == pytest.approx(138.564, abs=1e-3)


def test_names_are_listed_by_split(data):
    assert library.room_names("train") == [f"room_train_00{i}" for i in range(4)]
    assert library.object_names("val") == ["val_000_chair"]
    assert library.scene_names() == ["scene_000", "scene_001"]
    with pytest.raises(ValueError, match="unknown split 'dev'.*train, val, test"):
        library.room_names("dev")


def test_view_0_is_the_stored_picture_pixel_for_pixel(data):
    room = load_room("room_train_000")
    stored = np.asarray(Image.open(data / "rooms/room_train_000.webp"))
    depth = np.asarray(Image.open(data / "rooms/room_train_000_depth.png"))
    np.testing.assert_array_equal(room.image, stored[16:176, 40:200])
    np.testing.assert_allclose(room.depth, depth[16:176, 40:200] / 1000, atol=1e-6)
    assert room.image.dtype == np.uint8 and room.depth.dtype == np.float32
    assert (room.pitch, room.pan, room.split) == (7.3, -3.1, "train")


def test_the_floor_is_where_the_rays_reach_it(data):
    room = load_room("room_train_000")
    rays = tiny.rays(160, 160, tiny.FOCAL, room.pitch, room.pan)
    height = 1.5 + rays[..., 1] * room.depth
    np.testing.assert_array_equal(room.floor, height < 0.02)
    assert 0.1 < room.floor.mean() < 0.6


@pytest.mark.parametrize("view", [1, 2, 3, 4])
def test_other_views_are_what_a_turned_camera_would_see(data, view):
    stored, room = load_room("room_train_000"), load_room("room_train_000", view)
    assert (room.pitch, room.pan) != (stored.pitch, stored.pan)
    assert abs(room.pan - stored.pan) <= 10 and abs(room.pitch - stored.pitch) <= 2 and 2 <= room.pitch <= 14
    camera = (room.pitch, room.pan, *tiny.ROOMS["room_train_000"][2:])
    image, _, depth = tiny.direct(camera, [], 0, 1, 0)
    assert np.mean(np.abs(room.depth - depth) < 0.01) > 0.95
    assert np.mean(np.abs(room.image.astype(float) - image) < 20) > 0.95


def test_turned_views_stay_inside_the_stored_picture():
    turns = [draw_turn(Draws(0, "any room", i), 2 + 12 * i / 199, 240, 192) for i in range(200)]
    assert np.mean([turn == 0 for _, turn in turns]) == 0  # none had to give up
    assert np.std([turn for _, turn in turns]) > 4  # and they do vary


def test_a_floor_point_appears_where_a_ray_meets_it():
    column, row, z = floor_point(10.0, 3.0, 12.0)
    x, y = (column - 80) / tiny.FOCAL, (row - 80) / tiny.FOCAL
    p = np.radians(10)
    down, forward = y * np.cos(p) + np.sin(p), np.cos(p) - y * np.sin(p)
    assert z * down == pytest.approx(1.5)
    assert np.degrees(np.arctan2(x, forward)) == pytest.approx(12)


def test_pictures_in_memory_cannot_be_changed_by_accident(data):
    with pytest.raises(ValueError, match="read-only"):
        load_room("room_train_000").image[0] = 0


def test_a_cutout_has_colour_relief_and_shadow(data):
    cutout = load_cutout("train_000_cabinet", 1, 0)
    assert (cutout.yaw, cutout.distance, cutout.size, cutout.kind) == (45.0, 2.5, (0.8, 0.5, 1.1), "cabinet")
    assert cutout.color.shape == (*cutout.relief.shape, 4) and cutout.color.dtype == np.uint8
    assert np.all(cutout.premultiplied[..., :3] <= cutout.premultiplied[..., 3:])
    full = cutout.color[..., 3] == 255
    sheet = np.asarray(Image.open(data / "objects/train_000_cabinet_color.webp"))
    frame = json.loads((data / "objects/objects.json").read_text())["objects"][0]["distances"][0]["frame"]
    top, left = int(cutout.y0) - frame["y0"], int(cutout.x0) - frame["x0"] + frame["width"]
    height, width = cutout.relief.shape
    cell = sheet[top : top + height, left : left + width]
    np.testing.assert_array_equal(cutout.color[full], cell[full])
    assert np.all(cutout.color[..., 3].any(0)) and np.all(cutout.color[..., 3].any(1))  # cut to the object
    # a cabinet turned by 45 degrees: its nearest edge stands out by about (0.4 + 0.25) / sqrt(2) m
    assert -0.5 < cutout.relief[full].min() < -0.4
    assert cutout.shadow.min() < 130 and cutout.shadow.max() > 240
    # seen at 45 degrees it is 0.92 m wide and 1.1 m high, its top seen as well
    assert 0.8 < cutout.area < 1.3


def test_asking_for_a_view_that_is_not_there(data):
    with pytest.raises(ValueError, match="yaw 0 to 7 and distance 0 to 1, found yaw 8"):
        load_cutout("train_000_cabinet", 8, 0)
    with pytest.raises(ValueError, match="view: expected 0 to 4, found 5"):
        load_room("room_train_000", 5)
    with pytest.raises(AssetError, match="rooms.json lists no 'room_99'.*room_train_000"):
        load_room("room_99")


def test_a_scene_has_both_pictures_mask_and_depth(data):
    scene = load_scene("scene_000")
    assert scene.image.shape == scene.background.shape == (160, 160, 3)
    assert scene.mask.dtype == scene.depth.dtype == np.float32
    assert 0.02 < scene.mask.mean() < 0.5 and scene.mask.max() == 1
    assert (scene.kind, scene.distance, scene.azimuth) == ("shelf", 3.1, -8.0)
    assert scene.depth[scene.mask > 0.5].mean() == pytest.approx(3.1, abs=0.4)


def test_no_data_says_where_it_was_looked_for_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKDEPTH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(AssetError, match="nowhere: there is no such folder.*MASKDEPTH_DATA"):
        library.room_names("train")
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(AssetError, match="holds no rooms/"):
        library.room_names("train")


def damage(path, how):
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no picture":
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    elif how == "wrong size":
        Image.open(path).crop((0, 0, 50, 50)).save(path)
    elif how == "wrong type":
        Image.open(path).convert("RGB").save(path)


@pytest.mark.parametrize("how", ["missing", "truncated", "empty", "no picture", "wrong size"])
@pytest.mark.parametrize(
    "file",
    ["rooms/room_train_000.webp", "rooms/room_train_000_depth.png", "objects/train_002_chair_relief.png"],
)
def test_a_damaged_picture_is_named(own_data, file, how):
    damage(own_data / file, how)
    with pytest.raises(AssetError, match=file.split("/")[1]) as raised:
        load_room("room_train_000") if file.startswith("rooms") else load_cutout("train_002_chair", 0, 0)
    assert "git checkout" in str(raised.value)
    if how == "wrong size":
        assert "50x50 pixels, expected" in str(raised.value)


def test_a_colour_picture_is_no_depth(own_data):
    damage(own_data / "rooms/room_train_000_depth.png", "wrong type")
    with pytest.raises(AssetError, match="room_train_000_depth.png has pixels of type RGB, expected I;16"):
        load_room("room_train_000")


@pytest.mark.parametrize("content", ["{", "[]", '{"rooms": 3}', json.dumps({"rooms": [{"split": "train"}]})])
def test_a_damaged_list_is_named(own_data, content):
    (own_data / "rooms/rooms.json").write_text(content)
    with pytest.raises(AssetError, match="rooms.json is damaged"):
        library.room_names("train")


def test_a_missing_list_is_named(own_data):
    (own_data / "objects/objects.json").unlink()
    with pytest.raises(AssetError, match="objects.json is missing"):
        library.object_names("train")
