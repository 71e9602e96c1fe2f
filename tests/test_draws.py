"""Random draws depend on their key alone, and never change."""

import threading

import numpy as np
import pytest

from maskdepth_utils.draws import NORMAL_TABLE, Draws

KEY = 2**63 + 5, "train", 2**40 + 1, 77


@pytest.mark.parametrize("counts", [(1, 2, 3, 4, 5, 6), (16, 9600, 16), (7, 16, 1, 16)])
def test_a_stream_continues_where_it_stopped(counts):
    draws, found = Draws(*KEY), []
    for count in counts:
        found.append(draws.bytes(count, 8))
        Draws(0, "val", 3).uniform()  # another stream draws in between
    np.testing.assert_array_equal(np.concatenate(found), Draws(*KEY).bytes(sum(counts), 8))


def test_draws_depend_on_seed_split_index_and_stream_only():
    first = [Draws(*key).uniform() for key in ((0, "train", 5), (1, "train", 5), (0, "val", 5), (0, "train", 6))]
    draws = Draws(0, "train", 5)
    first += [draws.fork("place").uniform(), draws.fork("gap").uniform(), draws.fork("gap").fork("place").uniform()]
    assert len(set(first)) == 7
    assert [draws.uniform(), draws.fork("place").uniform()] == [first[0], first[4]]


def test_the_first_draws_never_change():
    """Training with a seed uses the same samples after an update."""
    draws = Draws(0, "train", 0)
    first = [draws.uniform(), draws.integer(100), round(draws.normal(), 12)]
    assert first == [0.39454441109932903, 23, -0.973079148862]
    assert Draws(0, "train", 0).bytes(8).tolist() == [181, 35, 191, 125, 206, 220, 0, 101]
    assert Draws(*KEY).bytes(8).tolist() == [0, 222, 170, 123, 238, 46, 101, 141]
    assert Draws(*KEY).fork("place").bytes(8).tolist() == [65, 226, 142, 47, 63, 115, 180, 23]


def test_draws_are_distributed_as_named():
    draws = Draws(0, "test", 1)
    uniform = np.array([draws.uniform(-1, 3) for _ in range(4000)])
    assert abs(uniform.mean() - 1) < 0.06 and uniform.min() >= -1 and uniform.max() < 3
    normal = np.array([draws.normal(2, 0.5) for _ in range(4000)])
    assert abs(normal.mean() - 2) < 0.03 and abs(normal.std() - 0.5) < 0.02
    assert np.bincount([draws.integer(4) for _ in range(4000)]).tolist() == pytest.approx([1000] * 4, abs=120)
    picked = [draws.choice("abc", (1, 0, 3)) for _ in range(4000)]
    assert picked.count("b") == 0 and picked.count("c") == pytest.approx(3000, abs=120)
    grain = NORMAL_TABLE[draws.bytes(100, 100)]
    assert abs(grain.mean()) < 0.04 and abs(grain.std() - 1) < 0.03


def test_threads_do_not_disturb_each_other():
    wanted = {i: Draws(0, "train", i).bytes(5000).tobytes() for i in range(8)}
    wrong = []

    def draw(i):
        wrong.extend(i for _ in range(50) if Draws(0, "train", i).bytes(5000).tobytes() != wanted[i])

    threads = [threading.Thread(target=draw, args=(i,)) for i in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("key", [(-1, "train", 0), (2**64, "train", 0), (0, "train", -1)])
def test_seeds_out_of_range_are_refused(key):
    with pytest.raises(ValueError, match=r"expected 0 to 2\*\*64"):
        Draws(*key)
