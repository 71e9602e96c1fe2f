"""Photos are read whatever their format, and enlarged masks follow a photo's edges."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils.inference import photos
from maskdepth_utils.inference.photos import read_picture, refine_mask
from maskdepth_utils.metrics import iou


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def test_gray_and_16_bit_become_8_bit_rgb(tmp_path):
    gray = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27
    cv2.imwrite(str(tmp_path / "deep.png"), gray)
    expected = np.dstack([np.uint8(gray // 257)] * 3)
    for picture in (tmp_path / "deep.png", Image.fromarray(expected[..., 0])):
        found = read_picture(picture, "image")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB", "HSV"])
def test_every_mode_of_pillow_is_read(photo, mode):
    made = Image.fromarray(photo).convert("L" if mode == "LA" else "RGB").convert(mode)
    assert read_picture(made, "image").shape == (40, 60, 3)


def test_transparent_parts_become_white(photo):
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, 30:] = 255
    flat = read_picture(Image.fromarray(np.dstack([photo, alpha])), "image")
    assert (flat[:, :30] == 255).all()
    np.testing.assert_array_equal(flat[:, 30:], photo[:, 30:])


@pytest.mark.parametrize(
    "values, found",
    [
        (np.ones((40, 60), np.float32), "Pillow mode F"),
        (np.linspace(0, 70000, 2400, dtype=np.int32).reshape(40, 60), "Pillow mode I, values 0 to 70000"),
    ],
)
def test_values_of_unknown_white_are_refused(values, found):
    with pytest.raises(ValueError, match=f"image: expected 8 or 16 bits per colour, found {found}"):
        read_picture(Image.fromarray(values), "image")


def large_photo(size=640):
    """A disc and a thin bar on a wall of another colour: (image, background, mask)."""
    random = np.random.default_rng(0)
    background = np.uint8(np.clip(random.normal([150, 160, 140], 4, (size, size, 3)), 0, 255))
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 3), size // 6, 1, -1)
    cv2.line(mask, (size // 2, size // 3), (size // 3, size - 40), 1, size // 32)
    image = np.where(mask[..., None] > 0, np.uint8([90, 60, 50]), background)
    return image, background, mask.astype(np.float32)


def overlap(mask, truth) -> float:
    return float(iou(*(torch.from_numpy(x)[None, None] for x in (mask, truth))))


@pytest.mark.parametrize("factor", [2, 8])
def test_an_enlarged_mask_follows_the_photos_edges(factor):
    image, background, truth = large_photo()
    small = cv2.resize(truth, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    plain = cv2.resize(small, truth.shape, interpolation=cv2.INTER_LINEAR)
    fine = refine_mask(plain, image, background, factor)
    assert fine.dtype == np.float32 and fine.shape == truth.shape and 0 <= fine.min() and fine.max() <= 1
    assert overlap(fine, truth) >= 0.98
    assert np.abs(fine - truth).mean() < 0.4 * np.abs(plain - truth).mean()
    assert refine_mask(plain, image, background, 1.0) is plain  # of the network's own size


def test_very_large_photos_are_refined_at_a_smaller_size(monkeypatch):
    monkeypatch.setattr(photos, "MAX_REFINED_SIDE", 480)
    image, background, truth = large_photo()
    fine = refine_mask(truth, image, background, 4)
    assert fine.shape == truth.shape and overlap(fine, truth) > 0.97
