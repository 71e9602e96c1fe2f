"""The Sweet Home 3D furniture libraries: catalogue entries, and meshes standing on the floor, front to +z."""

import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import trimesh
from common import mi, to_linear

LIBRARIES = {
    "BlendSwap-CC-0": "Public domain (CC0)",
    "BlendSwap-CC-BY": "CC BY 3.0",
    "Scopia": "CC BY 3.0",
    "Reallusion": "CC BY 3.0 US",
}
FURNITURE = Path("/usr/share/sweethome3d/furniture")  # where Debian's package puts them; --furniture overrides


def catalogue(folder, library):
    """{number: {name, category, width, depth, height (cm), model, creator, ...}} of one library."""
    path = Path(folder) / f"{library}.sh3f"
    if library not in LIBRARIES:
        raise ValueError(f"library {library!r}: expected one of {list(LIBRARIES)}")
    with zipfile.ZipFile(path) as archive:
        text = archive.read("PluginFurnitureCatalog.properties").decode("latin-1")
    entries = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)=(.*)$", text, re.M):
        entries.setdefault(int(number), {})[key] = value.strip()
    return entries


def load_parts(folder, library, number):
    """Mesh parts [(vertices, faces, uv, material)] in metres, on the floor, centred on the footprint."""
    entry = catalogue(folder, library)[number]
    model = entry["model"].lstrip("/")
    with zipfile.ZipFile(Path(folder) / f"{library}.sh3f") as archive, tempfile.TemporaryDirectory() as scratch:
        beside = str(Path(model).parent) + "/"
        archive.extractall(scratch, [m for m in archive.namelist() if m.startswith(beside)])
        scene = trimesh.load(
            Path(scratch) / model, process=False, group_material=True, force="scene", split_object=False
        )
        parts = []
        for mesh in scene.dump() if hasattr(scene, "dump") else [scene]:
            if len(mesh.faces):
                visual = mesh.visual
                uv = getattr(visual, "uv", None)
                normals = mesh.vertex_normals if "vertex_normals" in mesh._cache else None
                parts.append(
                    [
                        np.array(mesh.vertices),
                        np.array(mesh.faces),
                        None if uv is None else np.array(uv),
                        getattr(visual, "material", None),
                        normals,
                    ]
                )
    rotation = np.eye(3)
    if "modelRotation" in entry:
        rotation = np.array([float(v) for v in entry["modelRotation"].split()]).reshape(3, 3)
    size = np.array([float(entry[k]) for k in ("width", "height", "depth")]) / 100
    every = np.concatenate([p[0] for p in parts]) @ rotation.T
    low, high = every.min(0), every.max(0)
    scale = size / np.maximum(high - low, 1e-9)
    middle = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    for part in parts:
        part[0] = (part[0] @ rotation.T - middle) * scale
        if part[4] is not None:
            n = (part[4] @ rotation.T) / scale
            part[4] = n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)
    return parts, size, entry


def bsdf_of(material):
    """A two-sided principled material from an OBJ material: colour or texture, cut-out alpha, gloss from Ns."""
    image = getattr(material, "image", None)
    diffuse = np.asarray(getattr(material, "diffuse", [160, 160, 160, 255]), float)[:3] / 255
    shininess = float(np.ravel((getattr(material, "kwargs", {}) or {}).get("ns", [30]))[0])
    roughness = float(np.clip((2 / (shininess + 2)) ** 0.25, 0.25, 0.9))
    opacity = None
    if image is not None:
        rgba = np.asarray(image.convert("RGBA"))
        if (rgba[..., 3] < 128).mean() > 0.005:
            opacity = {
                "type": "bitmap",
                "raw": True,
                "filter_type": "bilinear",
                "bitmap": mi.Bitmap(np.ascontiguousarray(rgba[..., 3:].astype(np.float32) / 255)),
            }
        color = np.clip(to_linear(rgba[..., :3] / 255), 0.01, 0.9).astype(np.float32)
        base = {"type": "bitmap", "raw": True, "bitmap": mi.Bitmap(np.ascontiguousarray(color))}
    else:
        base = {"type": "rgb", "value": [float(c) for c in np.clip(to_linear(diffuse), 0.012, 0.9)]}
    bsdf = {
        "type": "twosided",
        "bsdf": {"type": "principled", "base_color": base, "roughness": roughness, "specular": 0.4},
    }
    return {"type": "mask", "opacity": opacity, "bsdf": bsdf} if opacity else bsdf


def turn(degrees):
    """Rotation about the vertical axis, anticlockwise seen from above."""
    a = np.radians(degrees)
    return np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])


class Model:
    """One piece of furniture; `shapes(yaw, distance, azimuth)` stands it before the eye, its yaw as seen from there."""

    def __init__(self, folder, library, number):
        parts, self.size, self.entry = load_parts(folder, library, number)
        self.library, self.number = library, number
        self.parts = [(v, f, uv, mi.load_dict(bsdf_of(m)), n) for v, f, uv, m, n in parts]

    def vertices(self, yaw, distance, azimuth=0.0):
        every = np.concatenate([p[0] for p in self.parts])
        return (every @ turn(yaw).T + [0, 0, -distance]) @ turn(-azimuth).T

    def shapes(self, yaw, distance, azimuth=0.0):
        out = {}
        for k, (v, f, uv, bsdf, normals) in enumerate(self.parts):
            props = mi.Properties()
            props["bsdf"] = bsdf
            mesh = mi.Mesh(
                f"part{k}",
                len(v),
                len(f),
                has_vertex_normals=normals is not None,
                has_vertex_texcoords=uv is not None,
                props=props,
            )
            params = mi.traverse(mesh)
            world = (v @ turn(yaw).T + [0, 0, -distance]) @ turn(-azimuth).T
            params["vertex_positions"] = np.ravel(world).astype(np.float32)
            params["faces"] = np.ravel(f).astype(np.uint32)
            if normals is not None:
                params["vertex_normals"] = np.ravel(normals @ turn(yaw).T @ turn(-azimuth).T).astype(np.float32)
            if uv is not None:
                params["vertex_texcoords"] = np.ravel(uv).astype(np.float32)
            params.update()
            out[f"object{k:03d}"] = mesh
        return out
