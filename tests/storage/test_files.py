"""Files are replaced entirely or not at all, and errors say what prevented it."""

import os
from pathlib import Path

import pytest

from maskdepth_utils.files import PART, WriteError, replacing, write_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_replaced_together(tmp_path):
    paths = [tmp_path / "new folder" / name for name in "ab"]
    for content in ("one", "two"):
        with replacing(*paths) as parts:
            for part in parts:
                part.write_text(content)
        assert names(tmp_path / "new folder") == ["a", "b"] and all(path.read_text() == content for path in paths)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error, raised", [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(5, "I/O"), WriteError)])
def test_a_failure_leaves_the_earlier_file(tmp_path, monkeypatch, step, error, raised):
    write_file(tmp_path / "file", b"old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(raised) as caught:
        write_file(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"old"
    assert raised is KeyboardInterrupt or str(caught.value) == f"{tmp_path / 'file'}: cannot be written (I/O)"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_disk_leaves_the_earlier_file(tmp_path):
    write_file(tmp_path / "file", b"old")
    (tmp_path / f"file{PART}").symlink_to("/dev/full")  # a device on which there is no space for anything
    with pytest.raises(WriteError, match="file: the disk is full"):
        write_file(tmp_path / "file", bytes(1_000_000))
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="inner: cannot be written"):
        write_file(tmp_path / "file" / "inner", b"")
