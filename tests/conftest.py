"""Fixtures that several tests use."""

import json
import os
import shutil
from pathlib import Path

import pytest
from lab import find_chromium, open_browser

SHIPPED = Path(__file__).resolve().parents[1] / "data"
KEPT = {
    "rooms": [f"room_{name}" for name in ("train_000 train_001 train_002 train_003 val_000 test_000 test_045").split()],
    "objects": ["train_008_chair", "train_056_lower_cabinet", "train_064_table", "val_009_chair", "test_002_chair"],
    "scenes": ["scene_000", "scene_043"],
}


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A small data/ folder, read only: some of the rooms, objects and scenes that ship. `own_data` may be damaged."""
    folder = tmp_path_factory.mktemp("tiny") / "data"
    for kind, names in KEPT.items():
        (folder / kind).mkdir(parents=True)
        content = json.loads((SHIPPED / kind / f"{kind}.json").read_text(encoding="utf8"))
        content[kind] = [entry for entry in content[kind] if entry["name"] in names]
        (folder / kind / f"{kind}.json").write_text(json.dumps(content))
        for file in (SHIPPED / kind).iterdir():
            if file.name.startswith(tuple(names)):
                shutil.copy(file, folder / kind)
    return folder


@pytest.fixture
def data(tiny_data, monkeypatch):
    """The same, as the data that maskdepth_utils finds."""
    monkeypatch.setenv("MASKDEPTH_DATA", str(tiny_data))
    return tiny_data


@pytest.fixture
def own_data(tiny_data, tmp_path, monkeypatch):
    """A copy of it that a test may damage."""
    path = shutil.copytree(tiny_data, tmp_path / "data")
    monkeypatch.setenv("MASKDEPTH_DATA", str(path))
    return path


@pytest.fixture(scope="module")
def browser():
    """A running Chromium. Not for the whole session: while playwright runs, no other test can use asyncio.

    Without one its tests are skipped, or fail where MASKDEPTH_BROWSER=required says that there is one.
    """
    required = os.environ.get("MASKDEPTH_BROWSER") == "required"
    if find_chromium() is None:
        (pytest.fail if required else pytest.skip)("no Chromium found: see README, or set CHROMIUM to its path")
    if not required:
        pytest.importorskip("playwright", reason="playwright is not installed")
    with open_browser() as browser:
        yield browser
