"""Where a sample is made in a quicker way than the plain one, it has the plain one's numbers."""

import threading
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from maskdepth_utils.data import library, shots
from maskdepth_utils.data.compose import compose
from maskdepth_utils.data.library import load_cutout, load_room
from maskdepth_utils.draws import Draws
from maskdepth_utils.files import find_entry, open_picture

SEED, SPLIT, INDEX, STREAM = 2**63 + 5, "train", 2**40 + 1, 77


def plain_stream(count):
    """The first 64-bit numbers of a stream, from a generator of its own."""
    key = np.array([SEED, zlib.crc32(SPLIT.encode())], np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, STREAM, INDEX], np.uint64)).random_raw(count)


@pytest.mark.parametrize("counts", [(1, 2, 3, 4, 5, 6), (16, 9600, 16), (7, 16, 1, 16)])
def test_a_stream_goes_on_where_it_stopped_whatever_was_fetched(counts):
    draws = Draws(SEED, SPLIT, INDEX, STREAM)
    got = []
    for count in counts:
        got.append(draws.bytes(count, 8).view("<u8").ravel())
        Draws(0, "val", 3).uniform()  # another stream draws in between
    np.testing.assert_array_equal(np.concatenate(got), plain_stream(sum(counts)))


def test_numbers_and_bytes_share_one_stream():
    draws, plain = Draws(SEED, SPLIT, INDEX, STREAM), plain_stream(100)
    first = [draws.uniform() for _ in range(17)]  # two fetches of 16
    noise = draws.bytes(3, 5)
    assert first == [(int(bits) >> 11) * 2.0**-53 for bits in plain[:17]]
    np.testing.assert_array_equal(noise.ravel(), plain[32:34].astype("<u8").view(np.uint8)[:15])


def test_threads_do_not_disturb_each_other():
    wanted = {i: Draws(0, "train", i).bytes(5000).tobytes() for i in range(8)}
    wrong = []

    def draw(i):
        wrong.extend(i for _ in range(50) if Draws(0, "train", i).bytes(5000).tobytes() != wanted[i])

    threads = [threading.Thread(target=draw, args=(i,)) for i in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_moving_four_channels_moves_three_the_same():
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8), (0, 0), 1)
    for index in range(10):
        draws = Draws(0, "t", index)
        angle = draws.uniform(-shots.ROTATION, shots.ROTATION)
        matrix = cv2.getRotationMatrix2D((79.5, 79.5), angle, 1.0)
        matrix[:, 2] += [160 * draws.uniform(-shots.SHIFT, shots.SHIFT) for _ in range(2)]
        moved = cv2.warpAffine(picture, matrix, (160, 160), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        plain = cv2.filter2D(moved, -1, shots.SHARPEN)
        np.testing.assert_allclose(shots.move(picture, Draws(0, "t", index)).astype(int), plain, atol=1)


def test_premultiplied_colours_are_rounded_products(data):
    sheet = np.asarray(Image.open(data / "objects/train_001_table_color.webp")).astype(int)
    frame = find_entry("objects", "train_001_table", data)[1]["distances"][0]["frame"]
    for number in range(8):
        cutout = load_cutout("train_001_table", number, 0)
        height, width = cutout.relief_code.shape
        top, left = int(cutout.y0) - frame["y0"], int(cutout.x0) - frame["x0"] + number * frame["width"]
        cell = sheet[top : top + height, left : left + width]
        alpha = cell[..., 3:]
        np.testing.assert_array_equal(cutout.premultiplied[..., :3], (cell[..., :3] * alpha + 127) // 255)
        np.testing.assert_array_equal(cutout.premultiplied[..., 3:], alpha)
        seen = cutout.relief[alpha[..., 0] > 0]
        assert cutout.relief_range == pytest.approx((seen.min(), seen.max()), abs=1e-6)
        assert cutout.area == pytest.approx(alpha.sum() / 255 * (cutout.distance / cutout.focal) ** 2)


def test_a_rooms_views_decode_its_files_once(own_data, monkeypatch):
    opened, real = [], open_picture
    monkeypatch.setattr(library, "open_picture", lambda path, *rest: opened.append(path.name) or real(path, *rest))
    views = [load_room("room_train_001", view) for view in range(library.VIEWS)]
    assert opened == ["room_train_001.webp", "room_train_001_depth.png"]
    assert len({view.image.tobytes() for view in views}) == library.VIEWS


def test_the_floor_is_shared_and_cannot_be_changed_by_accident(data):
    room = load_room("room_train_000")
    with pytest.raises(ValueError, match="read-only"):
        room.floor[0] = True
    assert room.floor is load_room("room_train_000").floor


@pytest.mark.parametrize("flip", [False, True])
def test_a_composites_pictures_are_the_callers_own(data, flip):
    room, cutout = load_room("room_train_000"), load_cutout("train_000_cabinet", 0, 0)
    before = room.image.copy(), room.depth.copy(), compose(room, cutout, 3.0, 0.0, flip)
    made = compose(room, cutout, 3.0, 0.0, flip)
    for name in ("image", "background", "mask", "depth"):
        getattr(made, name)[:] = 1
    np.testing.assert_array_equal(room.image, before[0])
    np.testing.assert_array_equal(room.depth, before[1])
    again = compose(room, cutout, 3.0, 0.0, flip)
    for name in ("image", "background", "mask", "depth"):
        np.testing.assert_array_equal(getattr(again, name), getattr(before[2], name))
