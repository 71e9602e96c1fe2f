"""What a user of `load_pretrained` and `Predictor.predict` relies on: sizes, units, cameras, messages."""

import copy
import hashlib
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from maskdepth_utils import load_pretrained
from maskdepth_utils.files import write_file
from maskdepth_utils.inference.predictor import Predictor, network_size
from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.networks import MaskDepth
from maskdepth_utils.models.weights import CheckpointError, list_run, read_weights, save_pretrained, tensors_to_bytes


class Ruler(nn.Module):
    """Stands in for a network: mask where the pictures differ, depth 0.5; notes the sizes it sees."""

    def forward(self, image, background):
        self.seen = tuple(image.shape[-2:])
        differ = (image - background).abs().amax(1, keepdim=True) > 0.1
        return MaskDepth(torch.where(differ, 8.0, -8.0), torch.full_like(image[:, :1], 0.5))


@pytest.fixture
def ruler():
    return Predictor(Ruler(), {"size": 160}, device="cpu")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small network and the file it was saved to."""
    torch.manual_seed(0)
    model = MaskDepthNet(width=0.125, skips=False).eval()
    path = tmp_path_factory.mktemp("saved") / "net.safetensors"
    save_pretrained(model, path, size=160, training={"samples": 12})
    return model, path


def pictures(height, width):
    """A background, and the same with a white rectangle in its middle."""
    background = np.full((height, width, 3), 60, np.uint8)
    image = background.copy()
    image[height // 4 : height // 2, width // 4 : width // 2] = 255
    return image, background


# --- pictures


@pytest.mark.parametrize("width, height", [(160, 160), (80, 80), (640, 480), (33, 47), (32, 32), (1000, 60), (60, 400)])
def test_results_have_the_pictures_own_size(ruler, width, height):
    image, background = pictures(height, width)
    mask, depth = ruler.predict(image, background)
    assert mask.shape == depth.shape == (height, width)
    assert mask.dtype == depth.dtype == np.float32
    assert 0 <= mask.min() and mask.max() <= 1
    truth = (image != background).any(-1)
    assert (truth & (mask > 0.5)).sum() / (truth | (mask > 0.5)).sum() > 0.7  # and lie where the object is
    assert min(ruler.model.seen) >= 32


def test_the_network_sees_canonical_scale_and_the_aspect_is_kept(ruler):
    for (width, height), seen in {
        (160, 160): (160, 160),
        (640, 480): (120, 160),
        (480, 640): (213, 160),
        (80, 80): (160, 160),
        (320, 180): (90, 160),
    }.items():
        ruler.predict(*pictures(height, width))
        assert ruler.model.seen == seen
    assert network_size(100, 1000, 160) == (32, 320)  # very tall ones are made smaller


def test_depth_is_metres_and_follows_the_camera(ruler):
    image, background = pictures(120, 160)
    assert ruler.predict(image, background).depth == pytest.approx(5.0)
    # Twice the focal length (in image widths): twice as far. Twice as high: twice as far.
    narrow = 2 * np.degrees(np.arctan(np.tan(np.radians(30)) / 2))
    assert ruler.predict(image, background, fov=narrow).depth == pytest.approx(10.0, rel=1e-5)
    assert ruler.predict(image, background, eye_height=3.0).depth == pytest.approx(10.0)
    # A very tall picture is seen smaller, where things look farther off: that is made up for.
    assert ruler.predict(*pictures(640, 160)).depth == pytest.approx(2.5)


def test_arrays_pillow_images_and_paths_give_the_same(ruler, tmp_path):
    image, background = pictures(90, 120)
    expected = ruler.predict(image, background)
    for name, picture in (("a.png", image), ("b.png", background)):
        Image.fromarray(picture).save(tmp_path / name)
    for pair in [
        (Image.fromarray(image), Image.fromarray(background)),
        (tmp_path / "a.png", str(tmp_path / "b.png")),
        (Image.fromarray(image).convert("RGBA"), background),
    ]:
        for got, wanted in zip(ruler.predict(*pair), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_a_photo_taken_upright_is_turned_as_its_exif_says(ruler, tmp_path):
    image, background = pictures(120, 90)
    sideways = Image.fromarray(np.rot90(image))  # stored lying, with "turn right by 90 degrees" beside it
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways.save(tmp_path / "phone.png", exif=exif)
    for photo in (tmp_path / "phone.png", Image.open(tmp_path / "phone.png")):
        np.testing.assert_array_equal(ruler.predict(photo, background).mask, ruler.predict(image, background).mask)


def test_unfit_pictures_are_refused(ruler, tmp_path):
    image, background = pictures(64, 96)
    (tmp_path / "text.png").write_text("no picture")
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)).save(whole)
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:4000])
    for bad, error, message in [
        (image[:, :-1], ValueError, "expected equal sizes, found 95 x 64 and 96 x 64"),
        (image / 255, ValueError, "image: expected uint8 values 0 to 255, found float64"),
        (image[..., 0], ValueError, r"image: expected shape \(H, W, 3\), found \(64, 96\)"),
        (image[:20], ValueError, "image: expected at least 32 x 32 pixels, found 96 x 20"),
        (
            torch.zeros(3, 64, 96),
            TypeError,
            "image: expected a uint8 array, a Pillow image or a path, found Tensor",
        ),
        (None, TypeError, "found NoneType"),
        (tmp_path / "none.png", FileNotFoundError, "image: no such file: .*none.png"),
        (tmp_path / "text.png", ValueError, "text.png is no picture that can be read"),
        (tmp_path / "half.png", ValueError, "half.png is no picture that can be read, or damaged"),
        (
            Image.new("F", (96, 64)),
            ValueError,
            "image: expected 8 or 16 bits per colour, found Pillow mode F",
        ),
    ]:
        with pytest.raises(error, match=message):
            ruler.predict(bad, background)
    for options, message in [
        ({"fov": 0}, "fov: expected"),
        ({"fov": 180}, "fov"),
        ({"eye_height": 0}, "eye_height"),
    ]:
        with pytest.raises(ValueError, match=message):
            ruler.predict(image, background, **options)


# --- checkpoints


def test_saved_and_loaded_predicts_the_same(saved):
    model, path = saved
    predictor = load_pretrained(path, device="cpu")
    image, background = pictures(160, 160)
    mask, depth = predictor.predict(image, background)
    tensors = [torch.from_numpy(p).permute(2, 0, 1)[None] / 255 for p in (image, background)]
    rounded = copy.deepcopy(model)  # as the file is: its tensors in fp16
    rounded.load_state_dict({name: tensor.half() for name, tensor in model.state_dict().items()})
    with torch.no_grad():
        logits, expected = rounded(*tensors)
    np.testing.assert_allclose(mask, logits.sigmoid()[0, 0], atol=1e-4)
    np.testing.assert_allclose(depth, 10 * expected[0, 0], atol=1e-3)
    assert predictor.metadata["training"] == {"samples": 12}
    assert predictor.metadata["arguments"]["skips"] is False


def test_the_file_is_half_precision_and_holds_no_pickle(saved):
    model, path = saved
    tensors, metadata = read_weights(path)
    weights = {name for name, _ in model.named_parameters()}
    assert {tensors[name].dtype for name in weights} == {torch.float16}
    assert {tensors[name].dtype for name in tensors.keys() - weights} == {torch.float32, torch.int64}
    assert path.stat().st_size < 2.2 * metadata["parameters"] + 40_000
    assert not path.with_name(path.name + ".part").exists()


def test_mask_net_predicts_no_depth(tmp_path):
    save_pretrained(MaskNet(width=8), tmp_path / "mask.safetensors")
    mask, depth = load_pretrained(tmp_path / "mask.safetensors", "cpu").predict(*pictures(50, 70))
    assert mask.shape == (50, 70) and depth is None


def test_a_training_runs_folder_can_be_loaded(tmp_path):
    from small_training import Squares, new_net, small_fit

    model = new_net(width=8)
    small_fit(model, tmp_path, steps=1)
    predictor = load_pretrained(tmp_path, "cpu")
    assert predictor.size == Squares().size
    for name, tensor in predictor.model.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])


def test_a_run_whose_newest_checkpoint_is_damaged_gives_the_one_before(tmp_path, capsys):
    from small_training import new_net, small_fit

    small_fit(new_net(width=8), tmp_path, steps=2, save_minutes=0)
    newest, before = list_run(tmp_path)
    expected, _ = read_weights(before / "model.safetensors")
    content = bytearray((newest / "model.safetensors").read_bytes())
    content[-1] ^= 1  # one bit: still a file of the right form
    (newest / "model.safetensors").write_bytes(content)
    found = load_pretrained(tmp_path, "cpu").model.state_dict()
    assert "is damaged" in capsys.readouterr().out
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def test_a_missing_damaged_or_foreign_checkpoint_is_said(saved, tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match="x.safetensors: no such checkpoint"):
        load_pretrained(path)
    with pytest.raises(CheckpointError, match="no checkpoint of a run in this folder"):
        load_pretrained(tmp_path)
    for content in (saved[1].read_bytes()[:-100], b"", b"<html>not found</html>" * 100):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="x.safetensors: damaged, or no safetensors file"):
            load_pretrained(path)
    tensors, metadata = read_weights(saved[1])
    for change, message in [
        ({"network": "VGG16"}, "holds no network of this course .*found VGG16"),
        (
            {"arguments": {"skips": True}},
            "holds another network than MaskDepthNet.*tensors differ, the first is",
        ),
        ({"arguments": {"layers": 3}}, "cannot be built with {'layers': 3}"),
        ({"size": 0}, "trained at 0 px: expected a whole number, at least 32"),
    ]:
        write_file(path, tensors_to_bytes(tensors, metadata | change))
        with pytest.raises(CheckpointError, match=message):
            load_pretrained(path)
    import safetensors.torch

    safetensors.torch.save_file({"weight": torch.zeros(3)}, path, {"maskdepth": "[]"})
    with pytest.raises(CheckpointError, match="its metadata are list, expected a dict"):
        load_pretrained(path)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)  # somebody else's
    with pytest.raises(CheckpointError, match="holds no network of this course"):
        load_pretrained(path)
    monkeypatch.setenv("MASKDEPTH_DATA", str(tmp_path))
    with pytest.raises(RuntimeError, match="checkpoint|rooms"):
        load_pretrained()


def test_shipped_networks_are_the_files_that_were_shipped(saved, own_data):
    model, path = saved
    folder = own_data / "checkpoints"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    with pytest.raises(CheckpointError, match="masknet.safetensors: the shipped network is missing"):
        load_pretrained("masknet")
    shutil.copy(path, folder / "maskdepthnet.safetensors")
    with pytest.raises(CheckpointError, match="expected the sha256 none .listed in SHA256SUMS"):
        load_pretrained()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest} *maskdepthnet.safetensors\n\nnonsense\n")
    assert load_pretrained(device="cpu").metadata["training"] == {"samples": 12}
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  maskdepthnet.safetensors\n")
    with pytest.raises(CheckpointError, match=f"found {digest[:16]}.*git checkout data/checkpoints"):
        load_pretrained()
    assert load_pretrained(folder / "maskdepthnet.safetensors").metadata["network"] == "MaskDepthNet"


def test_save_pretrained_refuses_what_it_could_not_load(tmp_path):
    model = MaskDepthNet(width=0.125)
    model.arguments = {}
    with pytest.raises(CheckpointError, match="holds another network than MaskDepthNet"):
        save_pretrained(model, tmp_path / "a.safetensors")
    save_pretrained(model, tmp_path / "a.safetensors", arguments={"width": 0.125})
    model.encoder.bn1.running_var.fill_(1e6)  # a variance may be that large
    save_pretrained(model, tmp_path / "a.safetensors", arguments={"width": 0.125})
    assert load_pretrained(tmp_path / "a.safetensors", device="cpu").model.encoder.bn1.running_var.max() == 1e6
    with torch.no_grad():
        next(model.parameters()).fill_(1e6)
    with pytest.raises(CheckpointError, match="fp16 cannot"):
        save_pretrained(model, tmp_path / "b.safetensors", arguments={"width": 0.125})
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
