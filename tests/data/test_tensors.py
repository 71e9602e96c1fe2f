"""Statistics of samples."""

import numpy as np
import pytest
import torch

from maskdepth_utils.data.tensors import mean_std


def test_mean_and_deviation_are_those_of_all_pixels_at_once():
    values = np.random.default_rng(0).uniform(0, 1, (20, 3, 8, 8))
    mean, std = mean_std([values[:7], torch.from_numpy(values[7:8]), values[8:]])
    np.testing.assert_allclose(mean, values.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, values.std((0, 2, 3)), rtol=1e-12)


def test_the_deviation_of_nearly_equal_values_keeps_its_digits():
    values = 1e6 + np.random.default_rng(0).normal(0, 1e-3, (50, 1, 8, 8))
    _, std = mean_std(values[i : i + 5] for i in range(0, 50, 5))
    np.testing.assert_allclose(std, values.std(), rtol=1e-6)


@pytest.mark.parametrize("arrays,message", [([], "no data"), ([np.zeros((3, 4))], r"\(N, C, H, W\), found \(3, 4\)")])
def test_statistics_of_nothing_or_of_wrong_shape(arrays, message):
    with pytest.raises(ValueError, match=message):
        mean_std(arrays)
