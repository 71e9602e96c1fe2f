"""The 2020 project's own pictures: checked, composed, never trained on."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils.__main__ import main
from maskdepth_utils.data import offices
from maskdepth_utils.data.offices import office_photos
from maskdepth_utils.files import AssetError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "office-photos"


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
    for row in found["results"].values():
        assert 0 <= row["iou"] <= 1 and "rmse" not in row
    assert found["intervals"]["iou"]["low"] <= found["results"]["MaskNet"]["iou"] <= found["intervals"]["iou"]["high"]
    assert main(["evaluate", "--offices", "--scenes"]) == 2
    assert "neither --scenes" in capsys.readouterr().err


def test_a_local_folder_is_checked_and_used(folder):
    assert offices.office_photos() == office_photos() == folder
    with (folder / "fg/fg001.png").open("ab") as file:
        file.write(b"more")
    with pytest.raises(AssetError, match="fg001.png is not the file that the course was written with"):
        offices.office_photos()
    (folder / "fg/fg001.png").unlink()
    with pytest.raises(AssetError, match="fg001.png is missing"):
        offices.office_photos()


def test_offline_it_says_what_to_do(folder, monkeypatch, tmp_path):
    monkeypatch.delenv(offices.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(offices, "ADDRESS", "http://127.0.0.1:9/")  # nobody answers there
    with pytest.raises(AssetError, match=f"could not be downloaded .* set {offices.FOLDER_VARIABLE} to a folder"):
        offices.office_photos(progress=False)


def test_samples_are_whole_objects_on_offices(folder):
    dataset = offices.OfficeDataset()
    assert len(dataset) == 3 * 2 * 2 * 4
    for index in (0, 7, 20):
        sample = dataset[index]
        image, background, mask = (sample[name] for name in ("image", "background", "mask"))
        assert image.shape == background.shape == (3, 160, 160) and mask.shape == (1, 160, 160)
        assert (mask > 0.5).sum() == 60 * 40  # the cutout's alpha, all of it inside
        assert torch.equal(image[:, mask[0] == 0], background[:, mask[0] == 0])
        rows = torch.nonzero(mask[0]).amax(0)[0]
        assert rows >= 79  # its foot is in the lower half
    about = [dataset.describe(index) for index in range(len(dataset))]
    assert len({(one["background"], one["cutout"], one["flip"]) for one in about}) == 3 * 2 * 2


def test_a_gap_brings_shadow_and_noise_and_moves_nothing(folder):
    plain, tripod = offices.OfficeDataset("none"), offices.OfficeDataset("tripod")
    assert torch.equal(plain[5]["mask"], tripod[5]["mask"])
    assert not torch.equal(plain[5]["background"], tripod[5]["background"])
    assert torch.equal(tripod[5]["image"], offices.OfficeDataset("tripod")[5]["image"])
    with pytest.raises(ValueError, match="unknown gap"):
        offices.OfficeDataset("near")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the project's own pictures are not at hand")
def test_the_projects_own_pictures_are_as_listed(monkeypatch):
    monkeypatch.setenv(offices.FOLDER_VARIABLE, str(SHARED))
    dataset = offices.OfficeDataset("tripod")
    assert len(dataset.backgrounds) == len(dataset.cutouts) == 50
    shares = [(dataset[i * 997]["mask"] > 0.5).float().mean().item() for i in range(20)]
    assert all(0.002 < share < 0.9 for share in shares)
