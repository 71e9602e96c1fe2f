"""Photos are read whatever their format, and enlarged masks follow a photo's edges."""

import contextlib
import io
import warnings
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

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


def encode(picture, kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_photos_are_turned_upright_unless_their_exif_data_are_damaged(photo, kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn right by 90 degrees"
    options = {} if kind == "PNG" else {"quality": 95}
    content = encode(Image.fromarray(photo), kind, exif=exif, **options)
    plain = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    for picture in (content, Image.open(io.BytesIO(content))):
        np.testing.assert_array_equal(read_picture(picture, "image"), np.rot90(plain, -1))
    damaged = encode(Image.fromarray(photo), kind, exif=b"Exif\0\0no TIFF header", **options)
    np.testing.assert_array_equal(read_picture(damaged, "image"), plain)


def with_checksums(png: bytes) -> bytes:
    """A PNG file with right check sums, so that decoders look into its chunks."""
    png, position = bytearray(png), 8
    while position < len(png):
        end = position + 8 + int.from_bytes(png[position : position + 4], "big")
        png[end : end + 4] = zlib.crc32(png[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(png)


def png_with_long(kind: bytes) -> bytes:
    """A small PNG file whose text or colour profile expands to 2 MB."""
    content, data = encode(Image.new("RGB", (40, 40))), b"name\0\0" + zlib.compress(bytes(2_000_000))
    return with_checksums(content[:33] + len(data).to_bytes(4, "big") + kind + data + bytes(4) + content[33:])


DARK = Image.fromarray(np.full((40, 60), 4095, np.uint16))  # 12 bits of 16


@pytest.mark.parametrize(
    "picture, message",
    [
        (b"no picture", "photo is not a readable picture: damaged, or in a format that Pillow does not know"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is HEIC, an iPhone's format; save it as JPEG"),
        (encode(Image.effect_noise((64, 96), 99))[:4000], "photo is not a readable picture: image file is truncated"),
        (png_with_long(b"zTXt"), "photo is not a readable picture: Decompressed data too large"),
        (png_with_long(b"iCCP"), "photo is not a readable picture: Decompressed data too large"),
        (Image.fromarray(np.ones((40, 60), np.float32)), "expected 8 or 16 bits per colour, found Pillow mode F"),
        (Image.fromarray(np.arange(2400, dtype=np.int32).reshape(40, 60) * 30), "mode I, values 0 to 71970"),
        (DARK, "expected 16-bit values up to 65535, found none above 4095: scale 12-bit data first"),
        (encode(DARK, "TIFF"), "scale 12-bit data first"),
        (cv2.imencode(".png", np.full((40, 60, 3), 4095, np.uint16))[1].tobytes(), "scale 12-bit data first"),
    ],
)
def test_unreadable_pictures_are_named(picture, message):
    with pytest.raises(ValueError, match=message):
        read_picture(picture, "photo")


def test_mutated_files_are_read_or_refused(photo):
    """No other error, and no warning of Pillow's, reaches the user."""
    random, exif, text = np.random.default_rng(0), Image.Exif(), PngInfo()
    exif[0x010F], exif[0x0112] = "maker", 8
    text.add_text("comment", "words " * 100, zip=True)
    smooth = Image.fromarray(cv2.GaussianBlur(photo, (0, 0), 3))
    options = {"PNG": {"exif": exif, "pnginfo": text}, "JPEG": {"exif": exif}, "WEBP": {"exif": exif}}
    options |= {"TIFF": {"exif": exif}, "GIF": {}, "BMP": {}}
    files = [encode(smooth, kind, **extra) for kind, extra in options.items()]
    read = 0
    for number in range(300):
        content = bytearray(files[number % len(files)])
        for position in random.integers(min(len(content), 300), size=random.integers(1, 4)):
            content[position] = random.integers(256)
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("error")
            is_png = number % len(files) == 0
            read += read_picture(with_checksums(content) if is_png else bytes(content), "image").dtype == np.uint8
    assert 60 < read < 240


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
