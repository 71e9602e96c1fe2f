"""Wrong answers to the exercises of notebook 01: {check: [(answer, words of the verdict), ...]}."""

import numpy as np

from maskdepth_utils.course.checks.nb01 import merge, z_depth


def change_in_place(ray, focal):
    ray /= ray / z_depth(ray, focal)
    return ray


def variance(a, b):
    count, mean, std = merge(a, b)
    return count, mean, std**2


def split(rooms, objects, by_objects=True, share=0.3):
    generator = np.random.default_rng(0)
    new = []
    for names in (rooms, objects) if by_objects else (rooms,):
        different = generator.permutation(np.unique(names))
        new.append(np.isin(names, different[: max(1, round(share * len(different)))]))
    train, test = ~np.logical_or.reduce(new), np.logical_and.reduce(new)
    return np.flatnonzero(train), np.flatnonzero(test)


def random_split(rooms, objects):
    order = np.random.default_rng(0).permutation(len(rooms))
    return np.split(order, [int(0.7 * len(order))])


WRONG = {
    "check_threshold": [
        (8, "8: mean IoU 0."),
        (100, "Too much of the objects differs by less"),
        (0.18, "expected a gray value from 1 to 255, found 0.18"),
    ],
    "check_z_depth": [
        (lambda ray, focal: z_depth(ray, focal)[0], "expected shape (6, 6), found (6,)"),
        (lambda ray, focal: 100 * z_depth(ray, focal), "all values are 100 times what is expected"),
        (lambda ray, focal: z_depth(ray, focal) + 1e-3, "at index (0, 0) expected 4, found 4.001"),
        (change_in_place, "changes its input in place"),
    ],
    "check_merge": [
        (variance, "std: the root is missing"),
        (lambda a, b: (a[0], a[1], a[2]), "count: expected 40, found 30"),
        (lambda a, b: (*merge(a, b)[:2], merge(a, b)[2].mean()), "expected shape (3,), found ()"),
    ],
    "check_split": [
        (random_split, "20 rooms are in training and in test"),
        (lambda rooms, objects: split(rooms, objects, by_objects=False), "20 objects are in training and in test"),
        (lambda rooms, objects: split(rooms, objects, share=0.05), "are in test, expected at least 5%"),
        (lambda rooms, objects: split(rooms, objects, share=0.5), "are in train, expected at least 40%"),
        (lambda rooms, objects: (rooms[:800], rooms[800:]), "expected indices of samples, found an array of shape"),
        (lambda rooms, objects: (np.arange(1, 1201), np.arange(2)), "index 1200 is out of bounds"),
        (lambda rooms, objects: (np.arange(600), np.arange(-1200, -1100)), "100 samples are in training and in test"),
    ],
}
