"""The notebooks as they are committed."""

import exercises
import heads
import notebook_checks
import pytest
from notebook_files import find_notebooks, label, read

PATHS = find_notebooks(solutions=True)


@pytest.mark.parametrize("path", PATHS, ids=label)
def test_ready_to_be_read(path):
    """Whole, with a head and alt texts, with the exercises of its solutions, and not too long."""
    nb = read(path)
    found = [*notebook_checks.problems(nb), *notebook_checks.shape_problems(nb, path)]
    assert [*found, *heads.problems(nb, path), *exercises.problems(nb, path)] == []


def test_small_enough_to_clone():
    assert sum(path.stat().st_size for path in PATHS) < 12e6
