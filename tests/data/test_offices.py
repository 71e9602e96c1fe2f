"""The 2020 project's own pictures: checked, composed, never trained on."""

import hashlib
import io
import json
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils.__main__ import main
from maskdepth_utils.data import offices
from maskdepth_utils.data.offices import OfficeDataset, office_photos
from maskdepth_utils.files import AssetError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three offices and two cutouts of our own making, with their checksums, as if they were the project's."""
    random, files = np.random.default_rng(0), {}
    for kind, count, shape in (("bg", 3, (160, 160, 3)), ("fg", 2, (90, 60, 4))):
        (tmp_path / kind).mkdir()
        for number in range(count):
            pixels = random.integers(0, 256, shape, np.uint8)
            if kind == "fg":
                pixels[..., 3] = 0
                pixels[20:80, 10:50, 3] = 255
            name = f"{kind}/{kind}{number:03d}.png"
            Image.fromarray(pixels).save(tmp_path / name)
            files[name] = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    monkeypatch.setattr(offices, "registry", lambda: files)
    monkeypatch.setenv(offices.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_evaluate_measures_masks_on_them(folder, capsys):
    assert main(["evaluate", "--offices", "--gap", "none", "--count", "4", "--checkpoint", "masknet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["samples"], found["images"]) == ("offices", 4)
    assert all(0 <= row["iou"] <= 1 and "rmse" not in row for row in found["results"].values())
    assert found["intervals"]["iou"]["low"] <= found["results"]["MaskNet"]["iou"] <= found["intervals"]["iou"]["high"]


def test_a_local_folder_is_checked_and_used(folder):
    assert office_photos() == folder
    with (folder / "fg/fg001.png").open("ab") as file:
        file.write(b"more")
    with pytest.raises(AssetError, match="fg001.png is not the file that the course was written with"):
        office_photos()
    (folder / "fg/fg001.png").unlink()
    with pytest.raises(AssetError, match="fg001.png cannot be read"):
        office_photos()


def test_photos_are_downloaded_once_and_kept_if_their_checksums_are_right(folder, monkeypatch, tmp_path):
    monkeypatch.delenv(offices.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    answers, asked = {name: (folder / name).read_bytes() for name in offices.registry()}, []

    def urlopen(address, timeout):
        asked.append(address.removeprefix(offices.ADDRESS))
        return io.BytesIO(answers[asked[-1]])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    right = answers["fg/fg001.png"]
    answers["fg/fg001.png"] = b"something else"
    with pytest.raises(AssetError, match="fg001.png is not the file"):
        office_photos(progress=False)
    answers["fg/fg001.png"] = right
    assert office_photos(progress=False) == office_photos() == tmp_path / "cache/maskdepth/office-photos"
    assert sorted(asked) == sorted([*answers, "fg/fg001.png"])


def test_offline_it_says_what_to_do(folder, monkeypatch, tmp_path):
    monkeypatch.delenv(offices.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(offices, "ADDRESS", "http://127.0.0.1:9/")  # nothing listens there
    with pytest.raises(AssetError, match=f"cannot be read .* set {offices.FOLDER_VARIABLE} to a folder"):
        office_photos(progress=False)


def test_samples_are_whole_objects_on_offices(folder):
    dataset = OfficeDataset()
    assert len(dataset) == 3 * 2 * 2 * 4
    for index in (0, 7, 20):
        sample = dataset[index]
        assert {name: tuple(tensor.shape) for name, tensor in sample.items()} == {
            "image": (3, 160, 160), "background": (3, 160, 160), "mask": (1, 160, 160),
        }  # fmt: skip
        mask = sample["mask"][0]
        assert (mask > 0.5).sum() == 60 * 40  # the cutout's alpha, all of it inside
        assert torch.equal(sample["image"][:, mask == 0], sample["background"][:, mask == 0])
        assert torch.nonzero(mask).amax(0)[0] >= 79  # its foot is in the lower half
    about = [dataset.describe(index) for index in range(len(dataset))]
    assert len({(one["background"], one["cutout"], one["flip"]) for one in about}) == 3 * 2 * 2


def test_a_gap_brings_shadow_and_noise_and_moves_nothing(folder):
    plain, tripod, again = (OfficeDataset(gap)[5] for gap in ("none", "tripod", "tripod"))
    assert torch.equal(plain["mask"], tripod["mask"]) and torch.equal(tripod["image"], again["image"])
    assert not torch.equal(plain["background"], tripod["background"])
