"""Fixtures that several tests use."""

import shutil

import pytest
from tiny_data import write_tiny_data


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A small data/ folder (see tiny_data.py), made once. Read only; to spoil files ask for `own_data`."""
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
