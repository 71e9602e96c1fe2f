"""Scenes in hard light: python render_hard_light.py hard|mirror|shadows --furniture DIR. Resumable.

hard     data/scenes_hard: a small lamp beside the room's own light, so that the object casts a visible shadow
mirror   data/scenes_mirror: the room's own light, and a floor so glossy that it mirrors the object
shadows  build/hard_val, and tests/fixtures/shadows.npz: hard light in validation rooms. The fixture says where the
         lamp's shadow falls, to compare composites with

Light adds up, so the room is rendered with its own light alone and with the lamp alone, empty and with the object, and
the pictures are mixed.
"""

import argparse
import time

import cv2
import numpy as np
from common import (
    DATA,
    EYE_HEIGHT,
    FOCAL,
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
from meshes import FURNITURE
from render_rooms import exposure
from render_scenes import SIZE, candidates

SAMPLES, FEW_SAMPLES = 32, 4  # for each pixel: of a scene, and of a first look whether a lamp will do
DARKER = 0.9  # a pixel is in shadow where the object leaves less than this share of its light
VISIBLY_DARKER = 0.65  # the same for a shadow that a viewer notices
LEAST_SHADOW = 0.015  # of the picture: a scene whose shadow is smaller gets another lamp
MOST_WHITE = 0.04  # of the picture: a scene with more pixels that are overexposed gets another lamp
TRIES = 1.5  # objects in rooms that are tried, for each scene: not every one gets a lamp that casts a visible shadow
SETS = {  # split, number of scenes, folder
    "hard": ("test", 100, DATA / "scenes_hard"),
    "mirror": ("test", 20, DATA / "scenes_mirror"),
    "shadows": ("val", 44, DATA.parent / "build" / "hard_val"),
}
FIXTURE = DATA.parent / "tests" / "fixtures" / "shadows.npz"


def draw_lamp(r, room, kind):
    """A lamp's centre in room axes (X, height, Z) and its radius, metres."""
    x0, x1, z0, z1 = room.plan
    top = room.height
    z = r.uniform(max(z0 + 0.3, -0.8), z1 - 0.6)
    if kind == "panel":
        return np.array([r.uniform(x0 + 0.4, x1 - 0.4), top - 0.15, z]), r.uniform(0.08, 0.12)
    if kind == "bulb":
        return np.array([r.uniform(x0 + 0.4, x1 - 0.4), r.uniform(1.2, top - 0.3), z]), r.uniform(0.03, 0.1)
    side = r.choice([x0 + 0.35, x1 - 0.35])
    if kind == "window":
        return np.array([side, r.uniform(1.0, 2.0), z]), r.uniform(0.15, 0.3)
    return np.array([side, r.uniform(1.4, top - 0.3), z]), 0.03  # a sharp light from the side, like a low sun


def to_world(point):
    return [float(point[0]), float(point[1]), -float(point[2])]


def lamp_shape(position, radius):
    radiance = float(1 / (np.pi * radius) ** 2)
    emitter = {"type": "area", "radiance": {"type": "rgb", "value": radiance}}
    return {"type": "sphere", "center": to_world(position), "radius": float(radius), "emitter": emitter}


def hidden_from(scene, alone, room, position):
    """Which pixels of the empty room the object hides from a point, bool (SIZE, SIZE)."""
    rays = pixel_rays(SIZE, SIZE, FOCAL, room.pitch, room.pan).reshape(-1, 3)
    flat = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).T.astype(np.float32)
    hit = scene.ray_intersect(mi.Ray3f(mi.Point3f(0, EYE_HEIGHT, 0), mi.Vector3f(flat)))
    away = mi.Point3f(*to_world(position)) - hit.p
    distance = mi.Float(np.linalg.norm(np.array(away), axis=0).astype(np.float32))
    ray = mi.Ray3f(hit.p, away / distance)
    ray.maxt = distance
    return np.array(alone.ray_test(ray)).reshape(SIZE, SIZE)


def render(shapes, camera, seed, samples=SAMPLES):
    return path_trace(mi.load_dict({"type": "scene", **shapes}), camera, samples, seed=seed)[0]


def direct_shadow(shapes, lit, camera, seed):
    """Where the lamp's direct light, without any that bounces, is darker for the object."""
    integrator = mi.load_dict({"type": "direct"})
    scenes = (mi.load_dict({"type": "scene", **lit, **extra}) for extra in ({}, shapes))
    options = {"sensor": camera, "integrator": integrator, "spp": SAMPLES, "seed": seed}
    bare, full = (np.array(mi.render(scene, **options))[..., :3].mean(-1) for scene in scenes)
    return full < DARKER * bare


def exposure_of(room_name, bare):
    return exposure(room_name, np.pad(bare, ((16, 16), (40, 40), (0, 0)), mode="edge"))


def light_hard(r, i, room_name, room, empty, shapes, camera, coverage, visible):
    """The room empty and with the object, linear light, and what is known of the lamp; None if no lamp does.

    The lamp's share of the light is that where its shadow falls, if the shadow is to be `visible`; else everywhere.
    """
    alone = mi.load_dict({"type": "scene", **shapes})
    # The same seed for both, so that the noise differs as little as possible.
    own = [render({**room.shapes, **extra}, camera, 20000 + i) for extra in ({}, shapes)]
    dark = {name: {k: v for k, v in shape.items() if k != "emitter"} for name, shape in room.shapes.items()}
    kind = str(r.choice(["bulb", "panel", "window", "sun"]))
    outside = coverage < 0.02
    for _ in range(200):
        position, radius = draw_lamp(r, room, kind)
        hidden = hidden_from(empty, alone, room, position) & outside
        if not 1.5 * LEAST_SHADOW < hidden.mean() < 0.3:
            continue
        lit = {**dark, "lamp": lamp_shape(position, radius)}
        share = float(r.uniform(*((0.75, 0.97) if visible else (0.35, 0.9))))
        region = hidden if visible else outside
        for samples in (FEW_SAMPLES, SAMPLES) if visible else (SAMPLES,):
            lamp = [render({**lit, **extra}, camera, 30000 + i, samples) for extra in ({}, shapes)]
            weights = [(1 - share) / np.median(own[0][region]), share / max(np.median(lamp[0][region]), 1e-9)]
            bare, full = (weights[0] * a + weights[1] * b for a, b in zip(own, lamp))
            remaining = full.mean(-1) / np.maximum(bare.mean(-1), 1e-9)
            shadow = remaining < (VISIBLY_DARKER if visible else DARKER)
            white = exposure_of(room_name, bare)(bare).min(-1) > 250
            fits = (shadow & outside).mean() >= LEAST_SHADOW and (not visible or white.mean() <= MOST_WHITE)
            if not fits:
                break
        if fits:
            about = {"lamp": kind, "position": [round(float(v), 3) for v in position]}
            about |= {"radius": round(radius, 3), "share": round(share, 3)}
            direct = None if visible else direct_shadow(shapes, lit, camera, i)
            return bare, full, {"_shadow.png": shadow, "_direct.png": direct}, about
    return None


def light_mirror(i, room, shapes, camera):
    """The room empty and with the object, linear light; its floor shines."""
    floor = next(name for name, shape in room.shapes.items() if shape["type"] == "rectangle")
    material = room.shapes[floor]["bsdf"]
    material = {**material, "bsdf": {**material["bsdf"], "roughness": 0.05, "specular": 1.0}}
    glossy = {**room.shapes, floor: {**room.shapes[floor], "bsdf": material}}
    return [render({**glossy, **extra}, camera, 40000 + i) for extra in ({}, shapes)]


def render_set(name, out, furniture):
    split, count, _ = SETS[name]
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / f"{out.name}.json"
    entries, start = listed(manifest, out.name), time.time()
    kind = "pose" if name == "shadows" else name  # poses stand at a rendered yaw, so that composites can match them
    places = candidates(kind, int(TRIES * count), [split], furniture)
    for i, room_name, room, empty, model, entry, found, coverage, depth in places:
        if len(entries) == count:
            break
        scene = f"{name}_{i:03d}"
        if scene in entries:
            continue
        yaw, distance, azimuth = found
        shapes = model.shapes(yaw, distance, azimuth + room.pan)
        camera, about, shadows = sensor(SIZE, SIZE, FOCAL, room.pitch, room.pan, SAMPLES), {}, {}
        if name == "mirror":
            bare, full = light_mirror(i, room, shapes, camera)
        else:
            lit = light_hard(
                generator(f"{name} lamp", i), i, room_name, room, empty, shapes, camera, coverage, name != "shadows"
            )
            if lit is None:
                print(scene, "no lamp casts a visible shadow", flush=True)
                continue
            bare, full, shadows, about = lit
        expose = exposure_of(room_name, bare)
        pictures = {"_mask.png": np.uint8(np.round(coverage * 255)), "_depth.png": depth_png(depth)}
        if name == "shadows":
            pictures |= {ending: np.uint8(shadow) * 255 for ending, shadow in shadows.items()}
        for ending, picture in pictures.items():
            save_image(out / f"{scene}{ending}", picture, optimize=True)
        for ending, picture in (("_background", bare), ("", full)):
            # Without its lowest bit, a picture takes a quarter less space.
            save_image(out / f"{scene}{ending}.webp", expose(picture) & 0xFE, lossless=True, method=6)
        place = {"room": room_name, "object": entry["name"], "yaw": yaw, "distance": distance, "azimuth": azimuth}
        entries[scene] = {"name": scene, **place, **about}
        save_json(manifest, {out.name: [entries[key] for key in sorted(entries)]})
        print(scene, room_name, entry["name"], about, f"{time.time() - start:.0f} s", flush=True)
    return list(entries.values())


def write_fixture(entries, out):
    """What the composer needs to know of each scene, and which pixels are darker there: by all light, by the lamp's."""
    keys = ("room", "object", "yaw", "distance", "azimuth", "position", "radius", "share")
    columns = {key: np.array([entry[key] for entry in entries]) for key in keys}
    for ending in ("shadow", "direct", "mask"):
        pictures = [cv2.imread(str(out / f"{entry['name']}_{ending}.png"), cv2.IMREAD_UNCHANGED) for entry in entries]
        columns[ending] = np.packbits(np.array(pictures) > 5, axis=-1)
    np.savez_compressed(FIXTURE, **columns)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=sorted(SETS))
    parser.add_argument("--furniture", default=str(FURNITURE), help="folder with the .sh3f libraries")
    args = parser.parse_args()
    out = SETS[args.set][2]
    entries = render_set(args.set, out, args.furniture)
    if args.set == "shadows":
        write_fixture(entries, out)


if __name__ == "__main__":
    main()
