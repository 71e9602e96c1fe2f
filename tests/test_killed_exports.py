"""An export into shards that is killed, in one process or several, goes on and makes the same files."""

import itertools
import json
import os
import signal
import time
from pathlib import Path

import pytest
from lives import born, die_before, ended, in_fresh_process

from maskdepth_utils.data import datasets
from maskdepth_utils.data.storage.shards import export_shards

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork and no SIGKILL")


# --- shards, written in parallel


def wait_until(true, what: str) -> None:
    deadline = time.monotonic() + 300
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


class Held(datasets.MaskDepthDataset):
    """Samples of which the later ones do not come as long as the file `hold` is there."""

    hold = None

    def shot(self, index):
        if index >= 6 and self.hold:
            wait_until(lambda: not os.path.exists(self.hold), "the file to go")
        return super().shot(index)


def export_some(folder, workers, hold=None):
    dataset = Held("train", 80, "tripod", rooms=3)
    dataset.hold = hold
    return export_shards(dataset, folder, range(16), per_shard=2, workers=workers, progress=False)["shards"]


def names(folder, pattern="*") -> list[str]:
    return sorted(path.name for path in Path(folder).glob(pattern))


def is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def kill_an_export(folder):
    """Kill an export in two processes with three shards done and two begun, after trying a second one beside it."""
    hold, shards = Path(folder) / "hold", Path(folder) / "shards"
    hold.touch()

    def first():
        os.setpgid(0, 0)
        export_some(shards, 2, hold)

    life = born(first)
    wait_until(lambda: len(names(shards, "shard-*")) == 3 and len(names(shards, ".part-*.tar")) == 2, "three shards")
    second = ended(born(export_some, shards, 1))
    os.kill(life, signal.SIGKILL)
    killed = ended(life)
    wait_until(lambda: is_gone(life), "the end of the workers")
    hold.unlink()
    return [second, killed]


@pytest.mark.slow
def test_a_killed_export_in_parallel_processes_goes_on(data, tmp_path):
    """Its workers end, too, and the next export makes what is missing: the same bytes as one that was not killed."""
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    (second, killed), text = in_fresh_process(kill_an_export, tmp_path)
    assert (second, killed) == (1, -signal.SIGKILL) and "another export is writing into this folder" in text
    folder, whole = tmp_path / "shards", tmp_path / "whole"
    before = {name: (folder / name).stat().st_mtime_ns for name in names(folder, "shard-*")}
    assert len(before) == 3 and export_some(folder, 1) == export_some(whole, 1) == 8
    assert names(folder) == names(whole)
    for name in names(whole, "shard-*"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert {name: (folder / name).stat().st_mtime_ns for name in before} == before
    read = list(webdataset.WebDataset(str(folder / "shard-{000000..000007}.tar"), shardshuffle=False))
    assert [sample["__key__"] for sample in read] == [f"{index:07d}" for index in range(16)]
    assert json.loads(read[5]["json"])["index"] == 5


def kill_exports(folder):
    """Kill an export before each of its file operations, and go on; how many there are."""
    for number in itertools.count():
        out = f"{folder}/{number}"

        def short_life(number=number, out=out):
            die_before(number, lambda event, path: f"{out}/" in path, cut=True)
            export_some(out, 1)

        code = ended(born(short_life))
        assert code in (0, -signal.SIGKILL) and ended(born(export_some, out, 1)) == 0
        if code == 0:
            return number


def test_an_export_killed_before_every_file_operation_goes_on(data, tmp_path):
    operations, _ = in_fresh_process(kill_exports, tmp_path)
    assert operations > 16
    whole = {name: (tmp_path / str(operations) / name).read_bytes() for name in names(tmp_path / str(operations))}
    for number in range(operations):
        assert {name: (tmp_path / str(number) / name).read_bytes() for name in whole} == whole
        assert names(tmp_path / str(number)) == sorted(whole)
