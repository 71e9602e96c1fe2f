"""Fixtures that several tests use."""

import os
import shutil

import pytest
import torch
from lab import find_chromium, open_browser
from tiny_data import write_tiny_data


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A small data/ folder (see tiny_data.py), made once. Read only; to damage files use `own_data`."""
    return write_tiny_data(tmp_path_factory.mktemp("tiny") / "data")


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


@pytest.fixture
def one_thread():
    """PyTorch on one thread: several gain nothing on tiny pictures, and they wait for each other on busy cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
