"""An object put into a room looks, covers and measures as if a camera had seen it there."""

from pathlib import Path

import numpy as np
import pytest
import tiny_data as tiny
import torch
from raycast import direct

from maskdepth_utils.camera import floor_point
from maskdepth_utils.data.compose import compose
from maskdepth_utils.data.library import cutout_distances, load_cutout, load_room, nearest_distance
from maskdepth_utils.metrics import iou

FIELDS = ("image", "background", "mask", "depth")
# room, object, yaw number, distance, azimuth: near and far, right and left, turned, cut off by the edge
POSES = [
    ("room_train_000", "train_000_cabinet", 1, 2.4, 7.0),
    ("room_train_001", "train_001_table", 6, 3.9, 1.0),
    ("room_train_002", "train_002_chair", 5, 5.5, -8.0),
    ("room_train_003", "train_001_table", 3, 3.4, -19.0),
    ("room_train_000", "train_002_chair", 7, 2.6, -24.0),
    ("room_test_000", "test_000_shelf", 0, 4.5, -5.0),
]


def stand(room, name, yaw, distance, azimuth, **options):
    cutout = load_cutout(name, yaw, nearest_distance(cutout_distances(name), distance))
    return compose(load_room(room), cutout, distance, azimuth, **options)


def cabinet(distance=3.0, azimuth=0.0, yaw=0, **options):
    return stand("room_train_000", "train_000_cabinet", yaw, distance, azimuth, **options)


def overlap(mask, truth):
    return iou(*(torch.from_numpy(np.float32(one))[None, None] for one in (mask, truth))).item()


# ---------------------------------------------------------------- against renders
def test_composites_agree_with_direct_renders(data):
    overlaps, errors = [], []
    for room, name, yaw, distance, azimuth in POSES:
        made = stand(room, name, yaw, distance, azimuth)
        _, mask, depth = direct(tiny.ROOMS[room], tiny.OBJECTS[name][1], tiny.YAWS[yaw], distance, azimuth)
        overlaps.append(overlap(made.mask, mask))
        errors.append(np.abs(made.depth - depth)[(made.mask > 0.5) & (mask > 0.5)])
        assert np.abs(made.mask - mask).mean() < 0.01
    assert min(overlaps) > 0.9 and np.median(overlaps) > 0.97
    errors = np.concatenate(errors)
    assert np.median(errors) < 0.01 and np.percentile(errors, 95) < 0.06


def test_shipped_objects_agree_with_exact_ray_casts():
    """The same poses, cast by data/render/render_scenes.py --poses."""
    poses = np.load(Path(__file__).parents[1] / "fixtures" / "poses.npz", allow_pickle=False)
    overlaps, errors = [], []
    for room, name, yaw, distance, azimuth, coverage, depth in zip(
        *(poses[key] for key in ("room", "object", "yaw", "distance", "azimuth", "coverage", "depth"))
    ):
        made = stand(str(room), str(name), int(yaw), float(distance), float(azimuth), shadow=0.0)
        overlaps.append(overlap(made.mask, coverage / 255))
        errors.append(np.abs(made.depth - depth / 1000)[(made.mask > 0.5) & (coverage > 127)])
    median, high = np.percentile(np.concatenate(errors), [50, 95])
    assert len(overlaps) >= 30 and np.median(overlaps) >= 0.88 and median <= 0.02 and high <= 0.10


def test_the_anchors_plane_is_exact(data):
    """The front of a flat shelf seen from the front, at 2.5 m: edges to a tenth of a pixel, depth to the millimetre."""
    made = stand("room_test_000", "test_000_shelf", 0, 2.5, 0.0)
    _, mask, depth = direct(tiny.ROOMS["room_test_000"], tiny.OBJECTS["test_000_shelf"][1], 0.0, 2.5, 0.0)
    assert abs(made.mask.sum() - mask.sum()) < 0.01 * mask.sum()
    both = (made.mask > 0.9) & (mask > 0.9)
    assert np.median(np.abs(made.depth - depth)[both]) < 0.001


def test_what_is_nearer_hides_the_object(data):
    """A column stands at 3.4 to 3.8 m, to the right: the cabinet covers it or is covered by it."""
    column = tiny.ROOMS["room_train_000"][3][0]
    azimuth = np.degrees(np.arctan2((column[0] + column[1]) / 2, column[2])) + 3.1
    behind, before = cabinet(5.2, azimuth), cabinet(2.6, azimuth)
    assert behind.visible < 0.8 and before.visible == pytest.approx(1)
    _, mask, _ = direct(tiny.ROOMS["room_train_000"], tiny.OBJECTS["train_000_cabinet"][1], 0.0, 5.2, azimuth)
    assert np.mean((behind.mask > 0.5) != (mask > 0.5)) < 0.003


# ---------------------------------------------------------------- its parts
def test_depth_changes_only_where_the_object_covers(data):
    room, made = load_room("room_train_000"), cabinet(azimuth=5.0, yaw=1)
    covered = made.mask > 0.5
    np.testing.assert_array_equal(made.depth[~covered], room.depth[~covered])
    assert np.all(made.depth[covered] < room.depth[covered] + 0.05)
    np.testing.assert_array_equal(made.background, room.image)


def test_edges_are_soft_and_colours_have_no_fringe(data):
    made = cabinet(azimuth=5.0, shadow=0.0)
    soft = (made.mask > 0.02) & (made.mask < 0.98)
    assert soft.sum() > 50
    # At an edge the colour lies between the room's and the object's: it is never darker or brighter than both.
    low = np.minimum(made.background, made.image[made.mask > 0.98].min(0)).astype(int)
    high = np.maximum(made.background, made.image[made.mask > 0.98].max(0)).astype(int)
    assert np.all(made.image[soft] >= low[soft] - 2) and np.all(made.image[soft] <= high[soft] + 2)
    np.testing.assert_array_equal(made.image[made.mask == 0], made.background[made.mask == 0])


def test_the_shadow_falls_on_the_floor_only_and_touches_the_object(data):
    room, made, half = load_room("room_train_000"), cabinet(), cabinet(shadow=0.5)
    darker = made.background.astype(int).sum(-1) - made.image.astype(int).sum(-1) > 20
    shaded = darker & (made.mask == 0)
    assert shaded.sum() > 30 and np.all(room.floor[shaded])
    column, row, _ = floor_point(room.pitch, 2.72, 0.0)  # just in front of the cabinet's foot
    assert darker[int(row), int(column)]
    fall, half_fall = ((one.background.astype(float) - one.image)[shaded].mean() for one in (made, half))
    assert half_fall == pytest.approx(fall / 2, rel=0.1)


def test_gain_brightens_the_object_and_nothing_else(data):
    plain, bright = cabinet(), cabinet(gain=1.2)
    inside, outside = plain.mask == 1, plain.mask == 0
    np.testing.assert_array_equal(bright.image[outside], plain.image[outside])
    np.testing.assert_allclose(bright.image[inside], np.minimum(plain.image[inside] * 1.2, 255), atol=2)
    np.testing.assert_array_equal(cabinet(colors=1.2 * np.eye(3)).image, bright.image)


def test_flip_mirrors_everything(data):
    plain, flipped = (stand("room_train_000", "train_001_table", 3, 3.0, 5.0, flip=flip) for flip in (False, True))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(flipped, name), getattr(plain, name)[:, ::-1])


def test_an_object_out_of_sight_leaves_the_room_as_it_is(data):
    assert cabinet().inside == pytest.approx(1, abs=0.01)
    assert cabinet(azimuth=30.0).inside == pytest.approx(0.5, abs=0.1)
    made = cabinet(azimuth=50.0, flip=True)
    assert made.inside == made.visible == 0 and made.mask.max() == 0
    np.testing.assert_array_equal(made.image, load_room("room_train_000").image[:, ::-1])


@pytest.mark.parametrize("flip", [False, True])
def test_a_composites_pictures_are_the_callers_own(data, flip):
    room = load_room("room_train_000")
    image, depth, spoiled = room.image.copy(), room.depth.copy(), cabinet(flip=flip)
    for name in FIELDS:
        getattr(spoiled, name)[:] = 1
    np.testing.assert_array_equal(room.image, image)
    np.testing.assert_array_equal(room.depth, depth)
