"""Two shots of one place differ as the level of the gap says."""

import cv2
import numpy as np
import pytest

from maskdepth_utils.data.shots import GAPS, draw_level, expose, jpeg, move, shoot
from maskdepth_utils.draws import Draws


@pytest.fixture(scope="module")
def picture():
    """A smooth random texture, in which shifts can be measured."""
    noise = np.random.default_rng(0).uniform(0, 255, (160, 160, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.uint8(np.clip((smooth - smooth.mean()) / smooth.std() * 35 + 128, 0, 255))


def gray(image):
    return image.mean(-1).astype(np.float32)


def shift_between(a, b):
    """Sub-pixel shift (x, y) from a to b by least squares on the gradient (Lucas and Kanade 1981)."""
    a, b = ((gray(image) - gray(image).mean()) / gray(image).std() for image in (a, b))
    dy, dx = np.gradient((a + b) / 2)
    inner = np.s_[5:-5, 5:-5]
    slopes = np.stack([dx[inner].ravel(), dy[inner].ravel()], 1)
    return -np.linalg.lstsq(slopes, (b - a)[inner].ravel(), rcond=None)[0]


@pytest.mark.parametrize("gap", GAPS)
def test_the_same_draws_make_the_same_shots(picture, gap):
    first, again, other = (shoot(picture, picture, gap, Draws(0, "train", i)) for i in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first[0].dtype == first[1].dtype == np.uint8 and first[0].shape == picture.shape
    assert gap == "none" or not np.array_equal(first, other)


def test_only_a_hand_moves_and_only_the_background_by_less_than_two_pixels(picture):
    pairs = {gap: [shoot(picture, picture, gap, Draws(0, "t", i)) for i in range(15)] for gap in ("tripod", "handheld")}
    shifts = {gap: np.abs([[shift_between(picture, one) for one in pair] for pair in pairs[gap]]) for gap in pairs}
    assert shifts["tripod"].max() < 0.1 and shifts["handheld"][:, 0].max() < 0.1
    assert shifts["handheld"][:, 1].max() < 1.8 and 0.4 < shifts["handheld"][:, 1].mean() < 1.2


def test_mixed_draws_each_level_by_its_share():
    drawn = [draw_level("mixed", Draws(0, "train", i)) for i in range(1000)]
    assert {name: round(drawn.count(name) / 1000, 1) for name in set(drawn)} == {
        "none": 0.2, "tripod": 0.4, "handheld": 0.4,
    }  # fmt: skip


def test_moving_keeps_the_sharpness():
    texture = np.random.default_rng(1).integers(0, 256, (160, 160, 3), np.uint8)
    texture = cv2.GaussianBlur(texture, (0, 0), 0.8)
    before, *after = (
        np.abs(np.diff(gray(image), axis=1)).mean()
        for image in (texture, *(move(texture, Draws(0, "t", i)) for i in range(30)))
    )
    assert 0.8 < np.mean(after) / before < 1.1


def test_two_shots_differ_in_light_and_colour(picture):
    means = np.array([expose(picture, Draws(0, "t", i)).mean((0, 1)) / picture.mean((0, 1)) for i in range(60)])
    assert 0.03 < means.mean(1).std() < 0.12 and means.min() > 0.75 and means.max() < 1.3  # exposure
    assert 0.01 < (means / means.mean(1, keepdims=True)).std() < 0.05  # white balance


def test_noise_lies_between_its_bounds_and_grows_with_the_light():
    flat = np.full((160, 160, 3), 128, np.uint8)
    spread = np.array([expose(flat, Draws(0, "t", i)).std((0, 1)).mean() for i in range(60)]) / 255
    assert spread.max() < 0.035 and np.median(spread) < 0.015 and spread.max() > 0.015
    noisiest = int(spread.argmax())
    dark, light = (expose(np.full_like(flat, v), Draws(0, "t", noisiest)).std() for v in (40, 200))
    assert dark < light


def test_jpeg_loses_more_at_lower_quality(picture):
    loss = [np.abs(jpeg(picture, quality).astype(int) - picture).mean() for quality in (95, 60, 20)]
    assert 0 < loss[0] < loss[1] < loss[2]
    np.testing.assert_allclose(jpeg(picture, 95).mean((0, 1)), picture.mean((0, 1)), atol=1)  # channels in order
