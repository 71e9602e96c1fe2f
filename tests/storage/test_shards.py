"""Shards hold the samples, survive whatever ends an export, and name what is wrong with them."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import psutil
import pytest
import webdataset
from lives import NAMESPACE, born, can_mount, die_before, ended, fill, in_fresh_process, message_of

from maskdepth_utils.data import MaskDepthDataset, make_loader
from maskdepth_utils.data.storage.arrays import write_arrays
from maskdepth_utils.data.storage.shards import ShardDataset, write_shards
from maskdepth_utils.files import AssetError

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork and no SIGKILL")


class HeldDataset(MaskDepthDataset):
    """Samples of which those from 6 on do not come while the file `hold` exists."""

    hold = None

    def shot(self, index):
        if index >= 6 and self.hold:
            wait_until(lambda: not os.path.exists(self.hold))
        return super().shot(index)


def wait_until(is_true) -> None:
    deadline = time.monotonic() + 120
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def export(folder, count=4, hold=None, **options) -> dict:
    """Write shards of two samples each."""
    dataset = HeldDataset("train", 80, "tripod", rooms=3)
    dataset.hold = hold
    return write_shards(dataset, folder, range(count), **{"per_shard": 2, "progress": False} | options)


def names(folder, pattern="*") -> list[str]:
    return sorted(path.name for path in Path(folder).glob(pattern))


def contents(folder) -> dict:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_shards_hold_the_samples(data, tmp_path):
    done = export(tmp_path, 7, per_shard=3)
    assert (done["samples"], done["shards"]) == (7, 3) == (7, len(names(tmp_path, "shard-*")))
    limits = {"image": 0.03, "background": 0.03, "mask": 0.003, "depth": 1e-4}
    for sample, expected in zip(ShardDataset(tmp_path, 80), HeldDataset("train", 80, "tripod", rooms=3)):
        assert all((sample[field] - expected[field]).abs().mean() < limit for field, limit in limits.items())
    assert sum(len(batch["image"]) for batch in make_loader(ShardDataset(tmp_path, 80), batch=2, workers=2)) == 7


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


@pytest.mark.parametrize("other", [{"quality": 50}, {"count": 5}, {"per_shard": 4}])
def test_shards_of_two_exports_are_never_mixed(data, tmp_path, other):
    export(tmp_path)
    with pytest.raises(FileExistsError, match="another export"):
        export(tmp_path, **other)
    done = export(tmp_path, overwrite=True, **other)
    assert len(list(ShardDataset(tmp_path, 80))) == done["samples"]


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


# ---------------------------------------------------------------- exports that are killed, and full disks
def kill_an_export(folder):
    """Try a second export beside one in two processes; kill that with three shards done and two begun."""
    hold = Path(folder) / "hold"
    shards = Path(folder) / "shards"
    hold.touch()
    life = born(lambda: export(shards, 16, hold, workers=2))
    wait_until(lambda: len(names(shards, "shard-*.tar")) == 3 and len(names(shards, "*.tar.part")) == 2)
    second = message_of(export, shards, 16)
    workers = psutil.Process(life).children(recursive=True)
    os.kill(life, signal.SIGKILL)
    ended(life)
    assert len(workers) >= 2 and not psutil.wait_procs(workers, timeout=60)[1]  # they end, too
    hold.unlink()
    return second


@needs_fork
@pytest.mark.slow
def test_a_killed_export_in_several_processes_goes_on(data, tmp_path):
    second, _ = in_fresh_process(kill_an_export, tmp_path)
    assert "another export is writing into this folder" in second
    folder = tmp_path / "shards"
    before = {name: (folder / name).stat().st_mtime_ns for name in names(folder, "shard-*.tar")}
    export(folder, 16, workers=2)
    export(tmp_path / "whole", 16)
    assert len(before) == 3 and contents(folder) == contents(tmp_path / "whole")
    assert {name: (folder / name).stat().st_mtime_ns for name in before} == before


def kill_exports(folder):
    """Kill an export before each of its file operations, and go on; how many there are."""
    for number in itertools.count():
        out = f"{folder}/{number}"

        def short_life(number=number, out=out):
            die_before(number, lambda event, path: f"{out}/" in path, cut=True)
            export(out)

        code = ended(born(short_life))
        assert code in (0, -signal.SIGKILL) and ended(born(export, out)) == 0
        if code == 0:
            return number


@needs_fork
def test_an_export_killed_before_every_file_operation_goes_on(data, tmp_path):
    operations, _ = in_fresh_process(kill_exports, tmp_path)
    assert operations > 8
    for number in range(operations):
        assert contents(tmp_path / str(number)) == contents(tmp_path / str(operations))


def export_to_a_full_disk(folder):
    """Write arrays that cannot fit; write shards until the disk is full, then the rest."""
    disk = Path(folder) / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    arrays = message_of(write_arrays, MaskDepthDataset("train", 80, "tripod", rooms=3), disk / "arrays", range(1000))
    fill(disk / "filler", 70_000)
    full = message_of(export, disk / "shards", 8)
    left = names(disk, "*/*.npy*") + names(disk, "shards/*.part")
    there = len(names(disk, "shards/shard-*.tar"))
    (disk / "filler").unlink()
    export(disk / "shards", 8)
    return [arrays, full, left, there, len(names(disk, "shards/shard-*.tar"))]


@pytest.mark.skipif(not can_mount(), reason="a small disk to fill cannot be mounted here")
def test_an_export_to_a_full_disk(data, tmp_path):
    (arrays, full, left, there, in_the_end), _ = in_fresh_process(export_to_a_full_disk, tmp_path, prefix=NAMESPACE)
    assert "57.6 MB are needed, 1.0 MB are free" in arrays and left == []
    assert "the disk is full" in full and f"{there} of 4 shards are complete; to go on, make room" in full
    assert 0 < there < in_the_end == 4
