"""What users of `load_pretrained` and `Predictor.predict` rely on: sizes, units, cameras, messages."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from maskdepth_utils import load_pretrained
from maskdepth_utils.files import AssetError
from maskdepth_utils.inference.predictor import Predictor, network_size
from maskdepth_utils.metrics import iou
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.networks import MaskDepth
from maskdepth_utils.models.weights import save_pretrained


class Ruler(nn.Module):
    """Stands in for a network: mask where the pictures differ, depth 0.5; records the size that it sees."""

    def forward(self, image, background):
        self.seen = tuple(image.shape[-2:])
        differ = (image - background).abs().amax(1, keepdim=True) > 0.1
        return MaskDepth(torch.where(differ, 8.0, -8.0), torch.full_like(image[:, :1], 0.5))


@pytest.fixture
def ruler():
    return Predictor(Ruler(), {"size": 160}, device="cpu")


def pictures(height, width):
    """A background, and the same with a white rectangle in its middle."""
    background = np.full((height, width, 3), 60, np.uint8)
    image = background.copy()
    image[height // 4 : height // 2, width // 4 : width // 2] = 255
    return image, background


@pytest.mark.parametrize("width, height", [(160, 160), (80, 80), (640, 480), (33, 47), (32, 32), (1000, 60), (60, 400)])
def test_results_have_the_pictures_own_size(ruler, width, height):
    image, background = pictures(height, width)
    mask, depth = ruler.predict(image, background)
    assert mask.shape == depth.shape == (height, width)
    assert mask.dtype == depth.dtype == np.float32
    truth = (image != background).any(-1)
    assert iou(torch.from_numpy(mask)[None, None], torch.from_numpy(truth)[None, None]) > 0.7
    assert min(ruler.model.seen) >= 32


@pytest.mark.parametrize(
    "width, height, seen", [(640, 480, (120, 160)), (480, 640, (213, 160)), (80, 80, (160, 160)), (320, 180, (90, 160))]
)
def test_the_network_sees_pictures_at_their_scale_in_training(ruler, width, height, seen):
    ruler.predict(*pictures(height, width), refine=False)
    assert ruler.model.seen == seen


def test_depth_is_metres_and_follows_the_camera(ruler):
    image, background = pictures(120, 160)
    twice_the_focal_length = 2 * np.degrees(np.arctan(np.tan(np.radians(30)) / 2))
    for camera, metres in (({}, 5.0), ({"fov": twice_the_focal_length}, 10.0), ({"eye_height": 3.0}, 10.0)):
        assert ruler.predict(image, background, **camera).depth == pytest.approx(metres, rel=1e-5)
    # A very tall picture is made smaller, where things look farther away; depth makes up for that.
    assert network_size(100, 1000, 160) == (32, 320)
    assert ruler.predict(*pictures(640, 160)).depth == pytest.approx(2.5)


def test_arrays_pillow_images_and_paths_give_the_same(ruler, tmp_path):
    image, background = pictures(90, 120)
    expected = ruler.predict(image, background)
    for name, picture in (("a.png", image), ("b.png", background)):
        Image.fromarray(picture).save(tmp_path / name)
    for pair in (
        (Image.fromarray(image), Image.fromarray(background)),
        (tmp_path / "a.png", str(tmp_path / "b.png")),
        (Image.fromarray(image).convert("RGBA"), background),
    ):
        for found, wanted in zip(ruler.predict(*pair), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda image: image[:, :-1], ValueError, "expected equal sizes, found 95 x 64 and 96 x 64"),
        (lambda image: image / 255, ValueError, "image: expected uint8 values 0 to 255, found float64"),
        (lambda image: image[..., 0], ValueError, r"image: expected shape \(H, W, 3\), found \(64, 96\)"),
        (lambda image: image[:20], ValueError, "image: expected sides of 32 to 32,766 pixels, .*; found 96 x 20"),
        (lambda image: np.tile(image, (1, 40, 1)), ValueError, "one at most 50 times the other; found 3840 x 64"),
        (torch.from_numpy, TypeError, "image: expected a uint8 array, a Pillow image or a path, found Tensor"),
        (lambda image: None, TypeError, "found NoneType"),
        (lambda image: "none.png", FileNotFoundError, "image: no such file: none.png"),
    ],
)
def test_unfit_pictures_are_refused(ruler, change, error, message):
    image, background = pictures(64, 96)
    with pytest.raises(error, match=message):
        ruler.predict(change(image), background)


@pytest.mark.parametrize("camera", [{"fov": 0}, {"fov": 180}, {"eye_height": 0}])
def test_impossible_cameras_are_refused(ruler, camera):
    with pytest.raises(ValueError, match=f"{next(iter(camera))}: expected"):
        ruler.predict(*pictures(64, 96), **camera)


def test_shipped_networks_are_compared_with_their_checksums(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKDEPTH_DATA", str(tmp_path))
    folder = tmp_path / "checkpoints"
    (tmp_path / "rooms").mkdir()
    folder.mkdir()
    with pytest.raises(AssetError, match="masknet.safetensors is missing"):
        load_pretrained("masknet")
    path = folder / "maskdepthnet.safetensors"
    save_pretrained(MaskDepthNet(width=0.125), path)
    with pytest.raises(AssetError, match="SHA256SUMS is missing"):
        load_pretrained()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  maskdepthnet.safetensors\n")
    assert load_pretrained(device="cpu").metadata["network"] == "MaskDepthNet"
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  maskdepthnet.safetensors\n")
    with pytest.raises(AssetError, match=f"found {digest[:16]}.*git checkout"):
        load_pretrained()
    assert load_pretrained(path).metadata["network"] == "MaskDepthNet"  # a named file may be anyone's
