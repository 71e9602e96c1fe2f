"""The composer against exact ray casts of the same poses (made by data/render/render_scenes.py --poses)."""

from pathlib import Path

import numpy as np
import pytest

from maskdepth_utils.data.compose import compose
from maskdepth_utils.data.library import cutout_distances, load_cutout, load_room, nearest_distance

FIXTURE = Path(__file__).parent / "fixtures" / "poses.npz"


@pytest.fixture(scope="module")
def measured():
    """Per pose: mask IoU; and all depth errors on the object, metres, where both masks agree."""
    poses = np.load(FIXTURE, allow_pickle=False)
    overlaps, errors = [], []
    for i in range(len(poses["room"])):
        name, distance = str(poses["object"][i]), float(poses["distance"][i])
        row = nearest_distance(cutout_distances(name), distance)
        cutout = load_cutout(name, int(poses["yaw"][i]), row)
        made = compose(load_room(str(poses["room"][i])), cutout, distance, float(poses["azimuth"][i]), shadow=False)
        mine, truth = made.mask > 0.5, poses["coverage"][i] > 127
        overlaps.append((mine & truth).sum() / (mine | truth).sum())
        errors.append(np.abs(made.depth - poses["depth"][i] / 1000)[mine & truth])
    return np.array(overlaps), np.concatenate(errors)


def test_enough_poses(measured):
    assert len(measured[0]) >= 30


def test_masks_agree_with_direct_renders(measured):
    overlaps = measured[0]
    print(f"\nmask IoU over {len(overlaps)} poses: median {np.median(overlaps):.3f}, worst {overlaps.min():.3f}")
    assert np.median(overlaps) >= 0.88


def test_depths_agree_with_direct_renders(measured):
    median, high = np.percentile(measured[1], [50, 95])
    print(f"\ndepth error on the object: median {median * 100:.2f} cm, 95th percentile {high * 100:.1f} cm")
    assert median <= 0.02 and high <= 0.10
