"""Datasets: composites made while you read them, and path-traced scenes.

A sample is a dict of float32 tensors, see `tensors.to_sample`; the extra composite_geometry builds one by hand.
"""

import math
from functools import lru_cache
from pathlib import Path

import torch
from torch.utils.data import Dataset

from ..draws import Draws
from ..files import AssetError, data_dir
from .compose import compose, zoom
from .library import SCENES, VIEWS, Room, Shot, load_room, load_scene, object_names, room_names, scene_names
from .light import LAMP_SHARE, LIGHTS, STRONG_SHARE, draw_lamps, draw_light, recolor
from .placement import place
from .projection import Projection
from .shadows import light_factor, object_points
from .shots import LEVELS, draw_level, shoot
from .tensors import checked_index, to_sample

SIZES = (160, 80)
FLIPS, PLACES = 2, 20


class ShotDataset(Dataset):
    """Base of our datasets: a subclass makes the pictures (`shot`), and this class turns them into tensors."""

    own_backgrounds = False  # whether samples of one room have different backgrounds even without a gap

    def __init__(self, split: str, size: int, gap: str, seed: int):
        if size not in SIZES:
            raise ValueError(f"size: expected one of {SIZES}, found {size!r}")
        draw_level(gap, Draws(seed, split, 0))  # rejects a bad gap or seed now, not later in a worker
        self.split, self.size, self.gap, self.seed = split, size, gap, seed

    def shot(self, index: int) -> Shot:
        """Sample `index` before it becomes tensors."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return to_sample(self.shot(index), self.size)

    def describe(self, index: int) -> dict:
        """What sample `index` shows: room, object, distance (metres), angles (degrees) and more."""
        return self.shot(index).about

    @property
    def settings(self) -> dict:
        """The arguments that determine the samples, as plain values, to store with a trained network or compare."""
        values = {"split": self.split, "size": self.size, "gap": self.gap, "seed": self.seed}
        return {"class": type(self).__name__} | values


class MaskDepthDataset(ShotDataset):
    """Composites of every object in every room, mirrored or not, at 20 places.

    Sample i depends on (seed, split, i) and nothing else: not on the order, the number of workers or the machine.

    Args:
        split: "train", "val" or "test", which share neither rooms nor objects.
        size: 160, or 80 (the same samples, each 2x2 pixels averaged).
        gap: What differs between the two shots: one of `shots.GAPS`. It changes neither place nor light.
        seed: Another seed gives other places, lights and gaps.
        rooms: How many training rooms; 100 make 400,000 samples. val and test always use all of theirs.
        recolor: Change the colours of room and object in each sample, equally in both shots; all else stays the same.
        real_light: Add shadows, reflections and outlines mixed in linear light at every gap (see `light`).
        zoom: Enlarge a random part of most samples (see `compose.zoom`). `describe` refers to the whole picture.
        light: "sky", "lamps" that cast shadows in every sample, or "mixed": lamps in some samples, and in half of these
            a single strong one. It changes nothing else.
        data: The folder of rooms/ and objects/, if not the usual one.
    """

    def __init__(
        self, split: str = "train", size: int = 160, gap: str = "handheld", seed: int = 0, rooms: int = 100,
        recolor: bool = False, real_light: bool = False, light: str = "sky", data: str | Path | None = None,
        zoom: bool = False,
    ):  # fmt: skip
        super().__init__(split, size, gap, seed)
        if light not in LIGHTS:
            raise ValueError(f"light: expected one of {LIGHTS}, found {light!r}")
        self.light, self.zoom = light, zoom
        self.data, self.recolor, self.real_light = str(data or data_dir()), recolor, real_light
        self.own_backgrounds = recolor or zoom
        self.rooms, self.objects = room_names(split, self.data), object_names(split, self.data)
        if split == "train":
            if not 1 <= rooms <= len(self.rooms):
                raise ValueError(f"rooms: expected 1 to {len(self.rooms)}, as many as {self.data} has; found {rooms}")
            self.rooms = self.rooms[:rooms]
        if not self.rooms or not self.objects:
            raise AssetError(f"{self.data} lists no rooms or no objects for {split!r}")
        self.views = VIEWS if split == "train" else 1

    def __len__(self) -> int:
        return len(self.rooms) * len(self.objects) * FLIPS * PLACES

    @property
    def settings(self) -> dict:
        look = {"recolor": self.recolor, "real_light": self.real_light}
        # Earlier releases had no `light`: their runs and exports, lit by the sky, stay comparable. Their "mixed" had no
        # strong lamps.
        look |= {} if self.light == "sky" else {"light": self.light}
        look |= {"zoom": True} if self.zoom else {}
        return super().settings | {"rooms": len(self.rooms)} | look

    def shot(self, index: int) -> Shot:
        """Make sample `index`: every step from the index to the two shots."""
        index = checked_index(index, len(self))
        room_number, object_number, flip, place_number = self.locate(index)
        draws, view = Draws(self.seed, self.split, index), place_number % self.views
        room = load_room(self.rooms[room_number], view, self.data)
        name, projection = self._place(room, object_number, draws)
        cutout, distance, azimuth = projection.cutout, projection.distance, projection.azimuth
        gap = draw_level(self.gap, draws.fork("gap").fork("level"))
        level = LEVELS[gap]
        options = draw_light(room.brightness, draws, level.shadow, level.always_linear, self.real_light, self.recolor)
        mixed = self.light == "mixed"
        if self.light == "lamps" or mixed and draws.fork("has lamps").uniform() < LAMP_SHARE:
            strong = mixed and draws.fork("has strong lamp").uniform() < STRONG_SHARE
            lamps = draw_lamps(room, projection, draws.fork("lamps"), strong)
            options["light"] = light_factor(room, projection, object_points(name, self.data), lamps)
            options["shadow"] *= 1 - sum(lamp.share for lamp in lamps)  # the sky's share of the light is smaller
        composite = compose(room, cutout, distance, azimuth, flip, projection=projection, **options)
        if self.zoom:
            composite = zoom(composite, draws.fork("zoom"))
        pictures = [composite.image, composite.background]
        if self.recolor:
            pictures = recolor(pictures, draws.fork("colors"))
        image, background = shoot(*pictures, gap, draws.fork("gap"))
        about = {
            "index": index, "room": room.name, "view": view, "object": name, "kind": cutout.kind, "flip": flip,
            "place": place_number, "distance": distance, "azimuth": azimuth, "yaw": cutout.yaw, "gap": gap,
            "gain": options["gain"],
        } | composite.about  # fmt: skip
        return Shot(image, background, composite.mask, composite.depth, about)

    def _place(self, room: Room, object_number: int, draws: Draws) -> tuple[str, Projection]:
        """Place the object, or the next one that fits if this one is too wide for the room or too small to be seen."""
        for shift in range(len(self.objects)):
            name = self.objects[(object_number + shift) % len(self.objects)]
            projection = place(room, name, draws.fork(f"place {shift}"), self.data)
            if projection:
                return name, projection
        raise AssetError(f"No object of {self.split!r} fits into {room.name}: see its entry in rooms.json")

    def locate(self, index: int) -> tuple[int, int, bool, int]:
        """Sample index -> (room number, object number, flip, place number). Each has exactly one index.

        With R rooms and O objects, R consecutive indices (from a multiple of R) show each room once, with changing
        objects; R x O consecutive indices show each pair once; flips and places are mixed from the start.
        """
        rooms, objects = len(self.rooms), len(self.objects)
        turn, pair = divmod(checked_index(index, len(self)), rooms * objects)
        step, column = divmod(pair, rooms)
        room_number = column * _stride(rooms) % rooms
        object_number = (column * _stride(objects) + step) % objects
        # Knuth's multiplicative hash shifts each pair's sequence of flips and places relative to the others.
        flip, place_number = divmod((turn + (pair * 2654435761 % 2**32 >> 12)) % (FLIPS * PLACES), PLACES)
        return room_number, object_number, bool(flip), place_number


class SceneDataset(ShotDataset):
    """The path-traced scenes, with true shadows and bounced light: a test for networks trained on composites.

    Args:
        light: One of `library.SCENES`.
    """

    def __init__(
        self, size: int = 160, gap: str = "none", seed: int = 0, light: str = "soft", data: str | Path | None = None
    ):
        super().__init__("scenes", size, gap, seed)
        if light not in SCENES:
            raise ValueError(f"light: expected one of {tuple(SCENES)}, found {light!r}")
        self.light, self.data = light, str(data or data_dir())
        self.names = scene_names(self.data, light)

    @property
    def settings(self) -> dict:
        return super().settings | ({} if self.light == "soft" else {"light": self.light})

    def __len__(self) -> int:
        return len(self.names)

    def shot(self, index: int) -> Shot:
        index = checked_index(index, len(self))
        scene = load_scene(self.names[index], self.data, self.light)
        draws = Draws(self.seed, self.split, index).fork("gap")
        level = draw_level(self.gap, draws.fork("level"))
        image, background = shoot(scene.image, scene.background, level, draws)
        about = {"index": index} | scene.about | {"flip": False, "gap": level}
        return scene._replace(image=image, background=background, about=about)


@lru_cache
def _stride(count: int) -> int:
    """A step of about 0.62 count that visits all of 0 .. count - 1, so that neighbours in the list end up far apart."""
    step = max(1, round(0.618 * count))
    while math.gcd(step, count) > 1:
        step += 1
    return step
