"""Samples written as zips come back, the 2020 layout can be read, and damage and full disks are reported."""

import csv
import zipfile

import cv2
import numpy as np
import pytest

from maskdepth_utils.data import MaskDepthDataset, ZipDataset
from maskdepth_utils.data.storage.zips import write_zips
from maskdepth_utils.files import AssetError

LIMITS = {"image": 0.03, "background": 0.03, "mask": 0.01, "depth": 0.01}  # JPEG changes the pictures a little
# The 2020 project's layout.
ORIGINAL = {
    "image": "data.zip", "mask": "data.zip", "background": "bg",
    "labels": "data_label.txt", "depth_labels": "depth_label.txt",
}  # fmt: skip


@pytest.fixture
def dataset(data):
    return MaskDepthDataset(gap="tripod", rooms=4)


@pytest.fixture
def exported(dataset, tmp_path):
    write_zips(dataset, tmp_path / "out", range(12), progress=False)
    return tmp_path / "out"


def assert_alike(sample, again):
    assert all((sample[field] - again[field]).abs().mean() < limit for field, limit in LIMITS.items())


def test_the_label_table_describes_the_samples(dataset, exported):
    with open(exported / "labels.csv", newline="") as file:
        row = list(csv.DictReader(file))[3]
    about = dataset.describe(3)
    assert row["image"] == "0000003.jpg" and row["mask"] == row["depth"] == "0000003.png"
    assert (row["room"], row["object"], row["flip"]) == (about["room"], about["object"], str(int(about["flip"])))
    assert float(row["distance"]) == about["distance"] and float(row["azimuth"]) == about["azimuth"]


@pytest.mark.parametrize("options, backgrounds", [({}, 10), ({"recolor": True}, 120), ({"zoom": True}, 120)])
def test_without_a_gap_each_background_is_stored_once(data, tmp_path, options, backgrounds):
    """There are five views of the room, plain and mirrored, but some options make a background for each sample."""
    dataset = MaskDepthDataset(size=80, gap="none", rooms=1, **options)
    write_zips(dataset, tmp_path, range(120), progress=False)
    assert len(zipfile.ZipFile(tmp_path / "bg.zip").namelist()) == backgrounds
    back = ZipDataset(tmp_path, 80)
    for index in (0, 50, 119):
        assert_alike(dataset[index], back[index])


@pytest.fixture
def original(dataset, tmp_path):
    """The 2020 layout: one zip of composites, masks and labels, JPEG depth of 8 bits, a folder of backgrounds."""
    folder = tmp_path / "original"
    (folder / "bg").mkdir(parents=True)
    labels = ""
    depth_labels = ""
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
            labels += f"bg{i:03d}\tfg001\tfg_bg_{i}.jpg\tfg_bg_mask_{i}.jpg\t3\t4\t50\t60\n"
            depth_labels = f"0\tfg_bg_{i}.jpg\tfg_bg_depth_{i}.jpg\n" + depth_labels  # in another order
        data.writestr("data_label.txt", labels)
        depth.writestr("depth_label.txt", depth_labels)
    return folder


def test_the_2020_layout_can_be_read(dataset, original):
    back = ZipDataset(original, **ORIGINAL)
    assert len(back) == 4
    for index in range(4):
        assert_alike(dataset[index], back[index])


def test_a_damaged_member_is_named(exported, original):
    for folder, layout, archive, member in (
        (exported, {}, "mask.zip", "0000002.png"),
        (original, ORIGINAL, "data.zip", "fg_bg_2.jpg"),
    ):
        with zipfile.ZipFile(folder / archive) as file:
            start = file.getinfo(member).header_offset
        content = (folder / archive).read_bytes()
        for shift, damage in ((0, b"XX"), (70, b"\0" * 200)):  # of its header, of its content
            damaged = content[: start + shift] + damage + content[start + shift + len(damage) :]
            (folder / archive).write_bytes(damaged)
            with pytest.raises(AssetError, match=f"{archive}: member {member} is damaged"):
                ZipDataset(folder, **layout)[2]
    (original / "bg/bg001.jpg").write_bytes(b"not found")
    with pytest.raises(AssetError, match="bg: member bg001.jpg is damaged"):
        ZipDataset(original, **ORIGINAL)[1]


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("depth.zip", lambda content: content[: len(content) // 2], "depth.zip is missing or damaged: File is not"),
        ("depth.zip", None, "depth.zip is missing or damaged: .*No such file"),
        ("labels.csv", lambda text: text.replace(b"02.jpg", b"99.jpg"), "fg_bg.zip has no member named '0000099"),
        ("labels.csv", lambda text: text.replace(b"0000002.jpg", b"twice.jpg"), "several members named 'twice.jpg'"),
        ("labels.csv", lambda text: text.replace(b"mask,", b"masks,", 1), "has no mask in row 1"),
        ("labels.csv", lambda text: text + b"0000001.jpg,0000001.jpg\n", "has no mask in row 13"),
        ("labels.csv", lambda text: text.splitlines()[0], "labels.csv .*is empty"),
        ("labels.csv", None, "No label table labels.csv"),
    ],
)
def test_files_that_do_not_fit_are_reported(exported, name, change, message):
    with zipfile.ZipFile(exported / "fg_bg.zip", "a") as archive:
        archive.writestr("a/twice.jpg", b"")
        archive.writestr("b/twice.jpg", b"")
    path = exported / name
    if change:
        path.write_bytes(change(path.read_bytes()))
    else:
        path.unlink()
    with pytest.raises(AssetError, match=message):
        ZipDataset(exported)
