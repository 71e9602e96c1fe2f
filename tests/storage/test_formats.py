"""Zips, shards and arrays: samples come back, nothing but an earlier export is replaced, full disks are reported."""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from maskdepth_utils.data import MaskDepthDataset, SceneDataset, ZipDataset, make_loader
from maskdepth_utils.data.storage import zips
from maskdepth_utils.data.storage.arrays import ArrayDataset, write_arrays
from maskdepth_utils.data.storage.shards import ShardDataset, write_shards
from maskdepth_utils.data.storage.zips import write_zips
from maskdepth_utils.files import AssetError, WriteError

FORMATS = {"zips": (write_zips, ZipDataset), "shards": (write_shards, ShardDataset)}
FORMATS |= {"arrays": (write_arrays, ArrayDataset)}
LIMITS = {"image": 0.03, "background": 0.03, "mask": 0.5001 / 255, "depth": 1.01e-4}  # JPEG; half a step; a millimetre


@pytest.fixture(params=FORMATS.values(), ids=FORMATS)
def both(request):
    """A format's function that writes samples, and its dataset."""
    return request.param


@pytest.fixture
def dataset(data):
    return MaskDepthDataset("val", size=80, gap="tripod")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def assert_alike(sample, again):
    for field, limit in LIMITS.items():
        difference = (sample[field] - again[field]).abs()
        assert (difference.mean() if limit == 0.03 else difference.max()) < limit, field


@pytest.mark.parametrize("scenes", [False, True])
def test_samples_come_back(both, dataset, tmp_path, scenes):
    write, reader = both
    dataset = SceneDataset(80) if scenes else dataset
    indices = [1, 0] if scenes else [5, 0, 3]
    assert write(dataset, tmp_path, indices, progress=False)["samples"] == len(indices)
    back = reader(tmp_path, 80)
    for index, again in zip(indices, back, strict=True):
        assert_alike(dataset[index], again)
    sent = pickle.dumps(back)  # to a worker that is started by `spawn`
    assert len(sent) < 10_000 and torch.equal(next(iter(pickle.loads(sent)))["depth"], next(iter(back))["depth"])
    assert sum(len(batch["depth"]) for batch in make_loader(back, batch=2, workers=2)) == len(indices)


def test_threads_and_workers_share_a_zip(dataset, tmp_path):
    write_zips(dataset, tmp_path, range(4), progress=False)
    back = ZipDataset(tmp_path, 80)
    expected = [sample["depth"] for sample in back]  # opens the files before the workers start
    with ThreadPoolExecutor(8) as threads:
        read = threads.map(lambda index: back[index]["depth"], [*range(4)] * 50)
        assert all(torch.equal(*pair) for pair in zip(read, expected * 50, strict=True))
    batches = make_loader(back, batch=1, workers=2)
    assert all(torch.equal(batch["depth"][0], depth) for batch, depth in zip(batches, expected, strict=True))


@pytest.mark.parametrize("write", [write_zips, write_arrays])
def test_earlier_files_are_replaced_only_on_request_and_only_as_a_whole(dataset, tmp_path, monkeypatch, write):
    write(dataset, tmp_path, range(4), progress=False)
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match="exists already.*overwrite=True"):
        write(dataset, tmp_path, range(3), progress=False)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(dataset, "shot", lambda index: (_ for _ in ()).throw(KeyboardInterrupt))
        write(dataset, tmp_path, range(3), overwrite=True, progress=False)
    assert contents(tmp_path) == before
    for count in (3, 4):
        write(dataset, tmp_path, range(count), overwrite=True, progress=False)
        assert (contents(tmp_path) == before) == (count == 4)  # equal samples give equal bytes


@pytest.mark.parametrize("write", [write_zips, write_arrays])
def test_a_disk_that_is_too_small_is_noticed_early(dataset, tmp_path, monkeypatch, write):
    monkeypatch.setattr(zips, "TRIAL", 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    with pytest.raises(WriteError, match=r"out: .*\d MB are needed, 0.0 MB are free"):
        write(dataset, tmp_path / "out", range(12), progress=False)
    assert not list((tmp_path / "out").iterdir())


def test_arrays_that_do_not_fit_are_reported(dataset, tmp_path):
    write_arrays(dataset, tmp_path, [0], progress=False)
    np.save(tmp_path / "mask.npy", np.zeros((2, 80, 80), np.uint8))
    with pytest.raises(AssetError, match="arrays of one length"):
        ArrayDataset(tmp_path)
    (tmp_path / "depth.npy").unlink()
    with pytest.raises(AssetError, match="depth.npy"):
        ArrayDataset(tmp_path)
