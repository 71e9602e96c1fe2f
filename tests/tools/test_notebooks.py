"""The notebooks as they are committed."""

import notebook_checks
import pytest
from notebook_files import find_notebooks, label, read

PATHS = find_notebooks(solutions=True)


@pytest.mark.parametrize("path", PATHS, ids=label)
def test_ready_to_be_read(path):
    assert notebook_checks.problems(read(path)) == []


@pytest.mark.parametrize("path", find_notebooks(), ids=label)
def test_short_enough_to_finish(path):
    assert notebook_checks.shape_problems(read(path), path) == []


def test_small_enough_to_clone():
    assert sum(path.stat().st_size for path in PATHS) < 12e6
