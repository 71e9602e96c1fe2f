"""What ships in data/ can be found and opened, and messages about damage say what to do."""

import json

import numpy as np
import pytest
from PIL import Image

from maskdepth_utils.camera import FOCAL, camera_rotation
from maskdepth_utils.course.pointcloud import lift
from maskdepth_utils.data import library
from maskdepth_utils.data.library import load_cutout, load_room, load_scene
from maskdepth_utils.files import AssetError


# ---------------------------------------------------------------- rooms
def test_view_0_is_the_stored_picture_pixel_for_pixel(data):
    room = load_room("room_train_000")
    stored = np.asarray(Image.open(data / "rooms/room_train_000.webp"))
    depth = np.asarray(Image.open(data / "rooms/room_train_000_depth.png"))
    np.testing.assert_array_equal(room.image, stored[16:176, 40:200])
    np.testing.assert_allclose(room.depth, depth[16:176, 40:200] / 1000, atol=1e-6)
    assert room.image.dtype == np.uint8 and room.depth.dtype == np.float32
    assert (room.pitch, room.pan) == (3.167, 2.81)


def in_room_axes(room):
    """The points of a room's depth map (160, 160, 3), in metres to the right, down and ahead in the room."""
    return lift(room.depth) @ camera_rotation(room.pitch, -room.pan)


@pytest.mark.parametrize("view", range(5))
def test_walls_and_floor_of_every_view_are_where_the_floor_plan_has_them(data, view):
    room = load_room("room_train_003", view)
    right, down, ahead = np.moveaxis(in_room_axes(room), -1, 0)
    x0, x1, _, z1 = room.box
    assert (right.min(), right.max(), ahead.max(), down.max()) == pytest.approx((x0, x1, z1, 1.5), abs=0.03)
    np.testing.assert_array_equal(room.floor, down > 1.48)
    assert 0.1 < room.floor.mean() < 0.6 and np.mean(np.abs(ahead - z1) < 0.03) > 0.15


@pytest.mark.parametrize("view", [1, 4])
def test_other_views_are_what_a_turned_camera_would_see(data, view):
    stored, room = load_room("room_train_003"), load_room("room_train_003", view)
    assert (room.pitch, room.pan) != (stored.pitch, stored.pan)
    assert abs(room.pan - stored.pan) <= 10 and abs(room.pitch - stored.pitch) <= 2 and 2 <= room.pitch <= 14
    x, y, z = np.moveaxis(in_room_axes(room) @ camera_rotation(stored.pitch, -stored.pan).T, -1, 0)
    column, row = (np.floor(80 + FOCAL * slope).astype(int) for slope in (x / z, y / z))
    both = (np.minimum(column, row) >= 0) & (np.maximum(column, row) < 160)
    difference = np.abs(stored.image[row[both], column[both]].astype(int) - room.image[both]).max(-1)
    assert both.mean() > 0.75 and np.mean(difference < 20) > 0.95


@pytest.mark.parametrize("name", ["image", "depth_mm", "floor"])
def test_pictures_in_memory_cannot_be_changed_by_accident(data, name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(load_room("room_train_000"), name)[0] = 0


# ---------------------------------------------------------------- objects and scenes
@pytest.mark.parametrize("number", [0, 3, 7])
def test_a_cutout_is_its_part_of_the_sheet(data, number):
    sheet = np.asarray(Image.open(data / "objects/train_064_table_color.webp")).astype(int)
    entries = json.loads((data / "objects/objects.json").read_text())["objects"]
    frame = next(one for one in entries if one["name"] == "train_064_table")["distances"][0]["frame"]
    cutout = load_cutout("train_064_table", number, 0)
    height, width = cutout.relief_code.shape
    top, left = int(cutout.y0) - frame["y0"], int(cutout.x0) - frame["x0"] + number * frame["width"]
    cell = sheet[top : top + height, left : left + width]
    alpha = cell[..., 3:]
    np.testing.assert_array_equal(cutout.premultiplied[..., :3], (cell[..., :3] * alpha + 127) // 255)
    np.testing.assert_array_equal(cutout.premultiplied[..., 3:], alpha)
    np.testing.assert_array_equal(cutout.color[alpha[..., 0] == 255], cell[alpha[..., 0] == 255])
    assert cutout.shadow.min() < 130 and cutout.shadow.max() > 240
    seen = cutout.relief[alpha[..., 0] > 0]
    assert cutout.relief_range == pytest.approx((seen.min(), seen.max()), abs=1e-6)
    assert cutout.area == pytest.approx(alpha.sum() / 255 * (cutout.distance / cutout.focal) ** 2)


def test_the_nearest_cutout_is_nearest_in_ratio():
    assert library.nearest_distance((2.5, 5.0), 3.5) == 0 and library.nearest_distance((2.5, 5.0), 3.6) == 1


def test_a_scene_has_both_pictures_mask_and_depth(data):
    scene = load_scene("scene_000")
    assert scene.image.shape == scene.background.shape == (160, 160, 3)
    assert scene.mask.dtype == scene.depth.dtype == np.float32
    assert 0.02 < scene.mask.mean() < 0.5 and scene.mask.max() == 1
    assert [scene.about[key] for key in ("kind", "distance", "azimuth")] == ["chair", 2.084, -9.53]
    assert scene.depth[scene.mask > 0.5].mean() == pytest.approx(2.084, abs=0.4)


# ---------------------------------------------------------------- what is missing or damaged
def test_missing_things_are_named(data, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="yaw 0 to 7 and distance 0 to 1, found yaw 8"):
        load_cutout("train_056_lower_cabinet", 8, 0)
    with pytest.raises(ValueError, match="view: expected 0 to 4, found 5"):
        load_room("room_train_000", 5)
    with pytest.raises(AssetError, match="rooms.json lists no 'room_99'.*room_val_000"):
        load_room("room_99")
    monkeypatch.setenv("MASKDEPTH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(AssetError, match="nowhere: there is no such folder.*MASKDEPTH_DATA"):
        library.room_names("train")
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(AssetError, match="holds no rooms/"):
        library.room_names("train")


ROOM, RELIEF, LIST = "rooms/room_train_000_depth.png", "objects/train_008_chair_relief.png", "rooms/rooms.json"


@pytest.mark.parametrize(
    "file,damage,message",
    [
        (ROOM, lambda path: path.unlink(), "is missing"),
        (ROOM, lambda path: path.write_bytes(path.read_bytes()[:1000]), r"\(1000 bytes\) cannot be decoded"),
        (ROOM, lambda path: Image.open(path).convert("RGB").save(path), "pixels of type RGB, expected I;16"),
        (RELIEF, lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "cannot be decoded"),
        (RELIEF, lambda path: Image.open(path).crop((0, 0, 50, 50)).save(path), "50x50 pixels, expected"),
        (LIST, lambda path: path.write_text("{"), "is damaged"),
        (LIST, lambda path: path.write_text('{"rooms": [{"split": "train"}]}'), "is damaged"),
    ],
)
def test_a_damaged_file_is_named(own_data, file, damage, message):
    damage(own_data / file)
    with pytest.raises(AssetError, match=f"{file.split('/')[1]} .*{message}.*git checkout"):
        load_cutout("train_008_chair", 0, 0) if file == RELIEF else load_room("room_train_000")
