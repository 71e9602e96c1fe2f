"""Render the rooms: python render_rooms.py [--only train:0:10]. Resumable: finished rooms are skipped."""

import argparse
import time
from pathlib import Path

import numpy as np
from common import (
    DATA,
    EYE_HEIGHT,
    FOCAL,
    ROOM_HEIGHT,
    ROOM_WIDTH,
    cast,
    depth_png,
    generator,
    listed,
    path_trace,
    pixel_rays,
    save_image,
    save_json,
    sensor,
    tone_map,
)
from room_model import Room

COUNTS = {"val": 40, "test": 60, "train": 800}
SAMPLES = {"val": 48, "test": 48, "train": 32}  # paths per pixel before denoising


def good_view(depth):
    """The camera must not look into a wall or column close by."""
    view = depth[16:176, 40:200]
    return np.mean(view < 1.2) < 0.02 and np.median(view) > 2.2 and np.isfinite(depth).all()


def find_room(name):
    """The first attempt at this room whose view is good (deterministic), its scene and z-depth."""
    for attempt in range(50):
        room = Room(name, attempt)
        scene = room.scene()
        depth = cast(scene, pixel_rays(ROOM_WIDTH, ROOM_HEIGHT, FOCAL, room.pitch, room.pan))
        if good_view(depth):
            return room, scene, depth
    raise RuntimeError(f"{name}: no good view in 50 attempts")


def exposure(name, radiance):
    """Exposure and white balance as a camera would choose them, with some spread: a function radiance -> sRGB."""
    r = generator("exposure", name)
    luminance = radiance[16:176, 40:200] @ [0.2126, 0.7152, 0.0722]
    key = r.choice([r.uniform(0.32, 0.58), r.uniform(0.16, 0.32)], p=[0.82, 0.18])
    scale = key / np.exp(np.mean(np.log(luminance + 1e-3)))
    scale = min(scale, 1.6 / np.percentile(luminance, 75))
    gray = radiance.reshape(-1, 3).mean(0)
    white = (gray.mean() / gray) ** r.uniform(0.4, 0.9) * r.uniform(0.98, 1.02, 3)
    return lambda image: tone_map(image, scale, white)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="split:first:last", default=None)
    parser.add_argument("--out", default=str(DATA / "rooms"))
    args = parser.parse_args()
    out, start, done = Path(args.out), time.time(), 0
    out.mkdir(parents=True, exist_ok=True)
    jobs = [(split, i) for split, n in COUNTS.items() for i in range(n)]
    order, entries = [f"room_{split}_{i:03d}" for split, i in jobs], listed(out / "rooms.json", "rooms")

    def save():
        head = {"width": ROOM_WIDTH, "height": ROOM_HEIGHT, "focal": FOCAL, "eye_height": EYE_HEIGHT}
        save_json(out / "rooms.json", head | {"rooms": [entries[name] for name in order if name in entries]})

    if args.only:
        split, first, last = args.only.split(":")
        jobs = [(split, i) for i in range(int(first), int(last))]
    for split, i in jobs:
        name = f"room_{split}_{i:03d}"
        finished = (out / f"{name}.webp").exists() and (out / f"{name}_depth.png").exists()
        room, scene, depth = find_room(name)
        if not finished:
            camera = sensor(ROOM_WIDTH, ROOM_HEIGHT, FOCAL, room.pitch, room.pan, SAMPLES[split])
            radiance, _ = path_trace(scene, camera, SAMPLES[split], seed=i)
            save_image(out / f"{name}_depth.png", depth_png(depth), optimize=True)
            save_image(out / f"{name}.webp", exposure(name, radiance)(radiance), quality=95, method=6)
            done += 1
        entries[name] = room.entry(split)
        if done % 10 == 1 or i + 1 == COUNTS[split]:
            save()
        print(f"{name} {time.time() - start:.0f} s", flush=True)
    save()


if __name__ == "__main__":
    main()
