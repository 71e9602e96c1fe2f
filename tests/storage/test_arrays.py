"""Arrays hold the samples that were written."""

import numpy as np
import pytest
import torch

from maskdepth_utils.data import MaskDepthDataset, make_loader
from maskdepth_utils.data.storage.arrays import ArrayDataset, write_arrays
from maskdepth_utils.files import AssetError


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
    with pytest.raises(AssetError, match="depth.npy is missing"):
        ArrayDataset(tmp_path)


def test_an_export_that_fails_leaves_nothing(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "shot", lambda index: (_ for _ in ()).throw(OSError("disk gone")))
    with pytest.raises(OSError, match="disk gone"):
        write_arrays(dataset, tmp_path, [0], progress=False)
    assert list(tmp_path.iterdir()) == []
