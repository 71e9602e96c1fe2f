"""Whole test scenes in real light: python render_scenes.py --furniture DIR. Resumable.

A test object stands in a test room, with true shadows, bounced light and reflections; beside it the empty room,
rendered anew. Instead of that,
--poses    writes tests/fixtures/poses.npz: exact masks and depths of objects at poses that the composer must reproduce
--cameras  writes tests/fixtures/cameras.npz: scenes seen by wider, narrower, lower and higher cameras than ours
--examples writes data/examples/: three scenes as large photos, with the true mask, to try `predict` on
--light    measures, on training rooms and objects, how bright an object is in a room: USUAL_BRIGHTNESS and
           BRIGHTNESS_SPREAD of maskdepth_utils/data/light.py
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from common import (
    DATA,
    FOCAL,
    camera_axes,
    cast,
    depth_png,
    generator,
    listed,
    mi,
    path_trace,
    pixel_rays,
    save_image,
    save_json,
    sensor,
)
from meshes import FURNITURE, Model, turn
from render_rooms import exposure, find_room

SIZE, SAMPLES, COUNT, POSES, LIGHTS = 160, 64, 100, 48, 48
CAMERAS = [(50, 1.5), (70, 1.5), (60, 1.2), (60, 1.8), (52, 1.25), (68, 1.7)]  # field of view, eye height
CAMERA_SCENES = 3  # for each camera
EXAMPLES = {"chair": "scene_071", "plant": "scene_082", "person": "scene_007"}
EXAMPLE_SIZE, EXAMPLE_SAMPLES = (960, 720), 96


def catalogue_of_splits(split):
    """[(entry of objects.json, job of selection.json)] of one split, in order."""
    jobs = [j for j in json.loads((Path(__file__).parent / "selection.json").read_text()) if j["split"] == split]
    entries = [e for e in json.loads((DATA / "objects" / "objects.json").read_text())["objects"] if e["split"] == split]
    if len(jobs) != len(entries):
        raise SystemExit(
            f"data/objects has {len(entries)} {split} objects, selection.json {len(jobs)}: run render_objects.py first"
        )
    return list(zip(entries, jobs))


def footprint(model, yaw, distance, heading):
    """Corners (4, 2) of the object's footprint in room axes (X, Z); heading = azimuth + pan."""
    half = np.array([model.size[0], 0, model.size[2]]) / 2
    corners = np.array([[sx, 0, sz] for sx, sz in ((-1, -1), (1, -1), (1, 1), (-1, 1))]) * half
    world = (corners @ turn(yaw).T + [0, 0, -distance]) @ turn(-heading).T
    return np.stack([world[:, 0], -world[:, 2]], 1)


def fits(room, model, yaw, distance, azimuth):
    """Inside the room, clear of what stands there, and for the most part in the picture."""
    x0, x1, z0, z1 = room.plan
    corners = footprint(model, yaw, distance, azimuth + room.pan)
    if corners[:, 0].min() < x0 + 0.05 or corners[:, 0].max() > x1 - 0.05 or corners[:, 1].max() > z1 - 0.05:
        return False
    middle, radius = corners.mean(0), np.ptp(corners, axis=0).max() / 2
    for a, b, c, d in room.obstacles:
        nearest = np.clip(middle, [a, c], [b, d])
        if np.hypot(*(nearest - middle)) < radius + 0.05:
            return False
    right, down, forward = camera_axes(room.pitch, room.pan)
    p = model.vertices(yaw, distance, azimuth + room.pan) - [0, 1.5, 0]
    z = p @ forward
    if z.min() < 0.3:
        return False
    u, v = p @ right / z * FOCAL, p @ down / z * FOCAL
    return (np.abs(u) < SIZE / 2).mean() > 0.9 and ((np.abs(u) < SIZE / 2) & (np.abs(v) < SIZE / 2)).mean() > 0.75


def place(r, room, model, yaws, exact):
    """A random valid (yaw, distance, azimuth), or None. exact: one of the rendered yaws, else any between them."""
    ring = np.unwrap(yaws, period=360)
    for _ in range(60):
        yaw = float(r.choice(yaws)) if exact else round(float(np.interp(r.uniform(0, 7), range(8), ring)) % 360, 1)
        distance, azimuth = float(np.exp(r.uniform(np.log(1.7), np.log(6.5)))), float(r.uniform(-24, 24))
        if fits(room, model, yaw, distance, azimuth):
            return yaw, round(distance, 3), round(azimuth, 2)
    return None


def truth(room, empty, model, yaw, distance, azimuth):
    """Coverage (H, W) in [0, 1] and z-depth (H, W) of the object standing in the room."""
    alone = mi.load_dict({"type": "scene", **model.shapes(yaw, distance, azimuth + room.pan)})
    offsets = [(a, b) for a in (0.125, 0.375, 0.625, 0.875) for b in (0.125, 0.375, 0.625, 0.875)]
    rays = np.stack([pixel_rays(SIZE, SIZE, FOCAL, room.pitch, room.pan, offset=o) for o in offsets])
    behind, front = cast(empty, rays), cast(alone, rays)
    seen = front < behind
    coverage = seen.mean(0)
    ordered = np.sort(np.where(seen, front, np.inf), axis=0)
    middle = np.take_along_axis(ordered, np.maximum(seen.sum(0) - 1, 0)[None] // 2, 0)[0]
    center = cast(empty, pixel_rays(SIZE, SIZE, FOCAL, room.pitch, room.pan))
    return coverage, np.where(coverage > 0.5, middle, center)


def candidates(kind, count, splits, furniture):
    """Yields (index, room, its scene, model, entry, yaw, distance, azimuth), the same every time."""
    pairs = {s: catalogue_of_splits(s) for s in splits}
    rooms = {"train": 400, "val": 40, "test": 60}  # the first ones: what the fixtures and scenes were drawn from
    for i in range(count):
        split = splits[i % len(splits)]
        r = generator(kind, i)
        for _ in range(200):
            name = f"room_{split}_{int(r.integers(rooms[split])):03d}"
            entry, job = pairs[split][(i // len(splits) * 7 + int(r.integers(3))) % len(pairs[split])]
            room, empty, _ = find_room(name)
            model = Model(furniture, job["library"], job["number"])
            found = place(r, room, model, entry["yaws"], exact=kind == "pose")
            if found is None:
                continue
            coverage, depth = truth(room, empty, model, *found)
            if (coverage > 0.5).mean() >= 0.012:
                yield i, name, room, empty, model, entry, found, coverage, depth
                break


def render_scenes(out, furniture):
    out.mkdir(parents=True, exist_ok=True)
    entries, start = listed(out / "scenes.json", "scenes"), time.time()
    for i, room_name, room, empty, model, entry, (yaw, distance, azimuth), coverage, depth in candidates(
        "scene", COUNT, ["test"], furniture
    ):
        name = f"scene_{i:03d}"
        if not (out / f"{name}.webp").exists():  # written last
            camera = sensor(SIZE, SIZE, FOCAL, room.pitch, room.pan, SAMPLES)
            bare, _ = path_trace(empty, camera, SAMPLES, seed=1000 + i)
            full, _ = path_trace(
                room.scene(model.shapes(yaw, distance, azimuth + room.pan)), camera, SAMPLES, seed=2000 + i
            )
            expose = exposure(room_name, np.pad(bare, ((16, 16), (40, 40), (0, 0)), mode="edge"))
            save_image(out / f"{name}_mask.png", np.uint8(np.round(coverage * 255)), optimize=True)
            save_image(out / f"{name}_depth.png", depth_png(depth), optimize=True)
            save_image(out / f"{name}_background.webp", expose(bare), lossless=True, method=6)
            save_image(out / f"{name}.webp", expose(full), lossless=True, method=6)
        entries[name] = {
            "name": name,
            "room": room_name,
            "object": entry["name"],
            "yaw": yaw,
            "distance": distance,
            "azimuth": azimuth,
        }
        save_json(out / "scenes.json", {"scenes": [entries[name] for name in sorted(entries)]})
        print(f"{name} {room_name} {entry['name']} {distance} m {time.time() - start:.0f} s", flush=True)


def write_poses(path, furniture):
    """The fixture for the composer: exact geometry only, no light."""
    rows = {k: [] for k in ("room", "object", "yaw", "distance", "azimuth", "coverage", "depth")}
    for i, room_name, _, _, _, entry, (yaw, distance, azimuth), coverage, depth in candidates(
        "pose", POSES, ["test", "val"], furniture
    ):
        values = (
            room_name,
            entry["name"],
            entry["yaws"].index(yaw),
            distance,
            azimuth,
            np.uint8(np.round(coverage * 255)),
            depth_png(depth),
        )
        for key, value in zip(rows, values):
            rows[key].append(value)
        print(i, room_name, entry["name"], distance, azimuth, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path.with_suffix(".part.npz"), **{k: np.array(v) for k, v in rows.items()})
    path.with_suffix(".part.npz").replace(path)


def write_cameras(path, furniture):
    """The fixture for `predict(fov=, eye_height=)`: photo, empty room and depth from cameras that are not canonical."""
    rows = {k: [] for k in ("fov", "eye_height", "image", "background", "depth")}
    scenes = candidates("camera", len(CAMERAS) * CAMERA_SCENES, ["test"], furniture)
    for i, room_name, room, empty, model, _, (yaw, distance, azimuth), _, _ in scenes:
        fov, eye_height = CAMERAS[i % len(CAMERAS)]
        focal = SIZE / 2 / math.tan(math.radians(fov / 2))
        camera = sensor(SIZE, SIZE, focal, room.pitch, room.pan, SAMPLES, eye_height=eye_height)
        full = room.scene(model.shapes(yaw, distance, azimuth + room.pan))
        bare, _ = path_trace(empty, camera, SAMPLES, seed=5000 + i)
        both, _ = path_trace(full, camera, SAMPLES, seed=6000 + i)
        expose = exposure(room_name, np.pad(bare, ((16, 16), (40, 40), (0, 0)), mode="edge"))
        depth = cast(full, pixel_rays(SIZE, SIZE, focal, room.pitch, room.pan), eyes=(0, eye_height, 0))
        values = fov, eye_height, expose(both), expose(bare), depth_png(depth)
        for key, value in zip(rows, values):
            rows[key].append(value)
        print(i, room_name, fov, eye_height, flush=True)
    np.savez_compressed(path.with_suffix(".part.npz"), **{k: np.array(v) for k, v in rows.items()})
    path.with_suffix(".part.npz").replace(path)


def write_examples(out, furniture):
    """Some of the scenes again, as two photos of a tripod: large, each with its own exposure, noise and JPEG."""
    sys.path.insert(0, str(DATA.parent))  # the package itself; it need not be installed here
    from maskdepth_utils.data.shots import expose as shoot
    from maskdepth_utils.draws import Draws

    width, height = EXAMPLE_SIZE
    focal, out = FOCAL * width / SIZE, Path(out)
    placed = {entry["name"]: entry for entry in json.loads((DATA / "scenes" / "scenes.json").read_text())["scenes"]}
    jobs = {entry["name"]: job for entry, job in catalogue_of_splits("test")}
    out.mkdir(parents=True, exist_ok=True)
    for number, (name, scene) in enumerate(EXAMPLES.items()):
        entry = placed[scene]
        job = jobs[entry["object"]]
        room, empty, _ = find_room(entry["room"])
        model = Model(furniture, job["library"], job["number"])
        shapes = model.shapes(entry["yaw"], entry["distance"], entry["azimuth"] + room.pan)
        camera = sensor(width, height, focal, room.pitch, room.pan, EXAMPLE_SAMPLES)
        bare, _ = path_trace(empty, camera, EXAMPLE_SAMPLES, seed=7000 + number)
        full, _ = path_trace(room.scene(shapes), camera, EXAMPLE_SAMPLES, seed=8000 + number)
        small = cv2.resize(bare, (160, 120), interpolation=cv2.INTER_AREA)  # as `exposure` measures its rooms
        expose = exposure(entry["room"], np.pad(small, ((36, 36), (40, 40), (0, 0)), mode="edge"))
        offsets = [(a, b) for a in (0.25, 0.75) for b in (0.25, 0.75)]
        rays = [pixel_rays(width, height, focal, room.pitch, room.pan, offset=o) for o in offsets]
        alone = mi.load_dict({"type": "scene", **shapes})
        coverage = np.mean([cast(alone, r) < cast(empty, r) for r in rays], axis=0)
        draws = Draws(0, "examples", number)
        for picture, radiance in (("", full), ("_background", bare)):
            shot = shoot(expose(radiance), draws.fork("photo" + picture))
            save_image(out / f"{name}{picture}.jpg", shot, quality=92)
        save_image(out / f"{name}_mask.png", np.uint8(np.round(coverage * 255)), optimize=True)
        print(name, entry["room"], entry["object"], flush=True)


def measure_light(furniture):
    """Print how bright objects are in rooms: a path-traced object is as bright as its cutout times
    the room's brightness / K; the median K over training rooms and objects, and the spread of log K."""
    sys.path.insert(0, str(DATA.parent))  # the package itself; it need not be installed here
    from maskdepth_utils.data.compose import compose
    from maskdepth_utils.data.library import cutout_distances, load_cutout, load_room, nearest_distance

    found = []
    for i, room_name, room, empty, model, entry, (yaw, distance, azimuth), coverage, _ in candidates(
        "pose", LIGHTS, ["train"], furniture
    ):
        camera = sensor(SIZE, SIZE, FOCAL, room.pitch, room.pan, SAMPLES)
        bare, _ = path_trace(empty, camera, SAMPLES, seed=3000 + i)
        furnished = room.scene(model.shapes(yaw, distance, azimuth + room.pan))
        full, _ = path_trace(furnished, camera, SAMPLES, seed=4000 + i)
        expose = exposure(room_name, np.pad(bare, ((16, 16), (40, 40), (0, 0)), mode="edge"))
        row = nearest_distance(cutout_distances(entry["name"]), distance)
        cutout = load_cutout(entry["name"], entry["yaws"].index(yaw), row)
        pasted = compose(load_room(room_name), cutout, distance, azimuth, shadow=False)
        both = (pasted.mask > 0.5) & (coverage > 0.5)
        if both.any():
            found.append(load_room(room_name).brightness * pasted.image[both].mean() / expose(full)[both].mean())
            print(i, room_name, entry["name"], f"K {found[-1]:.3f}", flush=True)
    spread = np.std(np.log(found))
    print(f"{len(found)} pairs: median K {np.median(found):.3f}, standard deviation of log K {spread:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--furniture", default=str(FURNITURE), help="folder with the .sh3f libraries")
    parser.add_argument("--out", default=str(DATA / "scenes"))
    parser.add_argument("--poses", action="store_true", help="write tests/fixtures/poses.npz instead")
    parser.add_argument("--examples", action="store_true", help="write data/examples/ instead")
    parser.add_argument("--light", action="store_true", help="measure how bright objects are in training rooms instead")
    parser.add_argument("--cameras", action="store_true", help="write tests/fixtures/cameras.npz instead")
    args = parser.parse_args()
    if args.examples:
        write_examples(DATA / "examples", args.furniture)
    elif args.cameras:
        write_cameras(DATA.parent / "tests" / "fixtures" / "cameras.npz", args.furniture)
    elif args.light:
        measure_light(args.furniture)
    elif args.poses:
        write_poses(DATA.parent / "tests" / "fixtures" / "poses.npz", args.furniture)
    else:
        render_scenes(Path(args.out), args.furniture)


if __name__ == "__main__":
    main()
