"""Samples go to zip files in the original's layout and come back; damage and full disks are reported."""

import csv
import errno
import pickle
import shutil
import zipfile

import cv2
import numpy as np
import pytest
import torch

from maskdepth_utils.data import MaskDepthDataset, SceneDataset, ZipDataset, make_loader
from maskdepth_utils.data.storage import codec as export_module
from maskdepth_utils.data.storage.codec import export
from maskdepth_utils.files import AssetError

FILES = {"bg.zip", "fg_bg.zip", "mask.zip", "depth.zip", "labels.csv"}


@pytest.fixture
def dataset(data):
    return MaskDepthDataset(gap="tripod", rooms=4)


@pytest.fixture
def exported(dataset, tmp_path):
    export(dataset, tmp_path / "out", range(12), progress=False)
    return tmp_path / "out"


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_what_is_exported_comes_back(dataset, exported):
    assert names(exported) == FILES
    back = ZipDataset(exported)
    assert len(back) == 12
    for i in range(12):
        sample, again = dataset[i], back[i]
        assert {k: (v.shape, v.dtype) for k, v in sample.items()} == {k: (v.shape, v.dtype) for k, v in again.items()}
        assert (sample["image"] - again["image"]).abs().mean() < 0.02  # JPEG
        assert (sample["background"] - again["background"]).abs().mean() < 0.02
        torch.testing.assert_close(sample["mask"], again["mask"], atol=1e-6 + 0.5 / 255, rtol=0)
        torch.testing.assert_close(sample["depth"], again["depth"], atol=1.01e-4, rtol=0)  # a millimetre


def test_the_label_table_says_what_is_where(dataset, exported):
    rows = list(csv.DictReader(open(exported / "labels.csv", newline="")))
    about = dataset.describe(3)
    assert rows[3]["image"] == "0000003.jpg" and rows[3]["mask"] == rows[3]["depth"] == "0000003.png"
    assert (rows[3]["room"], rows[3]["object"], rows[3]["flip"]) == (
        about["room"],
        about["object"],
        str(int(about["flip"])),
    )
    assert float(rows[3]["distance"]) == about["distance"] and float(rows[3]["azimuth"]) == about["azimuth"]
    with zipfile.ZipFile(exported / "depth.zip") as archive:
        assert archive.testzip() is None
        depth = cv2.imdecode(np.frombuffer(archive.read("0000003.png"), np.uint8), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16 and depth.shape == (160, 160)


def test_without_a_gap_each_background_is_stored_once(data, tmp_path):
    dataset = MaskDepthDataset(gap="none", rooms=1)
    export(dataset, tmp_path, progress=False)
    with zipfile.ZipFile(tmp_path / "bg.zip") as archive:
        assert len(archive.namelist()) == 10  # five views, plain and mirrored, for 120 samples
    back = ZipDataset(tmp_path)
    for i in (0, 50, 119):
        assert (back[i]["background"] - dataset[i]["background"]).abs().mean() < 0.02


def test_80_pixels_and_scenes_can_be_exported(data, tmp_path):
    small = MaskDepthDataset(size=80, gap="handheld", rooms=4)
    export(small, tmp_path / "small", [5, 3], progress=False)
    back = ZipDataset(tmp_path / "small", size=80)
    torch.testing.assert_close(back[0]["depth"], small[5]["depth"], atol=1.01e-4, rtol=0)
    export(SceneDataset(), tmp_path / "scenes", progress=False)
    assert len(ZipDataset(tmp_path / "scenes")) == 2


def test_the_same_export_makes_the_same_files(dataset, exported, tmp_path):
    export(dataset, tmp_path / "again", range(12), progress=False)
    for name in FILES:
        assert (exported / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_nothing_is_overwritten_unasked(dataset, exported):
    before = (exported / "labels.csv").read_bytes()
    with pytest.raises(FileExistsError, match="already has bg.zip.*overwrite=True"):
        export(dataset, exported, range(3), progress=False)
    assert (exported / "labels.csv").read_bytes() == before
    export(dataset, exported, range(3), overwrite=True, progress=False)
    assert len(ZipDataset(exported)) == 3 and names(exported) == FILES
    with pytest.raises(ValueError, match="nothing to export"):
        export(dataset, exported / "new", [], progress=False)


def test_an_interrupted_export_leaves_the_earlier_one(dataset, exported, monkeypatch):
    def interrupted(index):
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "shot", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(dataset, exported, range(3), overwrite=True, progress=False)
    assert names(exported) == FILES and len(ZipDataset(exported)) == 12


def test_a_full_disk_is_reported_and_nothing_is_left(dataset, tmp_path, monkeypatch):
    real, written = zipfile.ZipFile.writestr, []

    def full(self, *args):
        written.append(args)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *args)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match=r"Not enough disk space in .*out: it was full after 5 of 12 samples") as raised:
        export(dataset, tmp_path / "out", range(12), progress=False)
    assert raised.value.errno == errno.ENOSPC and names(tmp_path / "out") == set()


def test_a_disk_too_small_is_noticed_early(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "TRIAL", 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 10_000))
    with pytest.raises(OSError, match=r"480 samples need about \d+ MB, 0 MB are free. Nothing was kept"):
        export(dataset, tmp_path / "out", progress=False)
    assert names(tmp_path / "out") == set()


# ---------------------------------------------------------------- reading
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_read_from_handles_of_their_own(exported, workers):
    dataset = ZipDataset(exported)
    mine = [dataset[i] for i in range(12)]  # opens the files before the workers fork
    for i, batch in enumerate(make_loader(dataset, batch=1, workers=workers)):
        for key, value in mine[i].items():
            assert torch.equal(value, batch[key][0])


def test_a_dataset_can_be_sent_to_another_process(exported):
    dataset = ZipDataset(exported)
    expected = dataset[4]["depth"]
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[4]["depth"], expected)


@pytest.fixture
def original(dataset, tmp_path):
    """The 2020 project's layout: one zip with composites, masks and labels, JPEG depth of 8 bits, a folder of
    backgrounds."""
    folder = tmp_path / "original"
    (folder / "bg").mkdir(parents=True)
    labels, depths = [], []
    with (
        zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED) as data,
        zipfile.ZipFile(folder / "depth.zip", "w") as depth,
    ):
        for i in range(4):
            shot = dataset.shot(i)
            jpeg = lambda array: cv2.imencode(".jpg", array)[1].tobytes()  # noqa: E731
            (folder / f"bg/bg{i:03d}.jpg").write_bytes(jpeg(shot.background[..., ::-1]))
            data.writestr(f"fg_bg_{i}.jpg", jpeg(shot.image[..., ::-1]))
            data.writestr(f"fg_bg_mask_{i}.jpg", jpeg(np.uint8(shot.mask * 255)))
            depth.writestr(f"fg_bg_depth_{i}.jpg", jpeg(np.uint8(np.minimum(shot.depth / 10, 1) * 255)))
            labels.append(f"bg{i:03d}\tfg001\tfg_bg_{i}.jpg\tfg_bg_mask_{i}.jpg\t3\t4\t50\t60\n")
            depths.insert(0, f"0\tfg_bg_{i}.jpg\tfg_bg_depth_{i}.jpg\n")  # in another order
        data.writestr("data_label.txt", "".join(labels))
        depth.writestr("depth_label.txt", "".join(depths))
    return folder


ORIGINAL = dict(
    image="data.zip",
    mask="data.zip",
    background="bg",
    labels="data_label.txt",
    depth_labels="depth_label.txt",
)


def test_the_original_data_can_be_read(dataset, original):
    back = ZipDataset(original, **ORIGINAL)
    assert len(back) == 4
    for i in range(4):
        sample, again = dataset[i], back[i]
        for key, limit in {"image": 0.03, "background": 0.03, "mask": 0.01, "depth": 0.01}.items():
            assert again[key].shape == sample[key].shape
            assert (sample[key] - again[key]).abs().mean() < limit, key
    assert ZipDataset(original, size=80, **ORIGINAL)[0]["mask"].shape == (1, 80, 80)


def spoil(path, position, content=b"\0" * 200):
    with open(path, "r+b") as file:
        file.seek(position)
        file.write(content)


def offset(path, member):
    with zipfile.ZipFile(path) as archive:
        return archive.getinfo(member).header_offset


def test_a_damaged_member_is_named(exported):
    position = offset(exported / "mask.zip", "0000005.png")
    spoil(exported / "mask.zip", position + 100)
    dataset = ZipDataset(exported)
    dataset[4]
    with pytest.raises(AssetError, match="mask.zip: member 0000005.png is damaged: its checksum is wrong"):
        dataset[5]
    spoil(exported / "mask.zip", position, b"XX")
    dataset = ZipDataset(exported)
    with pytest.raises(AssetError, match="mask.zip: member 0000005.png is damaged: its header"):
        dataset[5]
    with pytest.raises(AssetError, match="mask.zip: member 0000005.png"):
        list(make_loader(dataset, batch=4, workers=2))


def test_a_damaged_compressed_member_is_named(original):
    spoil(original / "data.zip", offset(original / "data.zip", "fg_bg_2.jpg") + 60)
    with pytest.raises(AssetError, match="data.zip: member fg_bg_2.jpg is damaged"):
        ZipDataset(original, **ORIGINAL)[2]


def test_a_member_that_is_no_picture_is_named(original):
    (original / "bg/bg001.jpg").write_bytes(b"not found")
    with pytest.raises(AssetError, match="bg: member bg001.jpg is damaged: no picture"):
        ZipDataset(original, **ORIGINAL)[1]


def test_a_zip_that_was_cut_off_or_is_missing_is_named(exported):
    content = (exported / "depth.zip").read_bytes()
    (exported / "depth.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(AssetError, match=r"depth.zip \(\d+ bytes\) is no complete zip file"):
        ZipDataset(exported)
    (exported / "depth.zip").unlink()
    with pytest.raises(AssetError, match="depth.zip is missing"):
        ZipDataset(exported)


def test_labels_that_do_not_fit_are_reported(exported):
    labels = exported / "labels.csv"
    content = labels.read_text()
    labels.write_text(content.replace("0000002.jpg", "0000099.jpg"))
    with pytest.raises(AssetError, match="fg_bg.zip has no member '0000099.jpg', which the labels name"):
        ZipDataset(exported)
    labels.write_text(content)
    with zipfile.ZipFile(exported / "fg_bg.zip", "a") as archive:
        for folder in ("a", "b"):
            archive.writestr(f"{folder}/0000099.jpg", b"")
    labels.write_text(content.replace("0000002.jpg", "0000099.jpg"))
    with pytest.raises(AssetError, match="several members named '0000099.jpg': the labels must name its folder"):
        ZipDataset(exported)
    labels.write_text(content.replace("mask,", "masks,", 1))
    with pytest.raises(AssetError, match="no column 'mask'"):
        ZipDataset(exported)
    labels.write_text(content.splitlines()[0])
    with pytest.raises(AssetError, match="labels.csv .*is empty"):
        ZipDataset(exported)
    labels.write_text(content + "a,b\n")
    with pytest.raises(AssetError, match="row 13 has 2 columns, expected"):
        ZipDataset(exported)
    labels.unlink()
    with pytest.raises(AssetError, match="No label table labels.csv"):
        ZipDataset(exported)
