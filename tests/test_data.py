"""Samples are the same everywhere, cover every combination, and are what the course says they are."""

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from maskdepth_utils.data import MaskDepthDataset, SceneDataset, make_loader
from maskdepth_utils.data import datasets as module
from maskdepth_utils.data.library import load_cutout, load_room
from maskdepth_utils.data.placement import footprint, is_free, place
from maskdepth_utils.data.shots import GAPS, LEVELS
from maskdepth_utils.data.tensors import mean_std
from maskdepth_utils.files import AssetError

SHAPES = {"image": 3, "background": 3, "mask": 1, "depth": 1}


@pytest.fixture
def dataset(data):
    return MaskDepthDataset(gap="handheld", rooms=4)


# ---------------------------------------------------------------- indices
def fake(rooms, objects):
    """A dataset with so many rooms and objects, without any files."""
    made = MaskDepthDataset.__new__(MaskDepthDataset)
    made.rooms, made.objects = [""] * rooms, [""] * objects
    return made


def test_there_are_400_000_training_samples():
    assert len(fake(100, 100)) == 400_000 and len(fake(400, 100)) == 1_600_000
    assert len(fake(40, 20)) == 32_000 and len(fake(60, 30)) == 72_000


@pytest.mark.parametrize("rooms,objects", [(4, 3), (40, 20), (60, 30), (37, 100), (1, 1)])
def test_every_combination_has_one_index(rooms, objects):
    dataset = fake(rooms, objects)
    seen = {dataset.locate(i) for i in range(len(dataset))}
    assert seen == {
        (r, o, f, p) for r in range(rooms) for o in range(objects) for f in (False, True) for p in range(20)
    }


def test_any_slice_is_a_good_mixture():
    dataset = fake(100, 100)
    for start in (0, 777, 250_000):
        rooms, objects, flips, places = map(
            np.array, zip(*map(dataset.locate, range(start, start + 2000)), strict=True)
        )
        assert np.ptp(np.bincount(rooms, minlength=100)) <= 1  # each room 20 times
        assert np.bincount(objects, minlength=100).min() >= 18
        assert 0.45 < flips.mean() < 0.55 and np.bincount(places, minlength=20).min() > 60
        assert len(set(zip(rooms, objects, strict=True))) == 2000  # no pair twice
    first = [dataset.locate(i)[:2] for i in range(16)]
    assert len({r // 10 for r, _ in first}) > 6 and len({o // 10 for _, o in first}) > 6


def test_indices_count_from_the_end_too_and_have_bounds(dataset):
    assert len(dataset) == 4 * 3 * 2 * 20
    assert dataset.describe(-1) == dataset.describe(len(dataset) - 1)
    for index in (len(dataset), -len(dataset) - 1):
        with pytest.raises(IndexError, match="of a dataset of 480"):
            dataset[index]
    with pytest.raises(TypeError):
        dataset[0.5]
    assert dataset.describe(np.int64(3)) == dataset.describe(3)


# ---------------------------------------------------------------- samples
def check_sample(sample, size):
    assert set(sample) == set(SHAPES)
    for key, channels in SHAPES.items():
        assert sample[key].shape == (channels, size, size) and sample[key].dtype == torch.float32
        assert 0 <= sample[key].min() and sample[key].max() <= 1


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("size", [160, 80])
def test_samples_are_as_documented(data, gap, size):
    dataset = MaskDepthDataset(gap=gap, size=size, rooms=4)
    for index in range(0, 480, 40):
        sample = dataset[index]
        check_sample(sample, size)
        assert (sample["mask"] > 0.5).float().mean() >= 0.01
    assert 0.2 < float(sample["depth"].mean()) < 0.8


def test_without_a_gap_only_the_object_differs(data):
    sample = MaskDepthDataset(gap="none", rooms=4)[5]
    outside = (sample["mask"] == 0).expand(3, -1, -1)
    assert torch.equal(sample["image"][outside], sample["background"][outside])
    assert (sample["image"] - sample["background"]).abs()[~outside].mean() > 0.05


def test_the_gap_changes_neither_place_nor_truth(data):
    samples = [MaskDepthDataset(gap=gap, rooms=4)[7] for gap in GAPS]
    for sample in samples[1:]:
        assert torch.equal(sample["mask"], samples[0]["mask"]) and torch.equal(sample["depth"], samples[0]["depth"])
    assert not torch.equal(samples[0]["image"], samples[1]["image"])


def test_80_pixels_are_the_means_of_160(data):
    for index in range(6):
        large, small = (MaskDepthDataset(gap="mixed", size=size, rooms=4)[index] for size in (160, 80))
        for key in SHAPES:
            mean = torch.nn.functional.avg_pool2d(large[key], 2)
            torch.testing.assert_close(small[key], mean, atol=1e-5, rtol=0)


def test_depth_is_the_rooms_where_there_is_no_object(dataset):
    about, sample = dataset.describe(11), dataset[11]
    depth = load_room(about["room"], about["view"]).depth
    depth = depth[:, ::-1] if about["flip"] else depth
    outside = sample["mask"][0].numpy() <= 0.5
    np.testing.assert_allclose(sample["depth"][0].numpy()[outside], depth[outside] / 10, atol=1e-6)


def test_describe_tells_what_the_sample_shows(dataset, data):
    about = [dataset.describe(i) for i in range(60)]
    assert {a["room"] for a in about} == set(dataset.rooms) and {a["object"] for a in about} == set(dataset.objects)
    assert {a["flip"] for a in about} == {True, False} and {a["view"] for a in about} == set(range(5))
    assert {a["kind"] for a in about} == {"cabinet", "desk", "chair"} and {a["gap"] for a in about} == {"handheld"}
    assert all(1.6 <= a["distance"] < 9 and -30 < a["azimuth"] < 30 and a["inside"] >= 0.6 for a in about)
    assert {MaskDepthDataset(gap="mixed", rooms=4).describe(i)["gap"] for i in range(20)} == set(LEVELS)


def test_validation_and_test_see_rooms_as_rendered(data):
    for split, room, name in (
        ("val", "room_val_000", "val_000_chair"),
        ("test", "room_test_000", "test_000_shelf"),
    ):
        dataset = MaskDepthDataset(split, gap="none")
        assert len(dataset) == 40
        about = [dataset.describe(i) for i in range(0, 40, 7)]
        assert {(a["room"], a["object"], a["view"]) for a in about} == {(room, name, 0)}
        background = (dataset[0]["background"].numpy() * 255).round().astype(np.uint8).transpose(1, 2, 0)
        image = load_room(room).image
        np.testing.assert_array_equal(background, image[:, ::-1] if about[0]["flip"] else image)


def test_an_object_that_fits_nowhere_is_replaced_by_the_next(data, monkeypatch):
    real = place
    monkeypatch.setattr(
        module,
        "place",
        lambda room, name, *rest: None if "table" in name else real(room, name, *rest),
    )
    dataset = MaskDepthDataset(rooms=4)
    shown = {dataset.describe(i)["object"] for i in range(30)}
    assert shown == {"train_000_cabinet", "train_002_chair"}
    monkeypatch.setattr(module, "place", lambda *rest: None)
    with pytest.raises(AssetError, match="No object of 'train' fits into room_train_00"):
        dataset[0]


# ---------------------------------------------------------------- the same everywhere
def test_order_and_other_samples_do_not_matter(dataset):
    wanted = [3, 99, 250, 7]
    forward = {i: dataset[i] for i in wanted}
    for i in reversed(wanted):
        for key, value in dataset[i].items():
            assert torch.equal(value, forward[i][key])


def test_another_seed_makes_other_samples(data):
    first, other = (MaskDepthDataset(rooms=4, seed=seed) for seed in (0, 1))
    assert first.describe(0)["room"] == other.describe(0)["room"]
    assert first.describe(0)["distance"] != other.describe(0)["distance"]
    again = MaskDepthDataset(rooms=4, seed=1)
    assert torch.equal(other[0]["image"], again[0]["image"])


def batches(dataset, workers, **options):
    return list(make_loader(torch.utils.data.Subset(dataset, range(24)), batch=8, workers=workers, **options))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_the_same_samples(dataset, workers):
    for mine, theirs in zip(batches(dataset, 0, shuffle=True), batches(dataset, workers, shuffle=True), strict=True):
        for key in SHAPES:
            assert torch.equal(mine[key], theirs[key]), key


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_loader_of_your_own_does_as_well(dataset, start):
    """Without our loader's settings, after the main process has used OpenCV with many threads."""
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 5)
    mine = dataset[2]
    made = torch.utils.data.DataLoader(
        torch.utils.data.Subset(dataset, [0, 1, 2, 3]), num_workers=1, multiprocessing_context=start
    )
    theirs = list(made)[2]
    for key in SHAPES:
        assert torch.equal(mine[key], theirs[key][0]), key


def test_another_process_makes_the_same_sample(dataset):
    code = (
        "import hashlib; from maskdepth_utils.data import MaskDepthDataset as D; d = D(rooms=4)\n"
        "print(hashlib.sha256(b''.join(v.numpy().tobytes() for v in d[42].values())).hexdigest())"
    )
    root = Path(__file__).parents[1]
    hashes = {
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout for _ in range(2)
    }
    assert hashes == {hashlib.sha256(b"".join(v.numpy().tobytes() for v in dataset[42].values())).hexdigest() + "\n"}


# ---------------------------------------------------------------- the data that ships
def test_the_shipped_data_makes_400_000_training_samples(monkeypatch):
    monkeypatch.delenv("MASKDEPTH_DATA", raising=False)
    sizes = {split: len(MaskDepthDataset(split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 400_000, "val": 32_000, "test": 72_000}
    assert len(MaskDepthDataset(rooms=800)) == 3_200_000


def test_the_shipped_splits_share_neither_rooms_nor_objects(monkeypatch):
    monkeypatch.delenv("MASKDEPTH_DATA", raising=False)
    splits = [MaskDepthDataset(split, rooms=800) for split in ("train", "val", "test")]
    for names in ([d.rooms for d in splits], [d.objects for d in splits]):
        assert len(set().union(*names)) == sum(map(len, names))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_shipped_samples_show_their_object_on_the_floor(split, monkeypatch):
    monkeypatch.delenv("MASKDEPTH_DATA", raising=False)
    dataset = MaskDepthDataset(split, gap="none")
    asked = 0
    for index in range(0, len(dataset), len(dataset) // 100 + 1):
        shot = dataset.shot(index)
        about, room = shot.about, load_room(shot.about["room"], shot.about["view"])
        assert np.mean(shot.mask > 0.5) >= 0.01 and about["inside"] >= 0.6 and about["visible"] >= 0.5
        cutout = next(c for yaw in range(8) if (c := load_cutout(about["object"], yaw, 0)).yaw == about["yaw"])
        assert is_free(room, footprint(room, cutout.size, cutout.yaw, about["distance"], about["azimuth"]))
        # its depth is that of an object of this size at this distance
        depth, reach = shot.depth[shot.mask > 0.9], np.hypot(*cutout.size[:2]) / 2 + 0.02
        if depth.size:
            pitch, distance = np.radians(room.pitch), about["distance"]
            side = distance * np.cos(np.radians(about["azimuth"])) * np.cos(pitch)
            low, high = side + min(0, 1.5 - cutout.size[2]) * np.sin(pitch), side + 1.5 * np.sin(pitch)
            assert low - reach < depth.min() and depth.max() < high + reach
        asked += about["object"] == dataset.objects[dataset.locate(index)[1]]
    assert asked > 90  # hardly any had to be replaced


# ---------------------------------------------------------------- scenes, statistics, bad input
def test_scenes_are_samples_too(data):
    scenes = SceneDataset()
    assert len(scenes) == 2
    check_sample(scenes[0], 160)
    check_sample(SceneDataset(size=80, gap="handheld")[1], 80)
    assert scenes.describe(0)["object"] == "test_000_shelf" and scenes.describe(0)["gap"] == "none"
    tripod = SceneDataset(gap="tripod")
    assert torch.equal(tripod[0]["depth"], scenes[0]["depth"]) and not torch.equal(
        tripod[0]["image"], scenes[0]["image"]
    )
    assert torch.equal(tripod[0]["image"], SceneDataset(gap="tripod")[0]["image"])
    with pytest.raises(IndexError):
        scenes[2]


def test_mean_and_deviation_are_those_of_all_pixels_at_once(dataset):
    every = torch.stack([dataset[i]["image"] for i in range(20)])
    mean, std = mean_std([every[:7], every[7:8], every[8:].numpy()])
    everything = every.numpy().astype(np.float64)
    np.testing.assert_allclose(mean, everything.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, everything.std((0, 2, 3)), rtol=1e-12)


def test_the_deviation_of_nearly_equal_values_keeps_its_digits():
    values = 1e6 + np.random.default_rng(0).normal(0, 1e-3, (50, 1, 8, 8))
    _, std = mean_std(values[i : i + 5] for i in range(0, 50, 5))
    np.testing.assert_allclose(std, values.std(), rtol=1e-6)


def test_statistics_of_nothing_or_of_wrong_shape():
    with pytest.raises(ValueError, match="no data"):
        mean_std([])
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), found \(3, 4\)"):
        mean_std([np.zeros((3, 4))])


@pytest.mark.parametrize(
    "options,message",
    [
        ({"split": "dev"}, "unknown split 'dev': choose from train, val, test"),
        ({"gap": "phone"}, "unknown gap 'phone': choose from none, tripod, handheld, mixed"),
        ({"size": 128}, r"size: expected one of \(160, 80\), found 128"),
        ({"rooms": 100}, "rooms: expected 1 to 4, .* found 100"),
        ({"rooms": 0}, "rooms: expected 1 to 4"),
        ({"rooms": 4, "seed": -1}, "seed: expected 0 to"),
    ],
)
def test_wrong_arguments_are_refused_at_once(data, options, message):
    with pytest.raises(ValueError, match=message):
        MaskDepthDataset(**options)


def test_a_damaged_asset_is_named_also_from_a_worker(own_data):
    for path in (own_data / "rooms").glob("*.webp"):
        path.write_bytes(b"RIFF")
    dataset = MaskDepthDataset(rooms=4)
    with pytest.raises(AssetError, match=r"room_train_00\d.webp \(4 bytes\) cannot be decoded"):
        dataset[0]
    with pytest.raises(AssetError, match="cannot be decoded"):
        list(make_loader(dataset, workers=1))
