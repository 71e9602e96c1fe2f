"""One's own photos: whatever Pillow opens is read alike, enlarged masks follow the photo's edges."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from maskdepth_utils.inference.photos import cut_out, read_picture, refine_mask
from maskdepth_utils.plots import color_depth


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def test_gray_and_16_bit_become_8_bit_rgb(tmp_path):
    gray = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27
    cv2.imwrite(str(tmp_path / "deep.png"), gray)  # as a scientific camera saves it
    deep = read_picture(tmp_path / "deep.png", "image")
    assert deep.dtype == np.uint8 and deep.shape == (40, 60, 3)
    np.testing.assert_array_equal(deep[..., 0], gray // 257)
    shallow = np.uint8(gray // 257)
    np.testing.assert_array_equal(read_picture(Image.fromarray(shallow), "image"), np.dstack([shallow] * 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB", "HSV"])
def test_every_mode_of_pillow_is_read(photo, mode):
    made = Image.fromarray(photo).convert("L" if mode == "LA" else "RGB").convert(mode)
    assert read_picture(made, "image").shape == (40, 60, 3)


def test_what_is_transparent_is_white(photo):
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, 30:] = 255
    flat = read_picture(Image.fromarray(np.dstack([photo, alpha])), "image")
    assert (flat[:, :30] == 255).all()
    np.testing.assert_array_equal(flat[:, 30:], photo[:, 30:])


def test_numbers_of_unknown_white_are_refused():
    with pytest.raises(ValueError, match="image: expected 8 or 16 bits per colour, found Pillow mode F"):
        read_picture(Image.fromarray(np.ones((40, 60), np.float32)), "image")
    too_large = np.linspace(0, 70000, 2400, dtype=np.int32).reshape(40, 60)
    with pytest.raises(ValueError, match="found values 0 to 70000"):
        read_picture(Image.fromarray(too_large), "image")


def scene(size=640):
    """A large photo: a disc and a thin bar on a wall of another colour; returns (image, background, mask)."""
    random = np.random.default_rng(0)
    background = np.uint8(np.clip(random.normal([150, 160, 140], 4, (size, size, 3)), 0, 255))
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 3), size // 6, 1, -1)
    cv2.line(mask, (size // 2, size // 3), (size // 3, size - 40), 1, size // 32)
    image = np.where(mask[..., None] > 0, np.uint8([90, 60, 50]), background)
    return image, background, mask.astype(np.float32)


def overlap(a, b):
    a, b = a > 0.5, b > 0.5
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_an_enlarged_mask_follows_the_photos_edges(factor):
    image, background, truth = scene()
    small = cv2.resize(truth, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    plain = cv2.resize(small, truth.shape, interpolation=cv2.INTER_LINEAR)
    fine = refine_mask(plain, image, background, factor)
    assert fine.dtype == np.float32 and fine.shape == truth.shape and 0 <= fine.min() and fine.max() <= 1
    assert overlap(fine, truth) >= 0.98
    assert np.abs(fine - truth).mean() < 0.4 * np.abs(plain - truth).mean()


def test_a_mask_of_the_networks_own_size_stays_as_it_is():
    image, background, truth = scene(160)
    assert refine_mask(truth, image, background, 1.0) is truth


def test_large_photos_take_no_gigabytes():
    pytest.importorskip("resource", reason="only Unix tells a process's peak memory so")
    # In a process of its own: the peak is one of its whole life.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found, kilobytes = pool.submit(refine_large).result()
    assert found > 0.97
    assert kilobytes < 1e6 or sys.platform == "darwin"  # macOS counts bytes


def refine_large() -> tuple:
    """Refine the mask of a photo 3,000 px wide: its overlap with the truth, and how far the peak of memory rose."""
    import resource

    image, background, truth = scene(3000)
    refine_mask(truth[:300, :300], image[:300, :300], background[:300, :300], 2)  # loads what it needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fine = refine_mask(truth, image, background, 3000 / 160)
    return overlap(fine, truth), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def test_cutout_and_colours(photo):
    mask = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
    cut = cut_out(photo, mask)
    assert cut.shape == (40, 60, 4) and cut.dtype == np.uint8
    np.testing.assert_array_equal(cut[..., :3], photo)
    assert cut[0, 0, 3] == 0 and cut[-1, -1, 3] == 255
    colors = color_depth(1 + 4 * mask)
    assert colors.shape == (40, 60, 3) and colors.dtype == np.uint8
    near, far = colors[0, 0].astype(int), colors[-1, -1].astype(int)
    assert near.sum() > far.sum()  # near is bright
    assert color_depth(np.full((4, 4), 3.0)).std(axis=(0, 1)).max() == 0
