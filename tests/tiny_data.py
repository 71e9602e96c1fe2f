"""A small data/ folder, ray-cast within seconds: boxes in box-shaped rooms, in the exact format of the real one."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from raycast import EYE, FOCAL, cast_object, cast_room, direct, mean_of, rays, turned

CUTOUT_FOCAL = 1.5 * FOCAL
WIDTH, HEIGHT = 240, 192
YAWS = [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0]
DISTANCES = (2.5, 5.0)

# x0, x1, y0, y1, z0, z1 of each box of an object that stands on the origin, its front towards the camera (-z)
CABINET = [(-0.4, 0.4, 0, 1.1, -0.25, 0.25)]
TABLE = [(-0.6, 0.6, 0.68, 0.74, -0.4, 0.4)] + [
    (x - 0.04, x + 0.04, 0, 0.68, z - 0.04, z + 0.04) for x in (-0.54, 0.54) for z in (-0.34, 0.34)
]
CHAIR = [(-0.24, 0.24, 0, 0.45, -0.24, 0.24), (-0.24, 0.24, 0.45, 0.95, 0.18, 0.24)]
OBJECTS = {
    "train_000_cabinet": ("cabinet", CABINET),
    "train_001_table": ("desk", TABLE),
    "train_002_chair": ("chair", CHAIR),
    "val_000_chair": ("chair", [(-0.3, 0.3, 0, 0.8, -0.3, 0.3)]),
    "test_000_shelf": ("shelf", [(-0.5, 0.5, 0, 1.7, -0.2, 0.2)]),
}
ROOMS = {  # pitch, pan, box, obstacles
    "room_train_000": (7.3, -3.1, (-2.5, 2.5, -1.0, 6.0), [(1.2, 1.6, 3.4, 3.8)]),
    "room_train_001": (12.0, 5.0, (-3.0, 2.0, -1.0, 5.0), []),
    "room_train_002": (3.0, 0.0, (-2.0, 3.0, -1.0, 8.0), [(-1.5, -1.1, 4.0, 4.4)]),
    "room_train_003": (9.0, -7.0, (-3.0, 3.0, -1.0, 7.0), []),
    "room_val_000": (5.0, 2.0, (-2.5, 2.5, -1.0, 6.5), []),
    "room_test_000": (10.0, 4.0, (-2.5, 2.5, -1.0, 6.0), [(-1.4, -1.0, 2.8, 3.2)]),
}
SCENES = {"scene_000": (45.0, 3.1, -8.0), "scene_001": (0.0, 4.0, 6.0)}


def millimetres(depth):
    return np.uint16(np.clip(np.rint(depth * 1000), 0, 65535))


def write_room(folder, name, room):
    directions = rays(WIDTH, HEIGHT, FOCAL, *room[:2])
    Image.fromarray(millimetres(cast_room(directions, room)[0])).save(folder / f"{name}_depth.png")
    color = mean_of(cast_room(rays(WIDTH, HEIGHT, FOCAL, *room[:2], samples=2), room)[1], 2)
    Image.fromarray(np.uint8(color + 0.5)).save(folder / f"{name}.webp", lossless=True)
    box, obstacles = list(room[2]), [list(o) for o in room[3]]
    split = name.split("_")[1]
    return {"name": name, "split": split, "pitch": room[0], "pan": room[1], "box": box, "obstacles": obstacles}


def write_object(folder, name, kind, boxes):
    size = [2 * max(b[1] for b in boxes), 2 * max(b[5] for b in boxes), max(b[3] for b in boxes)]
    rows, sheets = [], {"color": [], "relief": [], "shadow": []}
    for distance in DISTANCES:
        scale, reach = CUTOUT_FOCAL / distance, math.hypot(*size[:2]) / 2
        near = CUTOUT_FOCAL / (distance - reach)
        left = math.ceil(near * reach) + 2
        top = math.floor(-near * max(size[2] - 1.5, 0) - 2 + min(1.5 - size[2], 0))
        top = min(top, math.floor(scale * (1.5 - size[2]) * distance / (distance + reach)) - 2)
        frame = {"x0": -left, "y0": top, "width": 2 * left, "height": math.ceil(near * 1.5) + 2 - top}
        high = math.floor(1.5 * CUTOUT_FOCAL / (distance + reach + 0.4))
        wide = math.ceil(near * (reach + 0.4) / 2)
        tall = math.ceil((1.5 * CUTOUT_FOCAL / (distance - reach - 0.3) - high) / 2)
        shade = {"x0": -2 * wide, "y0": high, "width": 2 * wide, "height": tall, "step": 2}
        rows.append({"distance": distance, "frame": frame, "shadow": shade})
        cells = [cutout_views(boxes, size, yaw, distance, frame, shade) for yaw in YAWS]
        for key, views in zip(sheets, zip(*cells, strict=True), strict=True):
            sheets[key].append(np.concatenate(views, 1))
    for key, parts in sheets.items():
        width = max(part.shape[1] for part in parts)
        empty = {"color": 0, "relief": 32768, "shadow": 255}[key]
        pads = [[(0, 0), (0, width - p.shape[1])] + [(0, 0)] * (p.ndim - 2) for p in parts]
        sheet = np.concatenate([np.pad(p, pad, constant_values=empty) for p, pad in zip(parts, pads, strict=True)])
        end, options = (".webp", {"lossless": True, "exact": True}) if key == "color" else (".png", {})
        Image.fromarray(sheet).save(folder / f"{name}_{key}{end}", **options)
    return {
        "name": name, "split": name.split("_")[0], "kind": kind, "title": name, "author": "tests", "licence": "CC0",
        "source": "tests/tiny_data.py", "size": size, "yaws": YAWS, "distances": rows,
    }  # fmt: skip


def cutout_views(boxes, size, yaw, distance, frame, shade, samples=3):
    window = frame["width"], frame["height"], CUTOUT_FOCAL, 0, 0, frame["x0"], frame["y0"]
    depth, color = cast_object(rays(*window, samples=samples), boxes, yaw, distance)
    hit = np.isfinite(depth)
    alpha = mean_of(hit.astype(float), samples)
    straight = mean_of(color, samples) / np.maximum(alpha, 1e-6)[..., None]
    # colours and relief continue outward from the nearest pixel of the object, as in the real sheets
    depth, _ = cast_object(rays(*window), boxes, yaw, distance)
    known = np.isfinite(depth)
    straight, relief = outward(straight, alpha > 0), outward(np.where(known, depth - distance, 0), known)
    rgba = np.uint8(np.concatenate([straight, 255 * alpha[..., None]], -1) + 0.5)

    direction = rays(shade["width"], shade["height"], CUTOUT_FOCAL, 0, 0, shade["x0"], shade["y0"], step=shade["step"])
    floor = EYE + direction * (1.5 / np.maximum(-direction[..., 1:2], 1e-6))
    local = np.abs(turned(floor - np.array([0, 0, distance]), yaw))
    gap = np.hypot(*np.maximum(local[..., [0, 2]] - np.array(size[:2]) / 2, 0).transpose(2, 0, 1))
    return rgba, np.uint16(np.rint(relief * 1000) + 32768), np.uint8(255 * (1 - 0.6 * np.exp(-gap / 0.08)) + 0.5)


def outward(values, known):
    _, labels = cv2.distanceTransformWithLabels(np.uint8(~known), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.zeros((labels.max() + 1, *values.shape[2:]))
    nearest[labels[known]] = values[known]
    return nearest[labels]


def write_scene(folder, name, pose):
    room, boxes = ROOMS["room_test_000"], OBJECTS["test_000_shelf"][1]
    image, mask, depth = direct(room, boxes, *pose)
    background, _, _ = direct(room, [], *pose)
    Image.fromarray(image).save(folder / f"{name}.webp", lossless=True)
    Image.fromarray(background).save(folder / f"{name}_background.webp", lossless=True)
    Image.fromarray(np.uint8(255 * mask + 0.5)).save(folder / f"{name}_mask.png")
    Image.fromarray(millimetres(depth)).save(folder / f"{name}_depth.png")
    where = dict(zip(("yaw", "distance", "azimuth"), pose, strict=True))
    return {"name": name, "room": "room_test_000", "object": "test_000_shelf", **where}


def write_tiny_data(path):
    """Make the folder: 4 / 1 / 1 rooms, 3 / 1 / 1 objects, 2 scenes."""
    path = Path(path)
    for kind in ("rooms", "objects", "scenes"):
        (path / kind).mkdir(parents=True)
    rooms = [write_room(path / "rooms", name, room) for name, room in ROOMS.items()]
    head = {"width": WIDTH, "height": HEIGHT, "focal": FOCAL, "eye_height": 1.5}
    (path / "rooms/rooms.json").write_text(json.dumps({**head, "rooms": rooms}))
    objects = [write_object(path / "objects", name, *thing) for name, thing in OBJECTS.items()]
    head = {"focal": CUTOUT_FOCAL, "eye_height": 1.5}
    (path / "objects/objects.json").write_text(json.dumps({**head, "objects": objects}))
    scenes = [write_scene(path / "scenes", name, pose) for name, pose in SCENES.items()]
    (path / "scenes/scenes.json").write_text(json.dumps({"scenes": scenes}))
    return path
