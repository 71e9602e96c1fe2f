"""Samples are the same everywhere, cover every combination, and are what the course says they are."""

import json

import numpy as np
import pytest
import torch

from maskdepth_utils.camera import floor_point
from maskdepth_utils.data import MaskDepthDataset, SceneDataset, datasets
from maskdepth_utils.data.library import load_cutout, load_room
from maskdepth_utils.data.placement import footprint, is_free, place
from maskdepth_utils.data.shots import GAPS, LEVELS
from maskdepth_utils.files import AssetError

SHAPES = {"image": 3, "background": 3, "mask": 1, "depth": 1}


@pytest.fixture
def dataset(data):
    return MaskDepthDataset(gap="handheld", rooms=4)


# ---------------------------------------------------------------- indices
def fake(rooms, objects):
    """A dataset with these numbers of rooms and objects, without any files."""
    made = MaskDepthDataset.__new__(MaskDepthDataset)
    made.rooms, made.objects = [""] * rooms, [""] * objects
    return made


@pytest.mark.parametrize("rooms,objects", [(4, 3), (40, 20), (37, 100), (1, 1)])
def test_every_combination_has_one_index(rooms, objects):
    dataset = fake(rooms, objects)
    seen = {dataset.locate(i) for i in range(len(dataset))}
    assert seen == {
        (r, o, f, p) for r in range(rooms) for o in range(objects) for f in (False, True) for p in range(20)
    }


@pytest.mark.parametrize("start", [0, 777, 250_000])
def test_any_slice_is_a_good_mixture(start):
    located = [fake(100, 100).locate(i) for i in range(start, start + 2000)]
    rooms, objects, flips, places = map(np.array, zip(*located))
    assert np.ptp(np.bincount(rooms, minlength=100)) <= 1  # each room 20 times
    assert np.bincount(objects, minlength=100).min() >= 18
    assert 0.45 < flips.mean() < 0.55 and np.bincount(places, minlength=20).min() > 60
    assert len(set(zip(rooms, objects))) == 2000  # no pair twice
    assert len(set(rooms[:16] // 10)) > 6 and len(set(objects[:16] // 10)) > 6


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
def test_samples_are_as_documented(data, gap):
    """At 80 pixels each value is the mean of four at 160."""
    large, small = (MaskDepthDataset(gap=gap, size=size, rooms=4) for size in (160, 80))
    for index in range(0, 480, 60):
        sample, half = large[index], small[index]
        check_sample(sample, 160)
        check_sample(half, 80)
        assert (sample["mask"] > 0.5).float().mean() >= 0.01 and 0.1 < sample["depth"].mean() < 0.9
        for key in SHAPES:
            torch.testing.assert_close(half[key], torch.nn.functional.avg_pool2d(sample[key], 2), atol=1e-5, rtol=0)


def test_without_a_gap_only_the_object_differs(data):
    sample = MaskDepthDataset(gap="none", rooms=4)[5]
    outside = (sample["mask"] == 0).expand(3, -1, -1)
    assert torch.equal(sample["image"][outside], sample["background"][outside])
    assert (sample["image"] - sample["background"]).abs()[~outside].mean() > 0.05


def test_the_gap_changes_neither_place_nor_truth(data):
    first, *others = (MaskDepthDataset(gap=gap, rooms=4)[7] for gap in GAPS)
    for sample in others:
        assert torch.equal(sample["mask"], first["mask"]) and torch.equal(sample["depth"], first["depth"])
    assert not torch.equal(first["image"], others[0]["image"])


def test_describe_tells_what_the_sample_shows(dataset, data):
    about = [dataset.describe(i) for i in range(60)]
    assert {a["room"] for a in about} == set(dataset.rooms) and {a["object"] for a in about} == set(dataset.objects)
    assert {a["flip"] for a in about} == {True, False} and {a["view"] for a in about} == set(range(5))
    assert {a["kind"] for a in about} == {"cabinet", "table", "chair"} and {a["gap"] for a in about} == {"handheld"}
    assert len({(a["object"], a["yaw"]) for a in about}) > 15  # of 3 x 8
    assert all(1.6 <= a["distance"] < 9 and -30 < a["azimuth"] < 30 and a["inside"] >= 0.6 for a in about)
    drawn = {MaskDepthDataset(gap="mixed", rooms=4).describe(i)["gap"] for i in range(20)}
    assert drawn == {name for name, level in LEVELS.items() if level.share}


def test_settings_say_what_decides_the_samples(data):
    settings = MaskDepthDataset(gap="tripod", rooms=3, seed=5, recolor=True).settings
    assert settings == {
        "class": "MaskDepthDataset", "split": "train", "size": 160, "gap": "tripod", "seed": 5, "rooms": 3,
        "recolor": True, "real_light": False,
    }  # fmt: skip
    assert json.loads(json.dumps(settings)) == settings
    assert {"class": "SceneDataset", "size": 80, "gap": "none", "seed": 0}.items() <= SceneDataset(80).settings.items()


@pytest.mark.parametrize("split,name", [("val", "val_009_chair"), ("test", "test_002_chair")])
def test_validation_and_test_see_rooms_as_rendered(data, split, name):
    dataset = MaskDepthDataset(split, gap="none")
    assert len(dataset) == 40 * len(dataset.rooms)
    about = [dataset.describe(i) for i in range(0, 40, 7)]
    assert {(a["room"], a["object"], a["view"]) for a in about} == {(room, name, 0) for room in dataset.rooms}
    image = load_room(about[0]["room"]).image
    np.testing.assert_array_equal(dataset.shot(0).background, image[:, ::-1] if about[0]["flip"] else image)


def test_an_object_that_fits_nowhere_is_replaced_by_the_next(data, monkeypatch):
    without_tables = lambda room, name, *rest: None if "table" in name else place(room, name, *rest)  # noqa: E731
    monkeypatch.setattr(datasets, "place", without_tables)
    dataset = MaskDepthDataset(rooms=4)
    assert {dataset.describe(i)["object"] for i in range(30)} == {"train_008_chair", "train_056_lower_cabinet"}
    monkeypatch.setattr(datasets, "place", lambda *rest: None)
    with pytest.raises(AssetError, match="No object of 'train' fits into room_train_00"):
        dataset[0]


# ---------------------------------------------------------------- the same everywhere
def test_samples_depend_on_seed_and_index_only(dataset):
    indices = (3, 99, 250, 7)
    forward = {i: dataset[i]["image"] for i in indices}
    assert all(torch.equal(dataset[i]["image"], forward[i]) for i in reversed(indices))
    other, again = (MaskDepthDataset(rooms=4, seed=1) for _ in range(2))
    assert dataset.describe(3)["room"] == other.describe(3)["room"]
    assert dataset.describe(3)["distance"] != other.describe(3)["distance"] == again.describe(3)["distance"]


# ---------------------------------------------------------------- the data that ships
@pytest.fixture
def shipped(monkeypatch):
    """The datasets of the data that ships, by split, with all rooms."""
    monkeypatch.delenv("MASKDEPTH_DATA", raising=False)
    return {split: MaskDepthDataset(split, gap="none", rooms=800) for split in ("train", "val", "test")}


def test_the_shipped_data_makes_400_000_training_samples(shipped):
    assert len(MaskDepthDataset("train")) == 400_000
    assert {split: len(dataset) for split, dataset in shipped.items()} == {
        "train": 3_200_000, "val": 32_000, "test": 72_000,
    }  # fmt: skip


def test_the_shipped_splits_share_neither_rooms_nor_objects(shipped):
    for names in ([d.rooms for d in shipped.values()], [d.objects for d in shipped.values()]):
        assert len(set().union(*names)) == sum(map(len, names))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_shipped_samples_show_their_object_on_the_floor(shipped, split):
    dataset, places, as_planned = shipped[split], [], 0
    for index in range(0, len(dataset), len(dataset) // 50 + 1):
        shot = dataset.shot(index)
        about, room = shot.about, load_room(shot.about["room"], shot.about["view"])
        assert np.mean(shot.mask > 0.5) >= 0.01 and about["inside"] >= 0.6 and about["visible"] >= 0.5
        cutout = next(c for yaw in range(8) if (c := load_cutout(about["object"], yaw, 0)).yaw == about["yaw"])
        assert is_free(room, footprint(room, cutout.size, cutout.yaw, about["distance"], about["azimuth"]))
        column, row, z = floor_point(room.pitch, about["distance"], about["azimuth"])
        assert 0 <= column < 160 and 0 <= row < 160 and room.depth[int(row), int(column)] < 1.05 * z + 0.1
        places.append((about["distance"], about["azimuth"]))
        as_planned += about["object"] == dataset.objects[dataset.locate(index)[1]]
    assert as_planned > 45  # hardly any had to be replaced
    (nearest, left), (farthest, right) = np.min(places, axis=0), np.max(places, axis=0)
    assert 1.6 <= nearest < farthest / 1.8 and right - left > 25


# ---------------------------------------------------------------- scenes, bad input
def darker(sample):
    """The share of the picture, outside the object, that it darkens by 15 %."""
    image, background = (sample[key].mean(0, keepdim=True) for key in ("image", "background"))
    return float(((image < 0.85 * background) & (sample["mask"] < 0.02)).float().mean())


@pytest.mark.parametrize("light,count", [("soft", 100), ("hard", 100), ("mirror", 20)])
def test_shipped_scenes_show_test_rooms_and_objects(shipped, light, count):
    scenes, test = SceneDataset(light=light), shipped["test"]
    assert len(scenes) == count
    for index in range(0, count, 10):
        about, sample = scenes.describe(index), scenes[index]
        assert about["room"] in test.rooms and about["object"] in test.objects
        check_sample(sample, 160)
        assert light != "hard" or darker(sample) >= 0.01  # a lamp's shadow is seen


def test_scenes_are_samples_too(data):
    scenes, tripod = SceneDataset(), SceneDataset(gap="tripod")
    assert len(scenes) == 2
    check_sample(scenes[0], 160)
    check_sample(SceneDataset(size=80, gap="handheld")[1], 80)
    assert scenes.describe(0)["object"] == "test_002_chair" and scenes.describe(0)["gap"] == "none"
    assert torch.equal(tripod[0]["depth"], scenes[0]["depth"])
    assert not torch.equal(tripod[0]["image"], scenes[0]["image"])


@pytest.mark.parametrize(
    "options,message",
    [
        ({"split": "dev"}, "unknown split 'dev': choose from train, val, test"),
        ({"gap": "phone"}, "unknown gap 'phone': choose from none, "),
        ({"size": 128}, r"size: expected one of \(160, 80\), found 128"),
        ({"rooms": 100}, "rooms: expected 1 to 4, .* found 100"),
        ({"rooms": 0}, "rooms: expected 1 to 4"),
        ({"rooms": 4, "seed": -1}, "seed: expected 0 to"),
        ({"light": "sun"}, r"light: expected one of \('sky', 'lamps', 'mixed'\), found 'sun'"),
    ],
)
def test_wrong_arguments_are_refused_at_once(data, options, message):
    with pytest.raises(ValueError, match=message):
        MaskDepthDataset(**options)
