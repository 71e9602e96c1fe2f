"""Shared by all render scripts: Mitsuba set-up, cameras, exact depth, denoising, tone mapping, safe writing.

World axes while rendering: x right, y up, z backwards (right-handed), metres; the eye stands at (0, 1.5, 0).
Room axes (X right, Z forward, origin on the floor under the eye) are world (X, y, -Z).
"""

import glob
import json
import math
import os
from pathlib import Path

if "DRJIT_LIBLLVM_PATH" not in os.environ:
    found = sorted(glob.glob("/usr/lib/*/libLLVM-19.so*"))
    if found:
        os.environ["DRJIT_LIBLLVM_PATH"] = found[0]

import drjit as dr
import mitsuba as mi
import numpy as np
import pyoidn
from PIL import Image

if "DRJIT_LIBLLVM_PATH" not in os.environ:
    raise SystemExit("libLLVM 19 was not found: install Debian's libllvm19 or set DRJIT_LIBLLVM_PATH (see README.md).")
mi.set_variant("llvm_ad_rgb")

DATA = Path(__file__).resolve().parents[1]
EYE_HEIGHT = 1.5
FOCAL = 160 / (2 * math.tan(math.radians(30)))  # pixels, canonical camera: 160 px wide, 60 degrees
ROOM_WIDTH, ROOM_HEIGHT = 240, 192  # wider than 160x160, so that a training room can be re-panned
CUTOUT_FOCAL = 1.5 * FOCAL
SEED = 2026
T = mi.ScalarTransform4f


def generator(*key):
    """A NumPy generator that depends on the key (numbers or text) only."""
    words = [SEED]
    for part in key:
        words += list(part.encode()) if isinstance(part, str) else [int(part)]
    return np.random.default_rng(words)


# ---------------------------------------------------------------- cameras
def camera_axes(pitch, pan):
    """Right, down and forward unit vectors of a camera (degrees; pitch > 0 looks down, pan > 0 turns right)."""
    p, a = math.radians(pitch), math.radians(pan)
    forward = np.array([math.sin(a) * math.cos(p), -math.sin(p), -math.cos(a) * math.cos(p)])
    right = np.array([math.cos(a), 0.0, math.sin(a)])
    return right, np.cross(forward, right), forward


def pixel_rays(width, height, focal, pitch, pan, x0=None, y0=None, offset=(0.5, 0.5)):
    """World directions (H, W, 3) with unit z-depth: multiplied by the z-depth they reach the point.

    (x0, y0) is the top-left corner of the window relative to the principal point, by default centred."""
    x0 = -width / 2 if x0 is None else x0
    y0 = -height / 2 if y0 is None else y0
    x = (x0 + np.arange(width) + offset[0]) / focal
    y = (y0 + np.arange(height) + offset[1]) / focal
    right, down, forward = camera_axes(pitch, pan)
    return x[None, :, None] * right + y[:, None, None] * down + forward


def orbit_sensor(width, height, focal, x0, y0, eyes, forwards, samples):
    """Level cameras side by side in one film, so that one kernel serves all: a (H, len(eyes) * W) picture."""
    cameras = {}
    for k, (eye, forward) in enumerate(zip(eyes, forwards)):
        cameras[f"view{k}"] = {
            "type": "perspective",
            "fov_axis": "x",
            "fov": math.degrees(2 * math.atan(width / 2 / focal)),
            "near_clip": 0.01,
            "far_clip": 1000.0,
            "principal_point_offset_x": -(-x0 - width / 2) / width,
            "principal_point_offset_y": -(-y0 - height / 2) / height,
            "to_world": T().look_at(list(eye), list(eye + forward), [0, 1, 0]),
            "film": {"type": "hdrfilm", "width": width, "height": height},
        }
    return mi.load_dict(
        {
            "type": "batch",
            **cameras,
            "film": {
                "type": "hdrfilm",
                "width": width * len(eyes),
                "height": height,
                "rfilter": {"type": "box"},
                "pixel_format": "rgba",
                "component_format": "float32",
            },
            "sampler": {"type": "independent", "sample_count": samples},
        }
    )


def sensor(width, height, focal, pitch, pan, samples, seed=0, x0=None, y0=None, eye_height=EYE_HEIGHT):
    """A Mitsuba perspective sensor for the window that `pixel_rays` describes."""
    x0 = -width / 2 if x0 is None else x0
    y0 = -height / 2 if y0 is None else y0
    half = int(math.ceil(max(abs(x0), abs(y0), abs(x0 + width), abs(y0 + height)))) + 1
    _, _, forward = camera_axes(pitch, pan)
    eye = np.array([0, eye_height, 0])
    return mi.load_dict(
        {
            "type": "perspective",
            "fov_axis": "x",
            "fov": math.degrees(2 * math.atan(half / focal)),
            "near_clip": 0.01,
            "far_clip": 1000.0,
            "to_world": T().look_at(list(eye), list(eye + forward), [0, 1, 0]),
            "film": {
                "type": "hdrfilm",
                "width": 2 * half,
                "height": 2 * half,
                "crop_offset_x": int(round(half + x0)),
                "crop_offset_y": int(round(half + y0)),
                "crop_width": width,
                "crop_height": height,
                "rfilter": {"type": "box"},
                "pixel_format": "rgba",
                "component_format": "float32",
            },
            "sampler": {"type": "independent", "sample_count": samples, "seed": seed},
        }
    )


# ---------------------------------------------------------------- light and depth
INTEGRATOR = {
    "type": "aov",
    "aovs": "albedo:albedo,normal:sh_normal",
    "image": {"type": "path", "max_depth": 6, "hide_emitters": False},
}


def path_trace(scene, camera, samples, seed=0, hide_emitters=False):
    """Path-traced, denoised linear radiance: (H, W, 3) premultiplied by alpha, and alpha (H, W)."""
    settings = {**INTEGRATOR, "image": {**INTEGRATOR["image"], "hide_emitters": hide_emitters}}
    out = np.array(mi.render(scene, sensor=camera, integrator=mi.load_dict(settings), spp=samples, seed=seed))
    color, alpha, albedo, normal = out[..., :3], out[..., 3], out[..., 4:7], out[..., 7:10]
    color = np.nan_to_num(color, posinf=0, neginf=0).astype(np.float32)
    clean = pyoidn.denoise(
        np.ascontiguousarray(color),
        albedo=np.ascontiguousarray(np.clip(albedo, 0, 1), np.float32),
        normal=np.ascontiguousarray(normal, np.float32),
        hdr=True,
    )
    return np.maximum(clean, 0), np.clip(alpha, 0, 1)


def cast(scene, rays, eyes=(0, EYE_HEIGHT, 0)):
    """z-depth along unit-z rays (..., 3) from `eyes` (broadcast to the rays), infinity where nothing is hit.

    Cut-out textures let rays through."""
    shape, flat = rays.shape[:-1], rays.reshape(-1, 3)
    length = np.linalg.norm(flat, axis=-1)
    direction = mi.Vector3f((flat / length[:, None]).T.astype(np.float32))
    origin = mi.Point3f(np.broadcast_to(eyes, rays.shape).reshape(-1, 3).T.astype(np.float32))
    travelled, found = dr.zeros(mi.Float, len(flat)), dr.full(mi.Float, dr.inf, len(flat))
    active = dr.full(mi.Bool, True, len(flat))
    for _ in range(6):
        ray = mi.Ray3f(origin + direction * travelled, direction)
        hit = scene.ray_intersect(ray, active)
        active &= hit.is_valid()
        clear = dr.mean(hit.bsdf(ray).eval_null_transmission(hit, active)) > 0.5
        found = dr.select(active & ~clear, travelled + hit.t, found)
        active &= clear
        travelled = travelled + dr.select(active, hit.t + 1e-4, 0)
    return (np.array(found) / length).reshape(shape)


def tone_map(radiance, exposure, white=(1, 1, 1)):
    """Linear radiance -> sRGB uint8, with a soft shoulder so that windows do not clip at once."""
    x = radiance * exposure * np.asarray(white)
    x = np.where(x > 0.7, 0.7 + 0.3 * (1 - np.exp(-(x - 0.7) / 0.3)), x)
    return np.uint8(np.clip(to_srgb(x) * 255 + 0.5, 0, 255))


def to_srgb(x):
    x = np.clip(x, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def to_linear(x):
    x = np.asarray(x, float)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


# ---------------------------------------------------------------- writing
def save_image(path, array, **options):
    """Write beside, then rename: an interrupted run leaves no half file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(".part-" + path.name)
    Image.fromarray(array).save(beside, **options)
    os.replace(beside, path)


def listed(path, kind):
    """What a manifest lists already, {name: entry}: a run that makes a part of it anew must not lose the rest."""
    path = Path(path)
    return {entry["name"]: entry for entry in json.loads(path.read_text())[kind]} if path.is_file() else {}


def save_json(path, content):
    """One entry a line, so that differences stay readable."""
    path = Path(path)
    beside = path.with_name(".part-" + path.name)
    lists = [k for k, v in content.items() if isinstance(v, list)]
    head = {k: v for k, v in content.items() if k not in lists}
    text = json.dumps(head)[:-1]
    for key in lists:
        rows = ",\n  ".join(json.dumps(row) for row in content[key])
        text += f',\n "{key}": [\n  {rows}\n ]'
    beside.write_text((text + "\n}\n").replace("{,", "{"))
    json.loads(beside.read_text())
    os.replace(beside, path)


def depth_png(depth):
    """z-depth in metres -> uint16 millimetres."""
    return np.uint16(np.clip(np.round(np.where(np.isfinite(depth), depth, 65) * 1000), 0, 65535))
