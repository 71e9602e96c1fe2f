"""Datasets: composites made while you read them, path-traced scenes, and how to feed either to a network.

A sample is a dict of float32 tensors: `image` and `background` (3, H, W) in [0, 1], `mask` (1, H, W), the
object's coverage in [0, 1], and `depth` (1, H, W), z-depth / 10 m clipped to [0, 1]. torch's default collate
makes batches of it. Notebook 01 builds a sample by hand. Reading and writing zip files: zips.py, export.py.
"""

import math
from functools import lru_cache

from torch.utils.data import Dataset

from ..draws import Draws
from ..files import AssetError
from . import library, light
from .library import VIEWS, load_cutout, load_room, object_names, room_names
from .placement import place
from .shots import LEVELS, check_gap, draw_level, shoot
from .tensors import Shot, checked_index, to_sample

SIZES = (160, 80)
FLIPS, PLACES = 2, 20
# An object is as bright as its cutout times the room's brightness over this, with a spread (of the logarithm):
# measured on path-traced training objects in training rooms by data/render/render_scenes.py --light.
USUAL_BRIGHTNESS, LIGHT_SPREAD = 0.67, 0.19


class MaskDepthDataset(Dataset):
    """Composites of every object in every room, mirrored or not, at 20 places: (room, object, flip, place).

    split: "train", "val" or "test", which share neither rooms nor objects. size: 160, or 80 (the same
    samples, each 2x2 pixels averaged). gap: what differs between the two shots, one of "none", "tripod",
    "handheld" and "mixed" (see capture.py); it changes neither place nor light. seed: another seed gives
    other places, lights and gaps. rooms: how many training rooms, in order; 100 make 100 x 100 x 2 x 20 =
    400,000 samples. val and test always use all of theirs. recolor: other colours for room and object in each
    sample (light.py), the same in both shots; places, depths and gaps stay. real_light: shadows, reflections and
    outlines mixed as light under every gap (light.py).

    Sample i depends on (seed, split, i) and nothing else: not on the order, the number of workers or the
    machine. Any slice of the indices is a good mixture, see `locate`.
    """

    def __init__(
        self, split="train", size=160, gap="handheld", seed=0, rooms=100, recolor=False, real_light=False, data=None
    ):  # fmt: skip
        _check(size, gap)
        Draws(seed, split, 0)  # refuses a bad seed here and now, not in a worker
        self.data = str(data or library.data_dir())
        self.split, self.size, self.gap, self.seed = split, size, gap, seed
        self.recolor, self.real_light = recolor, real_light
        self.rooms, self.objects = room_names(split, self.data), object_names(split, self.data)
        if split == "train":
            if not 1 <= rooms <= len(self.rooms):
                have = f"the training rooms in {self.data}"
                raise ValueError(f"rooms must be 1 to {len(self.rooms)}, {have}, got {rooms}")
            self.rooms = self.rooms[:rooms]
        if not self.rooms or not self.objects:
            found = f"{len(self.rooms)} rooms and {len(self.objects)} objects"
            raise AssetError(f"{self.data} lists {found} for {split!r}")
        self.views = VIEWS if split == "train" else 1

    def __len__(self):
        return len(self.rooms) * len(self.objects) * FLIPS * PLACES

    @property
    def settings(self) -> dict:
        """What decides the samples, as plain values: to save with what was trained on them, and to compare."""
        names = ("split", "size", "gap", "seed", "recolor", "real_light")
        return {"class": type(self).__name__, "rooms": len(self.rooms)} | {name: getattr(self, name) for name in names}

    def locate(self, index):
        """Sample index -> (room number, object number, flip, place number). Each has exactly one index.

        With R rooms and O objects, R consecutive indices (from a multiple of R) show each room once, with
        ever other objects; R x O consecutive indices show each pair once; flips and places are mixed from the
        start.
        """
        rooms, objects = len(self.rooms), len(self.objects)
        turn, pair = divmod(checked_index(index, len(self)), rooms * objects)
        step, column = divmod(pair, rooms)
        room = column * _stride(rooms) % rooms
        object_ = (column * _stride(objects) + step) % objects
        # Knuth's multiplicative hash shifts each pair's sequence of flips and places against the others'.
        flip, place_ = divmod((turn + (pair * 2654435761 % 2**32 >> 12)) % (FLIPS * PLACES), PLACES)
        return room, object_, bool(flip), place_

    def shot(self, index) -> Shot:
        """Sample `index` as uint8 pictures, coverage and metres, with what `describe` tells."""
        index = checked_index(index, len(self))
        room_number, object_number, flip, place_number = self.locate(index)
        draws = Draws(self.seed, self.split, index)
        gap_draws = draws.fork("gap")
        gap = draw_level(self.gap, gap_draws.fork("level"))
        room = load_room(self.rooms[room_number], place_number % self.views, self.data)
        gain = _gain(room, draws.fork("light"))
        # Should an object fit nowhere in a room (too wide, too small to be seen), the next one takes its place.
        for shift in range(len(self.objects)):
            name = self.objects[(object_number + shift) % len(self.objects)]
            look = {"flip": flip, "shadow": LEVELS[gap].shadow, "gain": gain}
            if self.real_light:
                look |= light.real_light(draws.fork("real light"), gap)
            if self.recolor:
                look["gain"] = gain * light.color_matrix(draws.fork("object's colors"))
            found = place(room, name, draws.fork(f"place {shift}"), self.data, **look)
            if found:
                break
        else:
            raise AssetError(f"No object of {self.split!r} fits into {room.name}: see its entry in rooms.json")
        placement, composite = found
        pictures = composite.image, composite.background
        if self.recolor:
            pictures = light.recolor(pictures, draws.fork("colors"))
        image, background = shoot(*pictures, gap, gap_draws)
        cutout = load_cutout(name, placement.yaw, 0, self.data)
        about = {
            "index": index, "room": room.name, "view": place_number % self.views, "object": name,
            "kind": cutout.kind, "flip": flip, "place": place_number, "distance": placement.distance,
            "azimuth": placement.azimuth, "yaw": cutout.yaw, "gap": gap, "gain": gain,
            "inside": composite.inside, "visible": composite.visible,
        }  # fmt: skip
        return Shot(image, background, composite.mask, composite.depth, about)

    def __getitem__(self, index):
        return to_sample(self.shot(index), self.size)

    def describe(self, index):
        """What sample `index` shows, for tables and captions: room, view, object, kind, flip, distance (m),
        azimuth and yaw (degrees, as placed, before the flip), gap (the level drawn, for "mixed"), gain,
        shares inside the image and visible."""
        return self.shot(index).about


class SceneDataset(Dataset):
    """The path-traced scenes, with true shadows and bounced light: a test for what learned on composites.

    Samples as MaskDepthDataset's. gap "none" leaves the pictures as they were rendered.
    """

    def __init__(self, size=160, gap="none", seed=0, data=None):
        _check(size, gap)
        Draws(seed, "scenes", 0)
        self.data, self.size, self.gap, self.seed = str(data or library.data_dir()), size, gap, seed
        self.names = library.scene_names(self.data)

    def __len__(self):
        return len(self.names)

    @property
    def settings(self) -> dict:
        """What decides the samples, as plain values."""
        return {"class": type(self).__name__, "size": self.size, "gap": self.gap, "seed": self.seed}

    def shot(self, index) -> Shot:
        """Scene `index` as uint8 pictures, coverage and metres."""
        index = checked_index(index, len(self))
        scene = library.load_scene(self.names[index], self.data)
        draws = Draws(self.seed, "scenes", index).fork("gap")
        gap = draw_level(self.gap, draws.fork("level"))
        image, background = shoot(scene.image, scene.background, gap, draws)
        keys = ("room", "object", "kind", "distance", "azimuth", "yaw")
        about = {key: getattr(scene, key) for key in keys}
        about = {"index": index, "scene": scene.name, "flip": False, **about, "gap": gap}
        return Shot(image, background, scene.mask, scene.depth, about)

    def __getitem__(self, index):
        return to_sample(self.shot(index), self.size)

    def describe(self, index):
        """What scene `index` shows: scene, room, object, kind, distance (m), azimuth, yaw (degrees) and gap."""
        return self.shot(index).about


def _gain(room, draws):
    """Factor for an object's colours: it follows the room's brightness, as far as path-traced objects do."""
    gain = room.brightness / USUAL_BRIGHTNESS * math.exp(draws.normal(0, LIGHT_SPREAD))
    return min(1.5, max(0.5, gain))


@lru_cache
def _stride(count):
    """A step of about 0.62 count that visits all of 0 .. count - 1, so that neighbours in the list come apart."""
    step = max(1, round(0.618 * count))
    while math.gcd(step, count) > 1:
        step += 1
    return step


def _check(size, gap):
    if size not in SIZES:
        raise ValueError(f"size must be one of {SIZES}, got {size!r}")
    check_gap(gap)
