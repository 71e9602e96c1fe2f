"""Typical wrong answers to the exercises of notebook 01: {check: [(answers, words of the verdict), ...]}."""

import numpy as np


def z_depth(ray, focal, half=0.5, swap=False, middle=None):
    height, width = ray.shape
    row, column = np.mgrid[:height, :width] + half
    across, down = (height, width) if swap else (width, height)
    middle_x, middle_y = middle or (across / 2, down / 2)
    return ray / np.sqrt(((column - middle_x) / focal) ** 2 + ((row - middle_y) / focal) ** 2 + 1)


def longer(ray, focal):
    return ray * ray / z_depth(ray, focal)


def in_place(ray, focal):
    ray /= ray / z_depth(ray, focal)
    return ray


def merge(a, b, std):
    """Right but for the deviation, which is std(a, b, count, mean)."""
    count = a[0] + b[0]
    mean = (a[0] * a[1] + b[0] * b[1]) / count
    return count, mean, std(a, b, count, mean)


def variance(a, b, count, mean):
    return sum(n * (s**2 + (m - mean) ** 2) for n, m, s in (a, b)) / count


def split(rooms, objects, by_rooms=True, by_objects=True, share=0.3, mixed=False):
    generator = np.random.default_rng(0)
    new = []
    for names, used in ((rooms, by_rooms), (objects, by_objects)):
        different = generator.permutation(np.unique(names))
        new.append(np.isin(names, different[: max(1, round(share * len(different)))]) if used else None)
    new = [x for x in new if x is not None]
    train, test = ~np.logical_or.reduce(new), np.logical_and.reduce(new)
    return np.flatnonzero(train), np.flatnonzero(~train if mixed else test)


def random_split(rooms, objects):
    order = np.random.default_rng(0).permutation(len(rooms))
    return order[: int(0.7 * len(order))], order[int(0.7 * len(order)) :]


WRONG = {
    "check_threshold": [
        (8, "8: mean IoU 0."),
        (100, "Too much of the objects differs by less"),
        (20, "Noise and shadows pass it, too"),
        (0.18, "expected a number of 255, found 0.18"),
        (300, "expected a gray value from 0 to 255"),
        (-5, "expected a gray value from 0 to 255"),
        ("50", "expected one number, found str '50'"),
        ([40, 50], "expected one number, found a list of 2"),
    ],
    "check_z_depth": [
        (longer, "even longer than the ray"),
        (lambda ray, focal: ray, "it is still the ray distance"),
        (lambda ray, focal: z_depth(ray, focal, half=0), "missed by half a pixel"),
        (lambda ray, focal: z_depth(ray, 1), "the focal length is not used"),
        (lambda ray, focal: z_depth(ray, focal, swap=True), "rows and columns are mixed up"),
        (lambda ray, focal: z_depth(ray, focal, middle=(80, 80)), "the middle is not always pixel 80"),
        (lambda ray, focal: z_depth(ray, focal) ** 2 / ray, "divided by the squared length"),
        (lambda ray, focal: z_depth(ray, focal)[0], "expected shape (6, 6), found (6,)"),
        (lambda ray, focal: z_depth(ray, focal).mean(), "expected a NumPy array of shape (6, 6), found the number"),
        (lambda ray, focal: 100 * z_depth(ray, focal), "all values are 100 times what is expected"),
        (in_place, "changes its input in place"),
    ],
    "check_merge": [
        (lambda a, b: merge(a, b, lambda a, b, n, m: (a[2] + b[2]) / 2), "average of the parts' deviations"),
        (lambda a, b: merge(a, b, lambda a, b, n, m: (a[0] * a[2] + b[0] * b[2]) / n), "deviations, by their counts"),
        (
            lambda a, b: merge(a, b, lambda a, b, n, m: ((a[0] * a[2] ** 2 + b[0] * b[2] ** 2) / n) ** 0.5),
            "only the spread within the parts",
        ),
        (lambda a, b: merge(a, b, variance), "this is the variance"),
        (
            lambda a, b: merge(a, b, lambda a, b, n, m: (variance(a, b, n, m) * n / (n - 1)) ** 0.5),
            "it is divided by count - 1",
        ),
        (lambda a, b: (a[0] + b[0], (a[1] + b[1]) / 2, a[2]), "mean: both parts count alike"),
        (lambda a, b: (a[0], a[1], a[2]), "count: expected 40, found 30"),
        (lambda a, b: merge(a, b, variance)[1:], "expected three things (count, mean, std), found a tuple of 2"),
        (lambda a, b: merge(a, b, lambda a, b, n, m: variance(a, b, n, m).mean()), "expected shape (3,), found ()"),
    ],
    "check_split": [
        (random_split, "20 rooms are in training and in test"),
        (lambda rooms, objects: split(rooms, objects, by_objects=False), "20 objects are in training and in test"),
        (lambda rooms, objects: split(rooms, objects, by_rooms=False), "20 rooms are in training and in test"),
        (lambda rooms, objects: split(rooms, objects, mixed=True), "14 rooms are in training and in test"),
        (
            lambda rooms, objects: split(rooms, objects, share=0.05),
            "0.2% of the samples are in test, expected at least 5%",
        ),
        (lambda rooms, objects: split(rooms, objects, share=0.5), "25.0% of the samples are in training"),
        (lambda rooms, objects: (np.arange(800), np.arange(400, 1200)), "400 samples are in training and in test"),
        (lambda rooms, objects: (np.arange(1200), np.arange(0)), "test: no sample is in it"),
        (lambda rooms, objects: (rooms[:800], rooms[800:]), "expected indices of samples, found an array of shape"),
        (lambda rooms, objects: (np.arange(1, 1201), np.arange(2)), "expected indices from 0 to 1199, found 1 to 1200"),
        (lambda rooms, objects: np.arange(800), "expected two things (train, test), found an array"),
    ],
}
