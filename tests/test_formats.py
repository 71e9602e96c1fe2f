"""Shards and arrays hold the samples that were written, survive an interruption, and say what is wrong with them."""

import io
import tarfile

import numpy as np
import pytest
import torch

from maskdepth_utils.data import MaskDepthDataset, make_loader
from maskdepth_utils.data.storage import shards
from maskdepth_utils.data.storage.shards import ArrayDataset, ShardDataset, export_arrays, export_shards
from maskdepth_utils.files import AssetError

QUIET = {"progress": False}


@pytest.fixture
def dataset(data):
    return MaskDepthDataset("val", size=80, gap="tripod")


def close(a, b, jpeg):
    """Equal but for 8 bits (and JPEG), and for a millimetre."""
    assert a.keys() == b.keys()
    assert (a["depth"] - b["depth"]).abs().max() < 1e-4 and (a["mask"] - b["mask"]).abs().max() < 0.003
    for name in ("image", "background"):
        assert (a[name] - b[name]).abs().mean() < (0.03 if jpeg else 0.003)


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_hold_the_samples(dataset, tmp_path, workers):
    done = export_shards(dataset, tmp_path / "s", range(7), per_shard=3, workers=workers, **QUIET)
    assert (done["samples"], done["shards"]) == (7, 3)
    read = list(ShardDataset(tmp_path / "s", 80))
    assert len(read) == 7
    for index, sample in enumerate(read):
        close(sample, dataset[index], jpeg=True)
    assert sum(len(batch["image"]) for batch in make_loader(ShardDataset(tmp_path / "s", 80), batch=2, workers=2)) == 7


def test_webdataset_reads_them(dataset, tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    export_shards(dataset, tmp_path, range(3), per_shard=2, **QUIET)
    pattern = str(tmp_path / "shard-{000000..000001}.tar")
    samples = list(webdataset.WebDataset(pattern, shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in samples] == ["0000000", "0000001", "0000002"]
    assert {"image.jpg", "background.jpg", "mask.png", "depth.png", "json"} <= set(samples[0])


def test_an_interrupted_export_goes_on(dataset, tmp_path, monkeypatch):
    real, calls = shards.write_shard, []

    def fails_at_the_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(shards, "write_shard", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        export_shards(dataset, tmp_path, range(9), per_shard=3, **QUIET)
    assert [path.name for path in sorted(tmp_path.glob("*.tar"))] == ["shard-000000.tar"]
    export_shards(dataset, tmp_path, range(9), per_shard=3, **QUIET)
    assert len(calls) == 4  # one before, one cut off, two afterwards
    whole = export_shards(dataset, tmp_path.with_name("whole"), range(9), per_shard=3, **QUIET)
    for number in range(whole["shards"]):
        name = shards.shard_name(number)
        assert (tmp_path / name).read_bytes() == (tmp_path.with_name("whole") / name).read_bytes()


def test_shards_of_two_exports_are_never_mixed(dataset, tmp_path):
    export_shards(dataset, tmp_path, range(4), per_shard=2, **QUIET)
    with pytest.raises(FileExistsError, match="another export"):
        export_shards(dataset, tmp_path, range(4), per_shard=2, quality=50, **QUIET)
    with pytest.raises(FileExistsError, match="another export"):  # as many, with the same first and last
        export_shards(dataset, tmp_path, [0, 2, 1, 3], per_shard=2, **QUIET)
    export_shards(dataset, tmp_path, range(2), per_shard=2, overwrite=True, **QUIET)
    assert len(list(ShardDataset(tmp_path, 80))) == 2


def test_a_damaged_shard_is_named(dataset, tmp_path):
    export_shards(dataset, tmp_path, range(2), **QUIET)
    path = tmp_path / "shard-000000.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    with pytest.raises(AssetError, match="shard-000000.tar is damaged"):
        list(ShardDataset(tmp_path))
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        last_but_one = archive.getmembers()[-3]  # its mask is there, its depth is not
    path.write_bytes(whole[: last_but_one.offset])
    with pytest.raises(AssetError, match="it ends within sample 0000001"):
        list(ShardDataset(tmp_path))
    with pytest.raises(AssetError, match="no shards"):
        ShardDataset(tmp_path / "nowhere")


def test_arrays_hold_the_samples_exactly(dataset, tmp_path):
    export_arrays(dataset, tmp_path, [5, 0, 3], **QUIET)
    read = ArrayDataset(tmp_path, 80)
    assert len(read) == 3
    close(read[0], dataset[5], jpeg=False)
    close(read[-1], dataset[3], jpeg=False)
    with pytest.raises(FileExistsError, match="image.npy"):
        export_arrays(dataset, tmp_path, [0], **QUIET)
    np.save(tmp_path / "mask.npy", np.zeros((2, 80, 80), np.uint8))
    with pytest.raises(AssetError, match="different lengths"):
        ArrayDataset(tmp_path)


def test_array_export_leaves_nothing_behind_when_it_fails(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(type(dataset), "shot", lambda self, index: (_ for _ in ()).throw(OSError("disk gone")))
    with pytest.raises(OSError, match="disk gone"):
        export_arrays(dataset, tmp_path, [0], **QUIET)
    assert list(tmp_path.iterdir()) == []


def test_samples_of_both_are_trained_on_as_any_other(dataset, tmp_path):
    export_arrays(dataset, tmp_path, range(4), **QUIET)
    batch = next(iter(make_loader(ArrayDataset(tmp_path, 80), batch=4)))
    assert batch["image"].shape == (4, 3, 80, 80) and batch["depth"].dtype == torch.float32
