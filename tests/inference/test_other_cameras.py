"""Cameras other than the canonical one: depth is right once their field of view and eye height are given.

The scenes were path-traced with such cameras (data/render/render_scenes.py --cameras).
"""

from pathlib import Path

import numpy as np

from maskdepth_utils import load_pretrained

FIXTURE = Path(__file__).parents[1] / "fixtures" / "cameras.npz"


def test_given_cameras_yield_metres():
    shots, predictor = np.load(FIXTURE, allow_pickle=False), load_pretrained(device="cpu")
    unsaid, said = [], []  # median of predicted / true depth, for each scene
    for i in range(len(shots["fov"])):
        pair, depth = (shots["image"][i], shots["background"][i]), shots["depth"][i] / 1000
        camera = {"fov": float(shots["fov"][i]), "eye_height": float(shots["eye_height"][i])}
        near = depth < 7  # farther away, the network's scale ends for some of these cameras
        for ratios, options in ((unsaid, {}), (said, camera)):
            ratios.append(np.median((predictor.predict(*pair, **options).depth / depth)[near]))
    factor = np.tan(np.radians(30)) / np.tan(np.radians(shots["fov"] / 2)) * shots["eye_height"] / 1.5
    np.testing.assert_allclose(np.divide(said, unsaid), factor, rtol=1e-4)
    assert np.corrcoef(np.log(unsaid), -np.log(factor))[0, 1] > 0.6
    assert np.median(np.abs(np.log(said))) < 0.12  # 12 %: a little more than with the canonical camera
    assert np.abs(np.log(said)).mean() < 0.75 * np.abs(np.log(unsaid)).mean()
