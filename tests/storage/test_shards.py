"""Shards hold the samples, survive whatever ends an export, and damage is reported."""

import itertools
import json
import os
import signal
import sys
import tarfile
from pathlib import Path

import pytest
import webdataset
from filelock import FileLock
from lives import born, die_before, ended, in_fresh_process

from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.data.storage.shards import ShardDataset, write_shards
from maskdepth_utils.files import AssetError


def training_samples() -> MaskDepthDataset:
    return MaskDepthDataset("train", 80, "tripod", rooms=3)


def export(folder, count=4, **options) -> dict:
    """Write shards of two samples each."""
    return write_shards(training_samples(), folder, range(count), **{"per_shard": 2, "progress": False} | options)


def contents(folder) -> dict:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_webdataset_reads_them(data, tmp_path):
    export(tmp_path)
    read = webdataset.WebDataset(str(tmp_path / "shard-{000000..000001}.tar"), shardshuffle=False)
    samples = {sample["__key__"]: sample for sample in read}
    assert list(samples) == [f"{index:07d}" for index in range(4)]
    assert {"image.jpg", "background.jpg", "mask.png", "depth.png"} <= samples["0000003"].keys()
    assert json.loads(samples["0000003"]["json"])["index"] == 3


def test_without_webdataset_the_message_says_what_to_install(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset", None)  # then importing it fails
    with pytest.raises(RuntimeError, match="pip install webdataset"):
        export(tmp_path)


@pytest.mark.parametrize("other", [{"count": 5}, {"per_shard": 4}])
def test_shards_of_two_exports_are_never_mixed(data, tmp_path, other):
    export(tmp_path)
    with pytest.raises(FileExistsError, match="another export"):
        export(tmp_path, **other)
    done = export(tmp_path, overwrite=True, **other)
    assert len(list(ShardDataset(tmp_path, 80))) == done["samples"]


def test_two_exports_at_once_are_refused(data, tmp_path):
    with FileLock(tmp_path / ".maskdepth-lock"), pytest.raises(FileExistsError, match="another export is writing"):
        export(tmp_path)


def test_a_damaged_shard_is_named(data, tmp_path):
    export(tmp_path, 2)
    path = tmp_path / "shard-000000.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as archive:
        starts = [member.offset for member in archive]
    for length in (0, 3000, *starts[1:]):
        path.write_bytes(whole[:length])
        with pytest.raises(AssetError, match="shard-000000.tar is damaged"):
            list(ShardDataset(tmp_path))
    path.write_bytes(whole.replace(b"JFIF", b"\0" * 4).replace(b"\xff\xd8\xff", b"\0" * 3))
    with pytest.raises(AssetError, match="shard-000000.tar is damaged: not a picture"):
        list(ShardDataset(tmp_path))
    with pytest.raises(AssetError, match="no shards"):
        ShardDataset(tmp_path / "nowhere")


def test_only_missing_shards_are_written(data, tmp_path):
    export(tmp_path)
    kept, lost = sorted(tmp_path.glob("*.tar"))
    written = kept.stat().st_mtime_ns
    lost.unlink()
    assert export(tmp_path)["shards"] == 2 and lost.is_file() and kept.stat().st_mtime_ns == written


def kill_exports(folder):
    """Kill an export before each of its file operations, and resume it; return how many there are."""
    for number in itertools.count():
        out = f"{folder}/{number}"

        def short_life(number=number, out=out):
            die_before(number, lambda event, path: f"{out}/" in path, cut=True)
            export(out, workers=2)

        code = ended(born(short_life))
        assert code in (0, -signal.SIGKILL) and ended(born(export, out)) == 0
        if code == 0:
            return number


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork and no SIGKILL")
def test_an_export_killed_before_every_file_operation_resumes(data, tmp_path):
    """The killed export's workers, which live a little longer, do not disturb the next export."""
    operations, _ = in_fresh_process(kill_exports, tmp_path)
    assert operations > 8
    for number in range(operations):
        assert contents(tmp_path / str(number)) == contents(tmp_path / str(operations))
