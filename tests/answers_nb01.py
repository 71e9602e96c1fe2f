"""Answers to the exercises of notebook 01."""

import numpy as np
import torch
from answers import Exercise, solutions

from maskdepth_utils.course.checks.nb01 import z_depth


def draw_ray(g):
    return g.uniform(0.5, 9, g.integers(1, 9, 2)), float(g.uniform(2, 12))


def split(rooms, objects, share=0.3, by_objects=True):
    generator = np.random.default_rng(0)
    new = []
    for names in (rooms, objects) if by_objects else (rooms,):
        different = generator.permutation(np.unique(names))
        new.append(np.isin(names, different[: max(1, round(share * len(different)))]))
    train, test = ~np.logical_or.reduce(new), np.logical_and.reduce(new)
    return np.flatnonzero(train), np.flatnonzero(test)


def split_by_sets(rooms, objects):
    new_rooms, new_objects = (sorted(set(names))[::4] for names in (rooms, objects))
    pairs = list(enumerate(zip(rooms, objects)))
    train = [i for i, (room, thing) in pairs if room not in new_rooms and thing not in new_objects]
    return train, [i for i, (room, thing) in pairs if room in new_rooms and thing in new_objects]


def random_split(rooms, objects):
    order = np.random.default_rng(0).permutation(len(rooms))
    return np.split(order, [int(0.7 * len(order))])


def repeated(rooms, objects):
    train, test = split(rooms, objects, share=0.1)
    return train, np.repeat(test, 9)


EXERCISES = {
    "check_threshold": Exercise(
        right=[50, 50.0, np.float32(50), torch.tensor(50)],
        wrong=[
            (8, "8: mean IoU 0."),
            (100, "Too much of the objects differs by less"),
            (0.18, "expected a gray value from 1 to 255, found 0.18"),
        ],
    ),
    "check_z_depth": Exercise(
        right=[solutions()["check_z_depth"], lambda ray, focal: np.float32(z_depth(ray, focal))],
        draw=draw_ray,
        wrong=[
            (lambda ray, focal: z_depth(ray, focal)[0], "expected values of shape (6, 6), found an array of"),
            (lambda ray, focal: 100 * z_depth(ray, focal), "all values are 100 times what is expected"),
            (lambda ray, focal: z_depth(ray, focal) + 1e-3, "at index (0, 0) expected 4, found 4.001"),
        ],
    ),
    "check_split": Exercise(
        right=[split_by_sets, split, lambda *names: [np.isin(range(len(names[0])), part) for part in split(*names)]],
        allowed=("line 2: 4 -> 3",),
        wrong=[
            (random_split, "20 rooms are in training and in test"),
            (lambda *names: split(*names, by_objects=False), "20 objects are in training and in test"),
            (lambda *names: split(*names, share=0.05), "are in test, expected at least 5%"),
            (lambda *names: split(*names, share=0.5), "are in train, expected at least 40%"),
            (repeated, "1.0% of the samples are in test"),
            (lambda rooms, objects: (rooms[:800], rooms[800:]), "expected indices of samples, found an array of shape"),
            (lambda rooms, objects: (np.arange(1, 1201), np.arange(2)), "There are 1200 samples, counted from 0"),
            (lambda *names: (np.arange(600), np.arange(-1200, -1100)), "100 samples are in training and in test"),
        ],
    ),
}  # fmt: skip
