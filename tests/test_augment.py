"""Other colours for training samples: what stays and what changes."""

import numpy as np
import pytest

from maskdepth_utils.augment import color_matrix, recolor
from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.draws import Draws


def test_gray_stays_gray_and_equal_pixels_stay_equal():
    for index in range(20):
        draws = Draws(0, "test", index)
        matrix = color_matrix(draws.fork("matrix"))
        assert np.allclose(matrix @ np.ones(3), matrix.sum() / 3)
        picture = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        one, other = recolor([picture, picture.copy()], draws)
        assert np.array_equal(one, other) and one.dtype == np.uint8
        gray = recolor([np.full((4, 4, 3), 100, np.uint8)], draws)[0].astype(int)
        assert np.ptp(gray) <= 2


@pytest.mark.parametrize("gap", ["none", "tripod"])
def test_a_recolored_sample_keeps_its_geometry_and_its_draws(gap):
    plain, colored = (MaskDepthDataset("train", gap=gap, recolor=recolor) for recolor in (False, True))
    different = 0
    for index in (0, 12345, 399_999):
        a, b, again = plain.shot(index), colored.shot(index), colored.shot(index)
        assert np.array_equal(a.mask, b.mask) and np.array_equal(a.depth, b.depth)
        assert a.about == b.about
        assert np.array_equal(b.image, again.image) and np.array_equal(b.background, again.background)
        different += not np.array_equal(a.background, b.background)
        if gap == "none":
            assert np.array_equal(b.image[b.mask == 0], b.background[b.mask == 0])
    assert different == 3
