"""Each notebook of the course, and each extra, run in the fast profile: the last of all tests."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import run_notebooks
from notebook_files import find_notebooks, label

LESSONS = [label(path) for path in find_notebooks()]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of all notebooks. Two run at a time, on one thread each: faster than one by one on two threads."""
    folder = tmp_path_factory.mktemp("notebooks")

    def run(name):
        command = [sys.executable, run_notebooks.__file__, "--out", folder / name, name]
        subprocess.run(command, cwd=folder, capture_output=True)
        return json.loads((folder / name / "run_notebooks.json").read_text())[0]

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(LESSONS, pool.map(run, LESSONS)))


@pytest.mark.notebooks
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", LESSONS)
def test_a_notebook_runs_from_any_folder(name, results):
    assert results[name]["error"] is None, results[name]["error"]
    assert results[name]["headline"], "no headline figures for the table of `make course`"
