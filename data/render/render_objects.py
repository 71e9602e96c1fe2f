"""Render the cutouts: python render_objects.py --furniture DIR [--samples 40]. Resumable: finished objects are skipped.

Each object of selection.json is seen by a level camera at eye height that faces the floor point under it, from 8
yaws and 2 distances: colour with soft alpha, relief (level-camera z-depth minus the distance), and the shadow that
it casts on the floor.
"""

import argparse
import json
import re
import time
from pathlib import Path

import cv2
import drjit as dr
import numpy as np
from common import (
    CUTOUT_FOCAL,
    DATA,
    EYE_HEIGHT,
    cast,
    generator,
    listed,
    mi,
    orbit_sensor,
    path_trace,
    pixel_rays,
    save_image,
    save_json,
    to_srgb,
)
from meshes import FURNITURE, LIBRARIES, Model, turn
from scipy.ndimage import distance_transform_edt

DISTANCES = (2.5, 5.0)
SHADOW_STEP = 2  # a shadow is soft: one value for 2 x 2 cutout pixels
BACKED = ("cabinet", "sofa")  # furniture with a back that stands against a wall is seen from the front half only


def yaws(name, kind):
    """Eight yaws: all round, or -70 to 70 degrees for what has a bare back; jittered per object."""
    r = generator("yaw", name)
    if kind in BACKED:
        return [round(float(y), 1) for y in np.linspace(-70, 70, 8) + r.uniform(-6, 6, 8)]
    return [round(float(y), 1) for y in (np.arange(8) * 45 + r.uniform(-12, 12, 8)) % 360]


def light(name):
    """An indoor sky as an environment map (32 x 64): ceiling, walls, floor bounce, a window side and some lamps."""
    r = generator("light", name)
    height, width = 32, 64
    theta = (np.arange(height) + 0.5) / height * np.pi  # from the zenith
    phi = (np.arange(width) + 0.5) / width * 2 * np.pi
    up = np.cos(theta)[:, None] * np.ones(width)
    floor = r.uniform(0.18, 0.4)
    sky = np.where(up > 0.25, r.uniform(0.7, 1.1), np.where(up > -0.15, r.uniform(0.45, 0.75), floor))
    away = np.abs((phi - r.uniform(0, 2 * np.pi) + np.pi) % (2 * np.pi) - np.pi)[None] * np.ones((height, 1))
    sky = sky + r.uniform(0.5, 3.5) * (away < r.uniform(0.3, 0.8)) * (up > 0) * (up < 0.7)
    lamps = r.random((height, width)) < 0.04
    sky = sky + r.uniform(2, 7) * lamps * (up > 0.55)
    sky = cv2.GaussianBlur(sky, (0, 0), 0.8)
    color = np.array([1, r.uniform(0.94, 1), r.uniform(0.86, 1.02)])
    image = (sky[..., None] * color).astype(np.float32)
    image /= (sky * np.maximum(up, 0) * np.sin(theta)[:, None]).sum() / (
        np.maximum(up, 0) * np.sin(theta)[:, None]
    ).sum()
    return image


def frame_of(points, focal, pad=2):
    """The pixel window (relative to the principal point) that holds all points (world axes)."""
    z = -points[:, 2]
    x, y = points[:, 0] / z * focal, -(points[:, 1] - EYE_HEIGHT) / z * focal
    x0, y0 = int(np.floor(x.min())) - pad, int(np.floor(y.min())) - pad
    return {"x0": x0, "y0": y0, "width": int(np.ceil(x.max())) + pad - x0, "height": int(np.ceil(y.max())) + pad - y0}


def union(frames):
    x0, y0 = min(f["x0"] for f in frames), min(f["y0"] for f in frames)
    return {
        "x0": x0,
        "y0": y0,
        "width": max(f["x0"] + f["width"] for f in frames) - x0,
        "height": max(f["y0"] + f["height"] for f in frames) - y0,
    }


def shadow_reach(model):
    """How far from its middle an object's shadow may lie on the floor, metres."""
    return 0.5 * np.hypot(model.size[0], model.size[2]) + 0.15 + 0.25 * min(1.2, model.size[1])


def shadow_frame(model, distance):
    """A window around the footprint, with a margin on the floor for the shadow, in steps of SHADOW_STEP pixels."""
    reach = shadow_reach(model)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    near = max(0.6, distance - reach)
    ring = np.stack([reach * np.cos(angle), 0 * angle, np.minimum(-near, -distance + reach * np.sin(angle))], 1)
    f = frame_of(ring, CUTOUT_FOCAL, 0)
    f["width"], f["height"] = -(-f["width"] // SHADOW_STEP), -(-f["height"] // SHADOW_STEP)
    return {**f, "step": SHADOW_STEP}


def orbit(turns, distance):
    """Eyes (n, 3) and forward vectors (n, 3) of level cameras that see an object at the origin under these yaws."""
    return (
        np.stack([turn(-y) @ [0, EYE_HEIGHT, distance] for y in turns]),
        np.stack([turn(-y) @ [0, 0, -1.0] for y in turns]),
    )


def orbit_rays(frame, turns, focal, offset=(0.5, 0.5)):
    """Unit-z rays (n, H, W, 3) of the same window from every camera of the orbit."""
    rays = pixel_rays(frame["width"], frame["height"], focal, 0, 0, frame["x0"], frame["y0"], offset)
    return np.stack([rays @ turn(-y).T for y in turns])


def shadow(scene, frame, sky, turns, distance, reach, seed, samples=72):
    """Share of the sky's light that reaches each floor pixel past the object, (n, H, W) in [0, 1]."""
    half = {**frame, "x0": frame["x0"] / SHADOW_STEP, "y0": frame["y0"] / SHADOW_STEP}
    rays = orbit_rays(half, turns, CUTOUT_FOCAL / SHADOW_STEP)
    eyes = orbit(turns, distance)[0][:, None, None]
    down = np.minimum(rays[..., 1], -1e-3)
    point = eyes + rays * (-EYE_HEIGHT / down)[..., None]
    r = generator("shadow", seed)
    u = (np.arange(samples) + r.random(samples)) / samples
    phi = 2 * np.pi * (np.arange(samples) * 0.6180339887 + r.random())
    direction = np.stack([np.sqrt(u) * np.cos(phi), np.sqrt(1 - u), np.sqrt(u) * np.sin(phi)], 1)  # cosine-weighted
    row = np.clip((np.arccos(direction[:, 1]) / np.pi * sky.shape[0]).astype(int), 0, sky.shape[0] - 1)
    column = ((np.arctan2(direction[:, 0], -direction[:, 2]) / (2 * np.pi)) % 1 * sky.shape[1]).astype(int)
    weight = sky.mean(-1)[row, column]
    weight /= weight.sum()
    near = np.hypot(point[..., 0], point[..., 2]) < reach
    origin = mi.Point3f((point[near] + [0, 1e-3, 0]).T.astype(np.float32))
    blocked = dr.zeros(mi.Float, int(near.sum()))
    for d, w in zip(direction, weight):
        blocked += dr.select(
            scene.ray_test(mi.Ray3f(origin, dr.opaque(mi.Vector3f, 0) + mi.Vector3f(*map(float, d)))), float(w), 0.0
        )
        dr.eval(blocked)
    share = np.ones(near.shape)
    share[near] = 1 - np.array(blocked)
    share = np.stack([cv2.GaussianBlur(s, (0, 0), 0.7) for s in share])
    fade = np.clip((1 - np.hypot(point[..., 0], point[..., 2]) / reach) / 0.3, 0, 1)  # so that no edge shows
    return 1 - (1 - share) * fade


def fill_outward(values, known):
    """Every unknown pixel takes the value of the nearest known one."""
    index = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return values[tuple(index)]


def views(scene, turns, distance, frame, samples):
    """All yaws at one distance: colour (n, H, W, 4) uint8 with straight alpha, relief (n, H, W) in metres."""
    n, width = len(turns), frame["width"]
    eyes, forwards = orbit(turns, distance)
    camera = orbit_sensor(width, frame["height"], CUTOUT_FOCAL, frame["x0"], frame["y0"], eyes, forwards, samples)
    strip, strip_alpha = path_trace(scene, camera, samples, hide_emitters=True)
    offsets = [(a, b) for a in (0.2, 0.5, 0.8) for b in (0.2, 0.5, 0.8)]
    rays = np.stack([orbit_rays(frame, turns, CUTOUT_FOCAL, o) for o in offsets])
    depths = cast(scene, rays, eyes[:, None, None])
    hits = np.isfinite(depths)
    colors, reliefs = [], []
    for k in range(n):
        color, alpha = strip[:, k * width : (k + 1) * width], strip_alpha[:, k * width : (k + 1) * width]
        covered = hits[:, k].mean(0)
        agree = ((alpha > 0.5) & (covered > 0.5)).sum() / max(1, ((alpha > 0.5) | (covered > 0.5)).sum())
        if agree < 0.8:
            raise RuntimeError(f"colour and depth disagree: IoU {agree:.2f} at yaw {turns[k]}")
        hit = covered > 0
        ordered = np.sort(
            depths[:, k], axis=0
        )  # misses are infinite and come last: the middle hit is the pixel's depth
        middle = np.maximum(hits[:, k].sum(0) - 1, 0) // 2
        relief = np.where(hit, np.take_along_axis(ordered, middle[None], 0)[0] - distance, 0)
        known = alpha > 0.35
        straight = fill_outward(np.where(known[..., None], color / np.maximum(alpha, 0.05)[..., None], 0), known)
        rgb = np.uint8(np.clip(to_srgb(straight * 0.95) * 255 + 0.5, 0, 255))
        colors.append(np.dstack([rgb, np.uint8(np.round(np.where(alpha < 0.004, 0, alpha) * 255))]))
        reliefs.append(fill_outward(relief, hit & (alpha > 0.25)))
    return colors, reliefs


def sheet(rows):
    """Stack rows of cells into one picture."""
    width = max(sum(c.shape[1] for c in row) for row in rows)
    height = sum(row[0].shape[0] for row in rows)
    out = np.zeros((height, width) + rows[0][0].shape[2:], rows[0][0].dtype)
    y = 0
    for row in rows:
        strip = np.concatenate(row, 1)
        out[y : y + strip.shape[0], : strip.shape[1]] = strip
        y += strip.shape[0]
    return out


def render_object(job, index, furniture, samples, out):
    """Render one object's three sheets; returns its entry for objects.json."""
    model = Model(furniture, job["library"], job["number"])
    title = model.entry["name"]
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    name = f"{job['split']}_{index:03d}_{slug}"
    turns = yaws(name, job["kind"])
    rows, entry_rows = [], []
    for d in DISTANCES:
        frame = union([frame_of(model.vertices(y, d), CUTOUT_FOCAL) for y in turns])
        entry_rows.append({"distance": d, "frame": frame, "shadow": shadow_frame(model, d)})
    entry = {
        "name": name,
        "split": job["split"],
        "kind": job["kind"],
        "title": title,
        "author": model.entry.get("creator", ""),
        "licence": LIBRARIES[job["library"]],
        "source": f"Sweet Home 3D, {job['library']}, {model.entry['id']}",
        "size": [round(float(model.size[k]), 3) for k in (0, 2, 1)],
        "yaws": turns,
        "distances": entry_rows,
    }
    if (out / f"{name}_shadow.png").exists():  # written last
        return entry
    sky = light(name)
    scene = mi.load_dict({"type": "scene", **model.shapes(0, 0), "light": {"type": "envmap", "bitmap": mi.Bitmap(sky)}})
    for row in entry_rows:
        colors, reliefs = views(scene, turns, row["distance"], row["frame"], samples)
        shades = shadow(scene, row["shadow"], sky, turns, row["distance"], shadow_reach(model), name)
        rows.append(
            [
                (c, np.uint16(np.round(r * 1000) + 32768), np.uint8(np.round(255 * s)))
                for c, r, s in zip(colors, reliefs, shades)
            ]
        )
    color, relief, shade = (sheet([[c[j] for c in cells] for cells in rows]) for j in range(3))
    save_image(out / f"{name}_color.webp", color, quality=90, alpha_quality=100, exact=True, method=4)
    save_image(out / f"{name}_relief.png", relief, optimize=True)
    save_image(out / f"{name}_shadow.png", shade, optimize=True)
    return entry


def split_and_index(name):
    """train_007_oak_chair -> ("train", 7)."""
    split, index, _ = name.split("_", 2)
    return split, int(index)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--furniture", default=str(FURNITURE), help="folder with the .sh3f libraries")
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--out", default=str(DATA / "objects"))
    parser.add_argument("--only", type=int, nargs="*", help="positions in selection.json")
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    jobs = json.loads((Path(__file__).parent / "selection.json").read_text())
    entries, start, counts, place = listed(out / "objects.json", "objects"), time.time(), {}, {}
    for position, job in enumerate(jobs):
        index = counts.get(job["split"], 0)
        counts[job["split"]] = index + 1
        place[job["split"], index] = position
        if args.only and position not in args.only:
            continue
        entry = render_object(job, index, args.furniture, args.samples, out)
        entries[entry["name"]] = entry
        ordered = sorted(entries.values(), key=lambda entry: place.get(split_and_index(entry["name"]), len(jobs)))
        save_json(out / "objects.json", {"focal": CUTOUT_FOCAL, "eye_height": EYE_HEIGHT, "objects": ordered})
        print(f"{entry['name']} {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
