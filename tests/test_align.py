"""A background shot from a slightly other place is laid over the photo; a right one is left alone."""

import itertools
import math

import cv2
import numpy as np
import pytest

from maskdepth_utils.data import MaskDepthDataset, SceneDataset
from maskdepth_utils.inference.align import align

SIZE = 320


@pytest.fixture(scope="module")
def scenes():
    """A few scenes in real light: (image, background) uint8 (320, 320, 3), with true shadows between them."""
    shots = [SceneDataset(160, "none").shot(i) for i in range(12)]
    large = [cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for shot in shots for picture in shot[:2]]
    return list(zip(large[::2], large[1::2]))


def motion(degrees, dx, dy):
    """Rotation about the middle, then a shift in widths: (2, 3), from the photo's pixels to the background's."""
    turn = np.array([[math.cos(degrees), -math.sin(degrees)], [math.sin(degrees), math.cos(degrees)]])
    middle = np.full(2, (SIZE - 1) / 2)
    return np.c_[turn, middle - turn @ middle + SIZE * np.array([dx, dy])]


def slips(count):
    """Random shifts up to 5 % of the width in each direction and turns up to 3 degrees."""
    random = np.random.default_rng(1)
    for _ in range(count):
        yield motion(math.radians(random.uniform(-3, 3)), *random.uniform(-0.05, 0.05, 2))


CORNERS = np.array([[30, 30, 1], [290, 30, 1], [160, 160, 1], [30, 290, 1], [290, 290, 1]], float).T


def test_shifts_and_turns_are_found(scenes):
    errors = []
    for (image, background), slip in zip(scenes, slips(len(scenes))):
        shifted = cv2.warpAffine(background, slip, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        shifted = np.uint8(np.clip(shifted * 0.93 + 4, 0, 255))  # the exposure has changed as well
        found = align(image, shifted)
        errors.append(np.abs(found.matrix @ CORNERS - slip @ CORNERS).max() / SIZE)
        assert found.applied and "moved by" in found.reason
        assert found.background.shape == image.shape and found.background.dtype == np.uint8
    print(f"\nworst corner's error in widths: median {np.median(errors):.4f}, worst {max(errors):.4f}")
    assert np.median(errors) < 1 / 320 and max(errors) < 3 / 160  # half a pixel of the network's, and three


def composites(fits):
    """Tripod composites of test rooms and objects, in a fixed order and enlarged: (image, background, room)."""
    dataset = MaskDepthDataset("test", 160, "tripod")
    for index in np.random.default_rng(1).permutation(len(dataset)):
        shot = dataset.shot(int(index))
        if fits(shot):
            large = (cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for picture in shot[:2])
            yield *large, shot.about["room"]


def test_a_large_object_does_not_lead_away():
    """The object covers a quarter of the picture or more, and exposure, noise and JPEG differ between the shots."""
    large = composites(lambda shot: (shot.mask > 0.5).mean() > 0.25)
    errors = []
    for (image, background, _), slip in zip(large, slips(12)):
        shifted = cv2.warpAffine(background, slip, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        errors.append(np.abs(align(image, shifted).matrix @ CORNERS - slip @ CORNERS).max() / SIZE)
    print(f"\nworst corner's error in widths: median {np.median(errors):.4f}, all {np.sort(errors).round(4)}")
    pixels = 160 * np.array(errors)  # of the network's
    assert np.median(pixels) < 1 and np.mean(pixels > 3) < 0.2


def test_the_aligned_background_agrees_with_the_true_one(scenes):
    inner = np.s_[30:-30, 30:-30]
    for (image, background), slip in zip(scenes[:4], slips(4)):
        shifted = cv2.warpAffine(background, slip, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        before, after = (
            np.abs(picture[inner].astype(float) - background[inner]).mean()
            for picture in (shifted, align(image, shifted).background)
        )
        assert after < 0.4 * before


def test_what_fits_already_is_left_as_it_is(scenes):
    for image, background in scenes:
        found = align(image, background)
        assert not found.applied and found.background is background and "left as it was" in found.reason
        np.testing.assert_array_equal(found.matrix, np.eye(2, 3))


def test_another_room_or_a_blank_wall_is_left_as_it_is(scenes):
    (image, _), (_, other) = scenes[0], scenes[1]
    assert not align(image, other).applied
    blank = np.full((SIZE, SIZE, 3), 200, np.uint8)
    assert not align(blank, blank).applied


def test_different_rooms_are_left_as_they_are():
    shots = list(itertools.islice(composites(lambda shot: True), 61))
    pairs = [(a, b) for (a, _, room), (_, b, other) in itertools.pairwise(shots) if room != other]
    found = [align(image, other) for image, other in pairs]
    forced = [alignment.reason for alignment in found if alignment.applied]
    assert len(pairs) > 40 and len(forced) <= 1, forced


@pytest.mark.parametrize("exposure", [1.0, 0.7])
def test_what_the_shifted_background_does_not_show_comes_from_the_photo_at_its_exposure(scenes, exposure):
    image, background = scenes[0]
    slip = motion(0, 0.05, 0)  # 16 px
    moved = cv2.warpAffine(background, slip, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
    found = align(image, np.rint(moved * exposure).astype(np.uint8))
    expected = image[8:-8, -12:] * exposure
    np.testing.assert_allclose(found.background[8:-8, -12:], expected, atol=2)  # of 255: rounded twice
    assert (found.background[:, :-20] != image[:, :-20]).any()


def test_unequal_sizes_are_refused():
    with pytest.raises(ValueError, match="expected equal sizes, found 40 x 50 and 50 x 40"):
        align(np.zeros((50, 40, 3), np.uint8), np.zeros((40, 50, 3), np.uint8))
