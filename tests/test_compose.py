"""An object put into a room looks, covers and measures as if a camera had seen it there."""

import dataclasses

import numpy as np
import pytest
import tiny_data as tiny

from maskdepth_utils.camera import floor_point
from maskdepth_utils.data.compose import compose
from maskdepth_utils.data.library import load_cutout, load_room, nearest_distance
from maskdepth_utils.data.placement import MIN_DISTANCE, footprint, is_free, place
from maskdepth_utils.draws import Draws

# room, object, yaw number, distance, azimuth: near and far, right and left, turned, cut off by the edge
POSES = [
    ("room_train_000", "train_000_cabinet", 1, 2.4, 7.0),
    ("room_train_001", "train_001_table", 6, 3.9, 1.0),
    ("room_train_002", "train_002_chair", 5, 5.5, -8.0),
    ("room_train_003", "train_001_table", 3, 3.4, -19.0),
    ("room_train_000", "train_002_chair", 7, 2.6, -24.0),
    ("room_train_001", "train_000_cabinet", 2, 3.6, 15.0),
    ("room_test_000", "test_000_shelf", 0, 4.5, -5.0),
    ("room_train_003", "train_001_table", 0, 5.0, 10.0),
]


def stand(room, name, yaw, distance, azimuth, view=0, **options):
    cutout = load_cutout(name, yaw, nearest_distance(tiny.DISTANCES, distance))
    return compose(load_room(room, view), cutout, distance, azimuth, **options)


def test_composites_agree_with_direct_renders(data):
    overlaps, errors = [], []
    for room, name, yaw, distance, azimuth in POSES:
        made = stand(room, name, yaw, distance, azimuth)
        pose = tiny.YAWS[yaw], distance, azimuth
        _, mask, depth = tiny.direct(tiny.ROOMS[room], tiny.OBJECTS[name][1], *pose)
        mine, true = made.mask > 0.5, mask > 0.5
        overlaps.append((mine & true).sum() / (mine | true).sum())
        errors.append(np.abs(made.depth - depth)[mine & true])
        assert np.abs(made.mask - mask).mean() < 0.01
    assert min(overlaps) > 0.9 and np.median(overlaps) > 0.97
    errors = np.concatenate(errors)
    assert np.median(errors) < 0.01 and np.percentile(errors, 95) < 0.06


def test_the_anchors_plane_is_exact(data):
    """The front of a flat shelf seen from the front, at 2.5 m: edges to a tenth of a pixel, depth to the
    millimetre."""
    made = stand("room_test_000", "test_000_shelf", 0, 2.5, 0.0)
    _, mask, depth = tiny.direct(tiny.ROOMS["room_test_000"], tiny.OBJECTS["test_000_shelf"][1], 0.0, 2.5, 0.0)
    assert abs(made.mask.sum() - mask.sum()) < 0.01 * mask.sum()
    both = (made.mask > 0.9) & (mask > 0.9)
    assert np.median(np.abs(made.depth - depth)[both]) < 0.001


def test_depth_changes_only_where_the_object_covers(data):
    room, made = load_room("room_train_000"), stand("room_train_000", "train_000_cabinet", 1, 3.0, 5.0)
    covered = made.mask > 0.5
    np.testing.assert_array_equal(made.depth[~covered], room.depth[~covered])
    assert np.all(made.depth[covered] < room.depth[covered] + 0.05)
    np.testing.assert_array_equal(made.background, room.image)


def test_edges_are_soft_and_colours_have_no_fringe(data):
    made = stand("room_train_000", "train_000_cabinet", 0, 3.0, 5.0, shadow=False)
    soft = (made.mask > 0.02) & (made.mask < 0.98)
    assert soft.sum() > 50
    # at an edge the colour lies between the room's and the object's, so it is never darker or brighter than
    # both
    low = np.minimum(made.background, made.image[made.mask > 0.98].min(0)).astype(int)
    high = np.maximum(made.background, made.image[made.mask > 0.98].max(0)).astype(int)
    assert np.all(made.image[soft] >= low[soft] - 2) and np.all(made.image[soft] <= high[soft] + 2)
    outside = made.mask == 0
    np.testing.assert_array_equal(made.image[outside], made.background[outside])


def test_the_shadow_falls_on_the_floor_only_and_touches_the_object(data):
    room = load_room("room_train_000")
    made = stand("room_train_000", "train_000_cabinet", 0, 3.0, 0.0)
    darker = made.background.astype(int).sum(-1) - made.image.astype(int).sum(-1) > 20
    shaded = darker & (made.mask == 0)
    assert shaded.sum() > 30 and np.all(room.floor[shaded])
    column, row, _ = floor_point(room.pitch, 2.72, 0.0)  # just in front of the cabinet's foot
    assert darker[int(row), int(column)]
    half = stand("room_train_000", "train_000_cabinet", 0, 3.0, 0.0, shadow=0.5)
    fall = (made.background.astype(float) - made.image)[shaded].mean()
    assert (half.background.astype(float) - half.image)[shaded].mean() == pytest.approx(fall / 2, rel=0.1)


def test_what_is_nearer_hides_the_object(data):
    """A column stands at 3.4 to 3.8 m, to the right. In front of it the cabinet covers it, behind it is
    covered."""
    column = tiny.ROOMS["room_train_000"][3][0]
    azimuth = np.degrees(np.arctan2((column[0] + column[1]) / 2, column[2])) + 3.1
    behind = stand("room_train_000", "train_000_cabinet", 0, 5.2, azimuth)
    before = stand("room_train_000", "train_000_cabinet", 0, 2.6, azimuth)
    assert behind.visible < 0.8 and before.visible == pytest.approx(1)
    _, mask, _ = tiny.direct(tiny.ROOMS["room_train_000"], tiny.OBJECTS["train_000_cabinet"][1], 0.0, 5.2, azimuth)
    assert np.mean((behind.mask > 0.5) != (mask > 0.5)) < 0.003


def test_flip_mirrors_everything(data):
    plain = stand("room_train_000", "train_001_table", 3, 3.0, 5.0)
    flipped = stand("room_train_000", "train_001_table", 3, 3.0, 5.0, flip=True)
    for name in ("image", "background", "mask", "depth"):
        np.testing.assert_array_equal(getattr(flipped, name), getattr(plain, name)[:, ::-1])


def test_gain_brightens_the_object_and_nothing_else(data):
    plain = stand("room_train_000", "train_000_cabinet", 0, 3.0, 0.0)
    bright = stand("room_train_000", "train_000_cabinet", 0, 3.0, 0.0, gain=1.2)
    inside, outside = plain.mask == 1, plain.mask == 0
    np.testing.assert_array_equal(bright.image[outside], plain.image[outside])
    expected = np.minimum(plain.image[inside] * 1.2, 255)
    np.testing.assert_allclose(bright.image[inside], expected, atol=2)


def test_a_matrix_as_gain_recolors_the_object(data):
    plain, same, half = (
        stand("room_train_000", "train_000_cabinet", 0, 3.0, 0.0, gain=gain).image
        for gain in (1.0, np.eye(3), 0.5 * np.eye(3))
    )
    np.testing.assert_array_equal(same, plain)
    np.testing.assert_array_equal(half, stand("room_train_000", "train_000_cabinet", 0, 3.0, 0.0, gain=0.5).image)
    assert not np.array_equal(half, plain)


def test_an_object_out_of_sight_leaves_the_room_as_it_is(data):
    made = stand("room_train_000", "train_000_cabinet", 0, 3.0, 80.0, flip=True)
    assert made.inside == made.visible == 0 and made.mask.max() == 0
    np.testing.assert_array_equal(made.image, load_room("room_train_000").image[:, ::-1])


def test_shares_inside_and_visible(data):
    assert stand("room_train_000", "train_000_cabinet", 0, 3.0, 0.0).inside == pytest.approx(1, abs=0.01)
    assert stand("room_train_000", "train_000_cabinet", 0, 3.0, 30.0).inside == pytest.approx(0.5, abs=0.1)


def test_the_nearest_cutout_is_nearest_in_ratio():
    assert nearest_distance((2.5, 5.0), 3.5) == 0 and nearest_distance((2.5, 5.0), 3.6) == 1


# ---------------------------------------------------------------- places
def test_a_footprint_is_where_the_object_stands(data):
    room = dataclasses.replace(load_room("room_train_000"), pan=0.0)
    corners = np.array(footprint(room, (0.8, 0.5, 1.1), 0.0, 3.0, 0.0))
    np.testing.assert_allclose(corners, [[-0.4, 2.75], [0.4, 2.75], [0.4, 3.25], [-0.4, 3.25]])
    # turned by 90 degrees it is as wide as it was deep; panned to the right it stands to the right
    wide = np.ptp(footprint(room, (0.8, 0.5, 1.1), 90.0, 3.0, 0.0), axis=0)
    np.testing.assert_allclose(wide, [0.5, 0.8], atol=1e-9)
    assert np.mean(footprint(dataclasses.replace(room, pan=10.0), (0.8, 0.5, 1.1), 0.0, 3.0, 0.0), axis=0)[0] > 0


def test_the_footprint_turns_the_same_way_as_the_picture(data):
    """Turned by 45 degrees, a cabinet's nearest corner lies to one side: to the same in picture and floor
    plan."""
    room = dataclasses.replace(load_room("room_train_000"), pan=0.0)
    for yaw in (1, 3):
        cutout = load_cutout("train_000_cabinet", yaw, 0)
        relief = np.where(cutout.color[..., 3] == 255, cutout.relief, np.inf)
        column = np.unravel_index(relief.argmin(), relief.shape)[1] + 0.5 + cutout.x0
        corners = footprint(room, cutout.size, cutout.yaw, 2.5, 0.0)
        nearest = min(corners, key=lambda corner: corner[1])
        assert np.sign(nearest[0]) == np.sign(column)
        assert nearest[0] / nearest[1] == pytest.approx(column / cutout.focal, abs=0.01)


def test_free_floor(data):
    room = dataclasses.replace(load_room("room_train_000"), pan=0.0)

    def free(distance, azimuth):
        return is_free(room, footprint(room, (0.8, 0.5, 1), 0.0, distance, azimuth))

    assert free(3.0, 0.0)
    assert free(5.7, 0.0) and not free(5.75, 0.0)  # the wall is at 6 m
    column = np.degrees(np.arctan2(1.4, 3.6))
    assert not free(np.hypot(1.4, 3.6), column)
    # Off the column's corner (1.6, 3.8), a square standing on its tip is free although its bounding box is
    # not.
    tip = lambda r: [(1.9, 4.1 - r), (1.9 + r, 4.1), (1.9, 4.1 + r), (1.9 - r, 4.1)]  # noqa: E731
    assert is_free(room, tip(0.55)) and not is_free(room, tip(0.58))  # 0.6 would touch, and 3 cm are kept


@pytest.mark.parametrize("name", ["train_000_cabinet", "train_001_table", "train_002_chair"])
def test_places_are_valid_and_vary(data, name):
    placements = []
    for index in range(40):
        room = load_room(f"room_train_00{index % 4}", index % 5)
        placement = place(room, name, Draws(0, "train", index))
        cutout, made = placement.cutout, placement.projection
        corners = footprint(room, cutout.size, cutout.yaw, placement.distance, placement.azimuth)
        assert is_free(room, corners) and placement.distance >= MIN_DISTANCE
        column, row, z = floor_point(room.pitch, placement.distance, placement.azimuth)
        assert 0 <= column < 160 and 0 <= row < 160 and room.depth[int(row), int(column)] < 1.05 * z + 0.1
        assert np.mean(made.mask > 0.5) >= 0.01 and made.inside >= 0.6
        placements.append(placement)
    assert len({p.yaw for p in placements}) == 8
    assert np.ptp([p.azimuth for p in placements]) > 25
    distances = [p.distance for p in placements]
    assert max(distances) / min(distances) > 1.8
    again = place(load_room("room_train_003", 4), name, Draws(0, "train", 39))
    assert again == placements[39]


def test_an_object_that_fits_in_one_corner_only_is_found(data):
    """Nearly all floor is taken: random draws fail, the grid of places does not."""
    room = dataclasses.replace(load_room("room_train_001"), obstacles=((-3, 2, -1, 2.6), (-3, 2, 3.6, 5)))
    placement = place(room, "train_002_chair", Draws(0, "train", 0))
    pose = 45.0 * placement.yaw, placement.distance, placement.azimuth
    assert is_free(room, footprint(room, (0.48, 0.48, 0.95), *pose))
    assert np.mean(placement.projection.mask > 0.5) >= 0.01


def test_an_object_that_fits_nowhere_is_reported(data):
    room = dataclasses.replace(load_room("room_train_001"), obstacles=((-3, 2, -1, 5),))
    assert place(room, "train_002_chair", Draws(0, "train", 0)) is None
