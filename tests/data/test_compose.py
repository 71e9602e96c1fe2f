"""An object put into a room looks, covers and measures as if a camera had seen it there."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from maskdepth_utils.camera import FOCAL, floor_point
from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.data.compose import compose, zoom
from maskdepth_utils.data.library import cutout_distances, load_cutout, load_room, nearest_distance
from maskdepth_utils.draws import Draws
from maskdepth_utils.metrics import iou

FIELDS = ("image", "background", "mask", "depth")
PIXEL = 2.5 / 207.846  # metres, of a cutout seen from 2.5 m
RED = (200, 60, 50)


def stand(room, name, yaw, distance, azimuth, **options):
    cutout = load_cutout(name, yaw, nearest_distance(cutout_distances(name), distance))
    return compose(load_room(room), cutout, distance, azimuth, **options)


def cabinet(distance=3.0, azimuth=0.0, yaw=4, **options):
    return stand("room_train_000", "train_056_lower_cabinet", yaw, distance, azimuth, **options)


def plate(wall):
    """A red plate of 100 x 125 cutout pixels, 4 m in front of a level camera; walls at these depths in metres."""
    walls = np.uint16(1000 * np.broadcast_to(wall, (160, 160)))
    room = dataclasses.replace(load_room("room_train_000"), pitch=0.0, depth_mm=walls)
    cutout = dataclasses.replace(
        load_cutout("train_056_lower_cabinet", 0, 0), premultiplied=np.full((125, 100, 4), (*RED, 255), np.uint8),
        relief_code=np.full((125, 100), 32768, np.uint16), relief_range=(0.0, 0.0), x0=-50, y0=1.5 / PIXEL - 125,
    )  # fmt: skip
    return compose(room, cutout, 4.0, 0.0, shadow=0.0)


# ---------------------------------------------------------------- against renders and geometry
def test_shipped_objects_agree_with_exact_ray_casts():
    """The same poses, cast by data/render/render_scenes.py --poses."""
    poses = np.load(Path(__file__).parents[1] / "fixtures" / "poses.npz", allow_pickle=False)
    overlaps, errors = [], []
    for room, name, yaw, distance, azimuth, coverage, depth in zip(
        *(poses[key] for key in ("room", "object", "yaw", "distance", "azimuth", "coverage", "depth"))
    ):
        made = stand(str(room), str(name), int(yaw), float(distance), float(azimuth), shadow=0.0)
        pair = (torch.from_numpy(np.float32(mask))[None, None] for mask in (made.mask, coverage / 255))
        overlaps.append(iou(*pair).item())
        errors.append(np.abs(made.depth - depth / 1000)[(made.mask > 0.5) & (coverage > 127)])
    median, high = np.percentile(np.concatenate(errors), [50, 95])
    print(f"IoU {np.median(overlaps):.3f}, worst {min(overlaps):.3f}; depth error {median:.3f} m (95 %: {high:.3f})")
    assert len(overlaps) >= 30 and np.median(overlaps) > 0.97 and min(overlaps) > 0.8
    assert median < 0.01 and high < 0.04


def test_a_plate_is_exact(data):
    """Edges to a tenth of a pixel, depth to the millimetre."""
    made = plate(9.0)
    for axis, length, middle in ((0, 100 * PIXEL, 0), (1, 125 * PIXEL, 1.5 - 62.5 * PIXEL)):
        profile = made.mask.sum(axis) / made.mask.sum(axis).max()
        assert profile.sum() == pytest.approx(length * FOCAL / 4, abs=0.1)
        assert np.average(np.arange(160) + 0.5, weights=profile) == pytest.approx(80 + middle * FOCAL / 4, abs=0.1)
    np.testing.assert_allclose(made.depth[made.mask > 0.5], 4, atol=0.001)


def test_what_is_nearer_hides_the_object(data):
    hidden, whole = plate(np.where(np.arange(160) < 80, 2.0, 9.0)), plate(9.0)
    assert hidden.about["visible"] == pytest.approx(0.5, abs=0.01) and whole.about["visible"] == pytest.approx(1)
    assert hidden.mask[:, :80].max() == 0 and np.array_equal(hidden.mask[:, 80:], whole.mask[:, 80:])


# ---------------------------------------------------------------- enlarged
def test_zoom_keeps_floor_and_object_where_the_canonical_camera_would_see_them(data):
    """On the floor, 1 / depth grows linearly with the row, by a step that only the eye's height decides."""
    plain, zoomed = (MaskDepthDataset("train", gap="none", rooms=4, zoom=zoom) for zoom in (False, True))
    changed = 0
    for index in range(24):
        a, b = plain.shot(index), zoomed.shot(index)
        assert b.mask.sum() > 0 and a.about == b.about
        assert np.array_equal(b.image[b.mask == 0], b.background[b.mask == 0])
        slopes = [np.median(1 / shot.depth[-1] - 1 / shot.depth[-17]) for shot in (a, b)]
        assert slopes[1] == pytest.approx(slopes[0], rel=0.1)
        changed += not np.array_equal(a.depth, b.depth)
    assert 12 <= changed < 24


def test_zoom_shows_a_part_of_the_composite(data):
    composite = cabinet()
    zoomed = [zoom(composite, Draws(0, "train", index)) for index in range(40)]
    assert sum(one is composite for one in zoomed) in range(4, 20)
    for one in zoomed:
        assert one.mask.sum() >= 0.99 * composite.mask.sum() * 0.5  # half of it stays, enlarged or not
        share = one.depth.min() / composite.depth.min()
        assert 0.7 <= share <= 1.3 and one.depth.max() <= composite.depth.max()


# ---------------------------------------------------------------- its parts
def test_depth_changes_only_where_the_object_covers(data):
    room, made = load_room("room_train_000"), cabinet(azimuth=5.0, yaw=1)
    covered = made.mask > 0.5
    np.testing.assert_array_equal(made.depth[~covered], room.depth[~covered])
    assert np.all(made.depth[covered] < room.depth[covered] + 0.05)
    np.testing.assert_array_equal(made.background, room.image)


def test_edges_are_soft_and_colours_have_no_fringe(data):
    made = plate(9.0)
    soft = (made.mask > 0.02) & (made.mask < 0.98)
    assert soft.sum() > 50
    # At an edge the colour lies between the room's and the object's: it is never darker or brighter than both.
    low, high = (np.int64(choose(made.background, RED)) for choose in (np.minimum, np.maximum))
    assert np.all(made.image[soft] >= low[soft] - 2) and np.all(made.image[soft] <= high[soft] + 2)
    np.testing.assert_array_equal(made.image[made.mask == 0], made.background[made.mask == 0])


def test_the_shadow_falls_on_the_floor_only_and_touches_the_object(data):
    room, made, half = load_room("room_train_000"), cabinet(), cabinet(shadow=0.5)
    darker = made.background.astype(int).sum(-1) - made.image.astype(int).sum(-1) > 20
    shaded = darker & (made.mask == 0)
    assert shaded.sum() > 30 and np.all(room.floor[shaded])
    column, row, _ = floor_point(room.pitch, 2.66, 0.0)  # just in front of the cabinet's foot
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
    plain, flipped = (stand("room_train_000", "train_064_table", 3, 3.0, 5.0, flip=flip) for flip in (False, True))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(flipped, name), getattr(plain, name)[:, ::-1])


def test_an_object_out_of_sight_leaves_the_room_as_it_is(data):
    assert cabinet().about["inside"] == pytest.approx(1, abs=0.01)
    assert cabinet(azimuth=30.0).about["inside"] == pytest.approx(0.5, abs=0.1)
    made = cabinet(azimuth=50.0, flip=True)
    assert made.about["inside"] == made.about["visible"] == made.mask.max() == 0
    np.testing.assert_array_equal(made.image, load_room("room_train_000").image[:, ::-1])


@pytest.mark.parametrize("flip", [False, True])
def test_a_composites_pictures_are_the_callers_own(data, flip):
    room = load_room("room_train_000")
    image, depth, spoiled = room.image.copy(), room.depth.copy(), cabinet(flip=flip)
    for name in FIELDS:
        getattr(spoiled, name)[:] = 1
    np.testing.assert_array_equal(room.image, image)
    np.testing.assert_array_equal(room.depth, depth)
