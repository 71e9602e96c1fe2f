"""Wrong answers to the exercises of notebook 05: {check: [(answer, words of the verdict), ...]}."""

import numpy as np

from maskdepth_utils.course.checks.nb05 import is_within, report
from maskdepth_utils.metrics import delta, rmse


def interval(values, groups, generator, percentiles=(2.5, 97.5)):
    _, number = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(number, values), np.bincount(number)
    drawn = generator.integers(len(sums), size=(1000, len(sums)))
    return tuple(np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), percentiles))


def mean_of_rooms(values, rooms, generator):
    means = np.array([values[rooms == name].mean() for name in np.unique(rooms)])
    return interval(means, np.arange(len(means)), generator)


def unclamped(a, b):
    factor = (a * b).sum((1, 2, 3)) / (a * a).sum((1, 2, 3))
    return rmse(factor.view(-1, 1, 1, 1) * a, b)


WRONG = {
    "check_side": [
        (36, "IoU 0.8975 when it is one pixel fat, expected at least 0.9"),
        (38, "but one of 37 x 37 still has 0.9001"),
    ],
    "check_delta": [
        (lambda a, b, region: is_within(a[region], b[region]).float().mean(), "expected shape (3,), found ()"),
        (lambda a, b, region: delta(a, b, region).nan_to_num(nan=1.0), "without a pixel: expected [nan], found [1]"),
    ],
    "check_report": [
        (lambda t, v, s: (t[v.mean(0).argmax()], 0), "IndexError"),
        (lambda t, v, s: (report(t, v, s)[0], s.mean(0).max()), "IoU: expected 0."),
    ],
    "check_interval": [
        (lambda v, r, g: interval(v, np.arange(len(v)), g), "single images are drawn"),
        (lambda v, r, g: interval(v, r, g, (5, 95)), "too narrow"),
        (lambda v, r, g: np.percentile(v, [2.5, 97.5]), "The interval is of the *mean*"),
        (mean_of_rooms, "a room with more of them has more weight"),
        (lambda v, r, g: interval(v, r, g)[::-1], "Low comes first"),
    ],
    "check_scale_free": [
        (unclamped, "All black: expected [0.5"),
    ],
}
