"""The notebooks as they are committed, and (last of all tests) each of them run in the fast profile."""

import notebook_checks
import pytest
from notebook_files import NOTEBOOKS, find_notebooks, read
from run_notebooks import run

COURSE = [
    "01_dataset_inspection", "02_mask_net", "03_mask_depth_net", "04_loss_ablation", "05_evaluation",
    "06_speed_and_scale", "07_playground",
]  # fmt: skip
paths = find_notebooks(solutions=True)


def name(path):
    return str(path.relative_to(NOTEBOOKS))


def test_the_course_is_whole():
    there = [path.stem for path in find_notebooks()]
    assert there[: len(COURSE)] == COURSE


@pytest.mark.parametrize("path", paths, ids=name)
def test_ready_to_be_read(path):
    problems = notebook_checks.problems(read(path))
    assert not problems, "\n".join([f"{name(path)}:", *problems])


def test_small_enough_to_clone():
    assert sum(path.stat().st_size for path in paths) < 12e6


@pytest.mark.notebooks
@pytest.mark.parametrize("path", find_notebooks(), ids=name)
def test_runs_from_any_folder(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    result = run(path, "fast", tmp_path, cwd=tmp_path / "elsewhere")
    assert result["error"] is None, result["error"]
    assert result["headline"], "no headline figures for the table of `make course`"
