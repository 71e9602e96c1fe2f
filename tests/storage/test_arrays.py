"""Arrays hold the samples that were written."""

import shutil

import numpy as np
import pytest
import torch

from maskdepth_utils.data import MaskDepthDataset, make_loader
from maskdepth_utils.data.storage.arrays import ArrayDataset, write_arrays
from maskdepth_utils.files import AssetError, WriteError


@pytest.fixture
def dataset(data):
    return MaskDepthDataset("val", size=80, gap="tripod")


def test_arrays_hold_the_samples(dataset, tmp_path):
    indices = [5, 0, 3]
    write_arrays(dataset, tmp_path, indices, progress=False)
    read = ArrayDataset(tmp_path, 80)
    limits = {"image": 0.003, "background": 0.003, "mask": 0.003, "depth": 1e-4}  # half a step, a millimetre
    for index, sample in zip(indices, read, strict=True):
        assert all((sample[field] - dataset[index][field]).abs().max() < limit for field, limit in limits.items())
    assert torch.equal(read[-1]["depth"], read[2]["depth"])
    batch = next(iter(make_loader(read, batch=3)))
    assert batch["image"].shape == (3, 3, 80, 80) and batch["depth"].dtype == torch.float32


def test_arrays_that_do_not_fit_are_reported(dataset, tmp_path):
    write_arrays(dataset, tmp_path, [0], progress=False)
    with pytest.raises(FileExistsError, match="image.npy"):
        write_arrays(dataset, tmp_path, [0], progress=False)
    np.save(tmp_path / "mask.npy", np.zeros((2, 80, 80), np.uint8))
    with pytest.raises(AssetError, match="arrays of one length"):
        ArrayDataset(tmp_path)
    (tmp_path / "depth.npy").unlink()
    with pytest.raises(AssetError, match="depth.npy"):
        ArrayDataset(tmp_path)


def test_a_disk_that_is_too_small_is_noticed_first(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 0, 10**6))
    with pytest.raises(WriteError, match="57.6 MB are needed, 1.0 MB are free"):
        write_arrays(dataset, tmp_path, range(1000), progress=False)
    assert list(tmp_path.iterdir()) == []
