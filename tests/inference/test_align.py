"""A background from a slightly different place is aligned with the photo; one that fits already is left alone."""

import itertools
import math

import cv2
import numpy as np
import pytest

from maskdepth_utils.data import MaskDepthDataset, SceneDataset
from maskdepth_utils.inference.align import align

SIZE = 320
CORNERS = np.array([[30, 30, 1], [290, 30, 1], [160, 160, 1], [30, 290, 1], [290, 290, 1]], float).T


def enlarged(shot):
    return [cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for picture in shot[:2]]


@pytest.fixture(scope="module")
def scenes():
    """A few scenes in real light: (image, background) uint8 (320, 320, 3), with true shadows between them."""
    dataset = SceneDataset(160, "none")
    return [enlarged(dataset.shot(i)) for i in range(4)]


def composites(fits):
    """Tripod composites of test rooms and objects, in a fixed order: (image, background, room)."""
    dataset = MaskDepthDataset("test", 160, "tripod")
    for index in np.random.default_rng(1).permutation(len(dataset)):
        shot = dataset.shot(int(index))
        if fits(shot):
            yield *enlarged(shot), shot.about["room"]


def motion(degrees, dx, dy):
    """Rotation about the middle, then a shift in widths: (2, 3), from the photo's pixels to the background's."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.full(2, (SIZE - 1) / 2)
    return np.c_[turn, middle - turn @ middle + SIZE * np.array([dx, dy])]


def moved(picture, matrix):
    return cv2.warpAffine(picture, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)


def motions():
    """Random turns up to 3 degrees and shifts up to 5 % of the width in each direction."""
    random = np.random.default_rng(1)
    while True:
        yield motion(random.uniform(-3, 3), *random.uniform(-0.05, 0.05, 2))


def error(found, matrix):
    """The worst corner's error, in pixels of the network's 160."""
    return np.abs(found.matrix @ CORNERS - matrix @ CORNERS).max() * 160 / SIZE


def test_shifts_and_turns_are_found(scenes):
    errors = []
    for (image, background), matrix in zip(scenes, motions()):
        darker = np.uint8(np.clip(moved(background, matrix) * 0.93 + 4, 0, 255))
        found = align(image, darker)
        errors.append(error(found, matrix))
        assert found.applied and "moved by" in found.reason
        assert found.background.shape == image.shape and found.background.dtype == np.uint8
        before, after = (
            np.abs(x[30:-30, 30:-30] - background[30:-30, 30:-30] * 0.93 - 4).mean() for x in (darker, found.background)
        )
        assert after < 0.5 * before
    assert np.median(errors) < 0.5 and max(errors) < 3


def test_a_large_object_does_not_mislead():
    """The object covers a quarter of the picture or more, and exposure, noise and JPEG differ between the shots."""
    large = composites(lambda shot: (shot.mask > 0.5).mean() > 0.25)
    errors = []
    for (image, background, _), matrix in itertools.islice(zip(large, motions()), 6):
        errors.append(error(align(image, moved(background, matrix)), matrix))
    assert np.median(errors) < 1 and np.mean(np.array(errors) > 3) < 0.2


def test_a_background_that_fits_is_left_as_it_is(scenes):
    for image, background in scenes:
        found = align(image, background)
        assert not found.applied and found.background is background and "left as it was" in found.reason
        np.testing.assert_array_equal(found.matrix, np.eye(2, 3))


def test_a_blank_wall_is_left_as_it_is():
    blank = np.full((SIZE, SIZE, 3), 200, np.uint8)
    assert not align(blank, blank).applied


def test_different_rooms_are_left_as_they_are():
    shots = itertools.islice(composites(lambda shot: True), 17)
    pairs = [(a, b) for (a, _, room), (_, b, other) in itertools.pairwise(shots) if room != other]
    reasons = [found.reason for found in (align(image, other) for image, other in pairs) if found.applied]
    assert len(pairs) > 10 and len(reasons) <= 1, reasons


@pytest.mark.parametrize("exposure", [1.0, 0.7])
def test_the_photo_fills_in_what_the_moved_background_does_not_show(scenes, exposure):
    image, background = scenes[0]
    darker = np.rint(moved(background, motion(0, 0.05, 0)) * exposure).astype(np.uint8)  # 16 px to the side
    found = align(image, darker)
    np.testing.assert_allclose(found.background[8:-8, -12:], image[8:-8, -12:] * exposure, atol=2)  # rounded twice
    assert (found.background[:, :-20] != image[:, :-20]).any()


def test_unequal_sizes_are_refused():
    with pytest.raises(ValueError, match="expected equal sizes, found 40 x 50 and 50 x 40"):
        align(np.zeros((50, 40, 3), np.uint8), np.zeros((40, 50, 3), np.uint8))
