"""Light and colours of a sample: what stays and what changes."""

import numpy as np
import pytest
from skimage.color import rgb2xyz, xyz2rgb

from maskdepth_utils.data import MaskDepthDataset, library
from maskdepth_utils.data.compose import compose
from maskdepth_utils.data.light import draw_color_matrix, draw_real_light, recolor
from maskdepth_utils.draws import Draws

LOOK = {"distance": 3.0, "azimuth": 0.0, "shadow": 0.0}


@pytest.fixture(scope="module")
def table():
    """A room and a table to stand in it."""
    return library.load_room("room_test_007"), library.load_cutout("test_003_table", 0, 0)


def test_gray_stays_gray_and_equal_pixels_stay_equal():
    for index in range(20):
        draws = Draws(0, "test", index)
        matrix = draw_color_matrix(draws.fork("matrix"))
        assert np.allclose(matrix @ np.ones(3), matrix.sum() / 3)
        picture = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        one, other = recolor([picture, picture.copy()], draws)
        assert np.array_equal(one, other) and one.dtype == np.uint8
        assert np.ptp(recolor([np.full((4, 4, 3), 100, np.uint8)], draws)[0].astype(int)) <= 2


@pytest.mark.parametrize("gap", ["none", "tripod"])
def test_a_recolored_sample_keeps_its_geometry_and_its_draws(gap):
    plain, colored = (MaskDepthDataset("train", gap=gap, recolor=recolor) for recolor in (False, True))
    for index in (0, 12345, 399_999):
        a, b = plain.shot(index), colored.shot(index)
        assert np.array_equal(a.mask, b.mask) and np.array_equal(a.depth, b.depth)
        assert a.about == b.about and not np.array_equal(a.background, b.background)
        if gap == "none":
            assert np.array_equal(b.image[b.mask == 0], b.background[b.mask == 0])


def test_real_light_changes_nothing_but_the_floor_and_the_outline():
    plain, lit = (MaskDepthDataset("train", gap="none", real_light=real_light) for real_light in (False, True))
    different = 0
    for index in (0, 1, 2, 12345, 399_999):
        a, b = plain.shot(index), lit.shot(index)
        room = library.load_room(a.about["room"], a.about["view"])
        floor = room.floor[:, ::-1] if a.about["flip"] else room.floor
        assert np.array_equal(a.mask, b.mask) and np.array_equal(a.background, b.background)
        changed = (a.image != b.image).any(-1)
        assert not (changed & ~floor & (a.mask == 0)).any() and not (changed & (a.mask == 1)).any()
        different += changed.any()
    assert different >= 2


@pytest.mark.parametrize("always_linear,linear", [(True, 1), (False, 0.5)])
def test_real_light_is_drawn_by_its_shares(always_linear, linear):
    drawn = [draw_real_light(Draws(0, "test", index), always_linear) for index in range(400)]
    lit = [one for one in drawn if one["shadow"]]
    assert 0.65 < len(lit) / len(drawn) < 0.85
    assert 0.4 < np.mean([one["gloss"] > 0 for one in lit]) < 0.6 and max(one["gloss"] for one in lit) <= 0.4
    assert abs(np.mean([one["linear"] for one in lit]) - linear) < 0.1
    assert not any(one["gloss"] or one["linear"] for one in drawn if not one["shadow"])


def test_outlines_mix_as_light(table):
    """A pixel's light is its coverage times the object's plus the rest times the room's, as in scikit-image."""
    pasted, lit = (compose(*table, linear=linear, **LOOK) for linear in (False, True))
    assert np.array_equal(pasted.mask, lit.mask) and np.array_equal(pasted.depth, lit.depth)
    assert np.array_equal(pasted.image[pasted.mask == 0], lit.image[pasted.mask == 0])
    assert np.abs(pasted.image[pasted.mask == 1].astype(int) - lit.image[pasted.mask == 1]).max() <= 1

    outline = (pasted.mask > 0.4) & (pasted.mask < 0.9)
    share, wall = pasted.mask[outline][:, None], pasted.background[outline] / 255
    wood = ((pasted.image[outline] / 255 - (1 - share) * wall) / share).clip(0, 1)
    mixed = xyz2rgb(share * rgb2xyz(wood) + (1 - share) * rgb2xyz(wall))
    assert np.abs(255 * mixed - lit.image[outline]).max() < 3
    brighter = lit.image[outline].astype(int) - pasted.image[outline]  # sRGB's curve is concave: its mean is too dark
    assert brighter.min() >= -1 and brighter.max() > 8


def test_the_mirror_image_hangs_below_the_feet(table):
    """A table's legs are as long below the floor line as above it, and what is farther up is mirrored farther down."""
    matte, glossy = (compose(*table, gloss=gloss, **LOOK) for gloss in (0.0, 1.0))
    changed = (matte.image.astype(int) != glossy.image).any(-1)
    assert np.array_equal(matte.depth, glossy.depth)
    assert np.nonzero(changed)[0].max() > np.nonzero(matte.mask > 0.5)[0].max() + 10
    assert (changed & ~table[0].floor & (matte.mask == 0)).sum() == 0
