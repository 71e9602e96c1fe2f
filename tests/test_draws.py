"""Random draws depend on their key alone, and never change."""


import numpy as np
import pytest

from maskdepth_utils.draws import NORMAL_TABLE, Draws

FIRST_DRAWS, FIRST_BYTES = [0.39454441109932903, 23, -0.973079148862], [181, 35, 191, 125, 206, 220, 0, 101]


def test_draws_are_philox_bits():
    """The published generator (Philox 4x64, 10 rounds; Salmon et al. 2011): counter 0, key 0."""
    # NumPy counts up before it draws, so the block for counter 0 comes after counter 2**256 - 1
    bits = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)
    assert [hex(b) for b in bits] == [
        "0x16554d9eca36314c",
        "0xdb20fe9d672d0fdc",
        "0xd7e772cee186176b",
        "0x7e68b68aec7ba23b",
    ]


def test_draws_depend_on_seed_split_index_and_stream_only():
    draw = lambda *key: [Draws(*key).uniform() for _ in range(3)][0]  # noqa: E731
    assert draw(0, "train", 5) == draw(0, "train", 5)
    others = {draw(0, "train", 5), draw(1, "train", 5), draw(0, "val", 5), draw(0, "train", 6)}
    others |= {Draws(0, "train", 5).fork("place").uniform(), Draws(0, "train", 5).fork("gap").uniform()}
    others |= {Draws(0, "train", 5).fork("gap").fork("place").uniform()}
    assert len(others) == 7
    used = Draws(0, "train", 5)
    used.uniform()
    assert used.fork("place").uniform() == Draws(0, "train", 5).fork("place").uniform()


def test_the_first_draws_never_change():
    """Whoever trains with a seed gets the same samples after an update."""
    draws = Draws(0, "train", 0)
    assert [draws.uniform(), draws.integer(100), round(draws.normal(), 12)] == FIRST_DRAWS
    assert Draws(0, "train", 0).bytes(8).tolist() == FIRST_BYTES


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


@pytest.mark.parametrize("key", [(-1, "train", 0), (2**64, "train", 0), (0, "train", -1)])
def test_seeds_out_of_range_are_refused(key):
    with pytest.raises(ValueError, match=r"expected 0 to 2\*\*64"):
        Draws(*key)
