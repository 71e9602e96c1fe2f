"""A procedural office: `Room(name)` holds everything a renderer needs, the same for the same name.

Coordinates: room axes (X right, y up, Z forward, metres; the eye stands above the origin), world axes on output.
"""

import numpy as np
import textures
from common import T, generator, mi


class Room:
    """Mitsuba shapes, camera angles and the floor plan of one room."""

    def __init__(self, name, attempt=0):
        self.name, self.rng = name, generator("room", name, attempt)
        self.shapes, self.obstacles, self.count = {}, [], 0
        self.design()

    # ------------------------------------------------------------ pieces
    def add(self, shape):
        self.shapes[f"shape{self.count:03d}"] = shape
        self.count += 1

    def material(self, color, roughness=0.6, lengths=(1, 1), specular=0.5):
        """`color`: linear RGB, or a (bitmap, tile metres) pair stretched over a surface of `lengths` metres."""
        if isinstance(color, tuple):
            bitmap, tile = color
            base = {
                "type": "bitmap",
                "raw": True,
                "bitmap": mi.Bitmap(np.clip(bitmap, 0.01, 0.92).astype(np.float32)),
                "to_uv": T().scale([lengths[0] / tile, lengths[1] / tile, 1]),
            }
        else:
            base = {"type": "rgb", "value": [float(c) for c in np.clip(color, 0.01, 0.92)]}
        return {
            "type": "twosided",
            "bsdf": {
                "type": "principled",
                "base_color": base,
                "roughness": float(roughness),
                "specular": float(specular),
            },
        }

    def quad(self, center, u, v, color=None, roughness=0.6, emission=None):
        """A rectangle at `center` with half-edges u and v (room axes); its normal is u x v in world axes."""
        c, u, v = (np.array([p[0], p[1], -p[2]], float) for p in (center, u, v))
        n = np.cross(u, v)
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = u, v, n / np.linalg.norm(n), c
        shape = {"type": "rectangle", "to_world": T(matrix)}
        if emission is not None:
            shape["emitter"] = {"type": "area", "radiance": emission}
            shape["bsdf"] = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.05}}
        else:
            lengths = 2 * np.linalg.norm(u), 2 * np.linalg.norm(v)
            shape["bsdf"] = self.material(color, roughness, lengths=lengths)
        self.add(shape)

    def box(self, x0, x1, y0, y1, z0, z1, color, roughness=0.6):
        center, half = [(x0 + x1) / 2, (y0 + y1) / 2, -(z0 + z1) / 2], [(x1 - x0) / 2, (y1 - y0) / 2, (z1 - z0) / 2]
        lengths = (max(x1 - x0, z1 - z0), y1 - y0)
        self.add(
            {
                "type": "cube",
                "to_world": T().translate(center).scale(half),
                "bsdf": self.material(color, roughness, lengths=lengths),
            }
        )

    def on_wall(self, wall, s, y, depth=0.0):
        """A point on a wall: `s` metres along it, `y` up, `depth` metres into the room."""
        x0, x1, z0, z1 = self.plan
        return {"back": (s, y, z1 - depth), "left": (x0 + depth, y, s), "right": (x1 - depth, y, s)}[wall]

    def along(self, wall, length):
        return (length, 0, 0) if wall == "back" else (0, 0, length)

    def wall_quad(self, wall, s, y, half_s, half_y, depth, **kw):
        u = np.array(self.along(wall, half_s)) * {"back": 1, "left": 1, "right": -1}[wall]
        self.quad(self.on_wall(wall, s, y, depth), u, (0, half_y, 0), **kw)

    def wall_box(self, wall, s0, s1, y0, y1, depth, color, roughness=0.6, floor=False):
        x0, x1, z0, z1 = self.plan
        extent = {
            "back": (s0, s1, z1 - depth, z1),
            "left": (x0, x0 + depth, s0, s1),
            "right": (x1 - depth, x1, s0, s1),
        }[wall]
        self.box(extent[0], extent[1], y0, y1, extent[2], extent[3], color, roughness)
        if floor:
            self.obstacles.append([float(e) for e in extent])

    # ------------------------------------------------------------ design
    def design(self):
        r = self.rng
        small = r.random() < 0.35
        z1 = r.uniform(3.2, 6) if small else r.uniform(5, 12)
        self.plan = (-r.uniform(1.3, 3.2 if small else 6), r.uniform(1.3, 3.2 if small else 6), -r.uniform(0.6, 3), z1)
        self.height = r.uniform(2.4, 2.9) if small else r.uniform(2.6, 3.8)
        self.pitch, self.pan = r.uniform(2, 14), r.uniform(-8, 8)
        self.used = {"back": [], "left": [], "right": []}  # stretches of wall already taken
        self.surfaces()
        if r.random() < 0.22:
            self.block()
        self.windows()
        self.doors()
        if r.random() < 0.30 and not small:
            self.columns()
        self.furniture()
        self.wall_pieces()
        self.lamps()

    def surfaces(self):
        r, (x0, x1, z0, z1), h = self.rng, self.plan, self.height
        cx, cz, hx, hz = (x0 + x1) / 2, (z0 + z1) / 2, (x1 - x0) / 2, (z1 - z0) / 2
        kind = r.choice(["planks", "tiles", "carpet", "concrete"], p=[0.36, 0.28, 0.20, 0.16])
        floor = getattr(textures, kind)(r)
        rough = {
            "planks": r.uniform(0.18, 0.5),
            "tiles": r.uniform(0.08, 0.4),
            "carpet": 1.0,
            "concrete": r.uniform(0.15, 0.7),
        }[kind]
        if r.random() < 0.5:
            self.quad((cx, 0, cz), (hx, 0, 0), (0, 0, hz), color=floor, roughness=rough)
        else:  # planks across
            self.quad((cx, 0, cz), (0, 0, -hz), (hx, 0, 0), color=floor, roughness=rough)
        ceiling = (
            textures.ceiling_grid(r)
            if r.random() < 0.45
            else np.full(3, r.uniform(0.6, 0.88) if r.random() < 0.9 else 0.12)
        )
        self.quad((cx, h, cz), (hx, 0, 0), (0, 0, -hz), color=ceiling, roughness=0.9)
        warm = r.normal(0, 0.035)  # real paint goes from cold to warm, seldom to lilac or green
        tint = np.array([1 + warm, 1 + 0.2 * warm, 1 - 1.2 * warm]) * r.uniform(0.985, 1.015, 3)
        shade = r.choice([r.uniform(0.68, 0.88), r.uniform(0.35, 0.68), r.uniform(0.12, 0.35)], p=[0.68, 0.24, 0.08])
        self.wall_color = np.clip(shade * tint, 0.03, 0.88)
        if r.random() < 0.12:
            self.wall_color = np.clip(
                np.array(
                    [[0.55, 0.72, 0.72], [0.80, 0.72, 0.50], [0.72, 0.78, 0.62], [0.80, 0.62, 0.55], [0.30, 0.45, 0.60]]
                )[r.integers(5)]
                * r.uniform(0.7, 1.1),
                0.03,
                0.88,
            )
        plain = textures.paint(r, self.wall_color)
        style = r.choice(["paint", "panels", "bricks", "stripes"], p=[0.68, 0.17, 0.08, 0.07])
        wall = plain if style == "paint" else getattr(textures, style)(r, self.wall_color)
        accent = wall
        if r.random() < 0.22:
            color = np.array(
                [
                    [0.12, 0.30, 0.45],
                    [0.45, 0.10, 0.09],
                    [0.22, 0.38, 0.18],
                    [0.75, 0.50, 0.12],
                    [0.20, 0.20, 0.22],
                    [0.12, 0.42, 0.42],
                    [0.40, 0.28, 0.16],
                ]
            )[r.integers(7)]
            accent = textures.panels(r, color) if r.random() < 0.4 else textures.paint(r, color)
        rough = r.uniform(0.45, 0.95)
        target = r.choice(["back", "left", "right"])
        for name in ("back", "left", "right"):
            center, half = ((cx, h / 2, z1), hx) if name == "back" else ((x0 if name == "left" else x1, h / 2, cz), hz)
            u = np.array(self.along(name, half)) * {"back": 1, "left": 1, "right": -1}[name]
            self.quad(center, u, (0, h / 2, 0), color=accent if name == target else wall, roughness=rough)
        self.quad((cx, h / 2, z0), (-hx, 0, 0), (0, h / 2, 0), color=plain, roughness=0.8)
        skirting = (
            np.full(3, 0.8)
            if r.random() < 0.5
            else np.full(3, 0.08)
            if r.random() < 0.4
            else floor[0].mean((0, 1)) * 0.8
        )
        if r.random() < 0.85:
            sh = r.uniform(0.05, 0.14)
            for name, (s0, s1) in {"back": (x0, x1), "left": (z0, z1), "right": (z0, z1)}.items():
                self.wall_box(name, s0, s1, 0, sh, 0.015, skirting)
        if r.random() < 0.2:  # beams
            for z in np.arange(r.uniform(1, 2.5), z1, r.uniform(1.8, 3.5)):
                self.box(
                    x0,
                    x1,
                    h - r.uniform(0.15, 0.35),
                    h,
                    z,
                    z + r.uniform(0.15, 0.4),
                    self.wall_color * r.uniform(0.8, 1),
                )

    def block(self):
        """A wall block in a far corner makes the plan an L."""
        r, (x0, x1, _z0, z1) = self.rng, self.plan
        depth, width = r.uniform(0.5, max(0.6, min(3.5, z1 - 3.2))), r.uniform(0.6, max(0.7, 0.45 * (x1 - x0)))
        a, b = (x0, x0 + width) if r.random() < 0.5 else (x1 - width, x1)
        top = self.height
        self.box(a, b, 0, top, z1 - depth, z1, textures.paint(r, self.wall_color * r.uniform(0.85, 1)))
        self.obstacles.append([float(a), float(b), float(z1 - depth), float(z1)])
        self.used["back"].append((a - 0.1, b + 0.1))
        self.used["left" if a == x0 else "right"].append((z1 - depth - 0.1, z1))

    def free(self, wall, s0, s1):
        return all(s1 < a or s0 > b for a, b in self.used[wall])

    def windows(self):
        r, (x0, x1, z0, z1), h = self.rng, self.plan, self.height
        self.daylight = 0.0
        walls = [w for w, p in (("back", 0.45), ("left", 0.42), ("right", 0.42)) if r.random() < p]
        view, strength = textures.outdoors(r), r.uniform(2.5, 9)
        frame = np.full(3, r.choice([0.85, 0.6, 0.06]))
        sunny = r.random() < 0.35
        sun = np.array(
            [r.uniform(-0.9, 0.9), -r.uniform(0.5, 1.2), r.uniform(0.5, 1.3)]
        )  # along the wall, down, into the room
        light = strength * r.uniform(0.5, 2) * np.array([1, 0.92, 0.78])
        for wall in walls:
            lo, hi = (x0, x1) if wall == "back" else (max(z0, -1), z1)
            full = r.random() < 0.25
            sill = r.uniform(0.02, 0.12) if full else r.uniform(0.6, 1.15)
            top = h - r.uniform(0.15, 0.4) if full or r.random() < 0.5 else r.uniform(1.9, 2.3)
            width, gap = r.uniform(0.8, 2.6), (r.uniform(0.05, 0.15) if full else r.uniform(0.3, 1.6))
            s = lo + r.uniform(0.3, 1.2)
            while s + width < hi - 0.2:
                if self.free(wall, s, s + width):
                    cut = view[:, int(r.integers(32)) :][:, :96]
                    cut = cut[:, :: (1 if r.random() < 0.5 else -1)]
                    bitmap = {
                        "type": "bitmap",
                        "raw": True,
                        "bitmap": mi.Bitmap(np.ascontiguousarray(cut * strength, np.float32)),
                    }
                    self.wall_quad(
                        wall, s + width / 2, (sill + top) / 2, width / 2, (top - sill) / 2, 0.006, emission=bitmap
                    )
                    self.daylight += strength * width * (top - sill)
                    self.frame(wall, s, s + width, sill, top, frame)
                    if sunny and wall == walls[0]:
                        self.sun_patch(wall, s, s + width, sill, top, sun, light)
                    self.used[wall].append((s - 0.1, s + width + 0.1))
                s += width + gap
                if r.random() < 0.12:
                    break

    def sun_patch(self, wall, s0, s1, y0, y1, sun, light):
        """Where the sun falls on the floor: the light that a matt floor sends back, as a thin emitter."""
        x0, x1, z0, z1 = self.plan
        corners = []
        for s, y in ((s0, y0), (s1, y0), (s1, y1), (s0, y1)):
            t = y / -sun[1]
            x, _, z = self.on_wall(wall, s + t * sun[0], 0, t * sun[2])
            corners.append(np.array([x, 0.002, z]))
        if all(x0 < c[0] < x1 and z0 < c[2] < z1 for c in corners):
            u, v = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
            if np.cross(u * [1, 1, -1], v * [1, 1, -1])[1] < 0:  # face up
                u = -u
            self.quad(
                (corners[0] + corners[2]) / 2, u, v, emission={"type": "rgb", "value": [float(c) for c in light * 0.25]}
            )

    def frame(self, wall, s0, s1, y0, y1, color):
        r, t, d = self.rng, self.rng.uniform(0.03, 0.07), self.rng.uniform(0.03, 0.07)
        for a, b in ((s0 - t, s0), (s1, s1 + t)):
            self.wall_box(wall, a, b, y0 - t, y1 + t, d, color)
        self.wall_box(wall, s0, s1, y1, y1 + t, d, color)
        self.wall_box(wall, s0 - 0.05, s1 + 0.05, y0 - t, y0, d + r.uniform(0, 0.12), color)
        n = int(r.integers(1, 4))
        for k in range(1, n):
            s = s0 + (s1 - s0) * k / n
            self.wall_box(wall, s - t / 2, s + t / 2, y0, y1, d * 0.8, color)
        if r.random() < 0.45:
            y = y0 + (y1 - y0) * r.choice([0.3, 0.5, 0.7])
            self.wall_box(wall, s0, s1, y - t / 2, y + t / 2, d * 0.8, color)
        if r.random() < 0.18:  # a blind, half down
            self.wall_box(
                wall, s0, s1, y1 - (y1 - y0) * r.uniform(0.15, 0.6), y1, d * 0.9, np.full(3, r.uniform(0.5, 0.85))
            )
        if r.random() < 0.25 and y0 > 0.5:  # radiator below
            self.wall_box(
                wall, s0 + 0.1, s1 - 0.1, 0.12, y0 - 0.12, 0.1, textures.panels(r, np.full(3, 0.82)), floor=True
            )

    def doors(self):
        r, (x0, x1, _z0, z1) = self.rng, self.plan
        for wall in ("back", "left", "right"):
            lo, hi = (x0, x1) if wall == "back" else (1.0, z1)
            if r.random() > 0.42 or hi - lo < 1.6:
                continue
            width, top = r.uniform(0.8, 1.0) * (2 if r.random() < 0.15 else 1), r.uniform(2.0, 2.15)
            s = r.uniform(lo + 0.3, max(lo + 0.31, hi - width - 0.3))
            if not self.free(wall, s - 0.1, s + width + 0.1):
                continue
            self.used[wall].append((s - 0.15, s + width + 0.15))
            color = np.array(
                [[0.75, 0.74, 0.72], [0.45, 0.28, 0.15], [0.30, 0.18, 0.1], [0.2, 0.22, 0.25], [0.62, 0.48, 0.32]]
            )[r.integers(5)]
            self.wall_box(wall, s, s + width, 0, top, 0.02, color, 0.4)
            frame = color * r.uniform(0.6, 1.1)
            for a, b in ((s - 0.07, s), (s + width, s + width + 0.07)):
                self.wall_box(wall, a, b, 0, top + 0.07, 0.045, frame)
            self.wall_box(wall, s, s + width, top, top + 0.07, 0.045, frame)
            side = s + (0.06 if r.random() < 0.5 else width - 0.14)
            self.wall_box(wall, side, side + 0.08, 1.0, 1.03, 0.07, np.full(3, 0.35), 0.2)

    def columns(self):
        r, (x0, x1, _z0, z1) = self.rng, self.plan
        side, z = r.uniform(0.25, 0.6), r.uniform(2.6, 4)
        color = textures.paint(r, self.wall_color * r.uniform(0.8, 1.05))
        x = r.uniform(x0 + 0.5, x1 - 0.5)
        if abs(x) < 0.9:
            x = float(np.copysign(r.uniform(0.9, 1.4), x))
        while z < z1 - 1 and x0 < x - side and x + side < x1:
            self.box(x - side / 2, x + side / 2, 0, self.height, z - side / 2, z + side / 2, color)
            self.obstacles.append([float(x - side / 2), float(x + side / 2), float(z - side / 2), float(z + side / 2)])
            z += r.uniform(2.5, 4.5)

    def furniture(self):
        """Fixed furniture along the walls: low cabinets, tall cupboards, a counter."""
        r, (x0, x1, _z0, z1) = self.rng, self.plan
        for wall in ("back", "left", "right"):
            if r.random() > 0.28:
                continue
            lo, hi = (x0, x1) if wall == "back" else (1.8, z1)
            if hi - lo < 1.5:
                continue
            length = r.uniform(0.8, min(3.5, hi - lo - 0.2))
            s = r.uniform(lo + 0.05, hi - length - 0.05)
            tall = r.random() < 0.3
            if tall and not self.free(wall, s, s + length):
                continue
            top, depth = (r.uniform(1.7, 2.2) if tall else r.uniform(0.6, 1.0)), r.uniform(0.35, 0.6)
            color = (
                np.array([0.8, 0.8, 0.78])
                if r.random() < 0.4
                else textures.planks(r)[0].mean((0, 1)) * r.uniform(0.8, 1.3)
                if r.random() < 0.6
                else r.uniform(0.1, 0.7, 3)
            )
            self.wall_box(wall, s, s + length, 0.06, top, depth, color, r.uniform(0.3, 0.7), floor=True)
            self.wall_box(wall, s + 0.02, s + length - 0.02, 0, 0.06, depth - 0.05, np.full(3, 0.05))
            if not tall:
                self.wall_box(
                    wall,
                    s - 0.02,
                    s + length + 0.02,
                    top,
                    top + 0.03,
                    depth + 0.02,
                    np.asarray(color) * r.uniform(0.5, 1.2),
                )
            n = max(1, int(length / r.uniform(0.45, 0.8)))
            for k in range(1, n):
                a = s + length * k / n
                self.wall_box(wall, a - 0.004, a + 0.004, 0.08, top - 0.02, depth + 0.003, np.asarray(color) * 0.4)
            if tall:
                self.used[wall].append((s, s + length))

    def wall_pieces(self):
        """Whiteboards, pictures, vents, switches."""
        r, (x0, x1, _z0, z1) = self.rng, self.plan
        for wall in ("back", "left", "right"):
            lo, hi = (x0, x1) if wall == "back" else (1.2, z1)
            for _ in range(int(r.integers(0, 4))):
                width, height = r.uniform(0.3, 1.8), r.uniform(0.3, 1.1)
                if hi - lo < width + 0.4:
                    continue
                s, y = r.uniform(lo + 0.1, hi - width - 0.1), r.uniform(1.1, min(1.6, self.height - height - 0.1))
                if not self.free(wall, s, s + width):
                    continue
                self.used[wall].append((s, s + width))
                edge = np.full(3, r.choice([0.05, 0.4, 0.8]))
                self.wall_box(wall, s, s + width, y, y + height, 0.02, edge)
                face = np.full(3, 0.85) if width > 1 and r.random() < 0.6 else (textures.picture(r), width)
                half = width / 2 - 0.02, height / 2 - 0.02
                self.wall_quad(wall, s + width / 2, y + height / 2, *half, 0.022, color=face, roughness=0.3)
            if r.random() < 0.5:
                s, y = r.uniform(lo + 0.1, hi - 0.2), r.uniform(0.25, 1.2)
                self.wall_box(wall, s, s + 0.09, y, y + 0.09, 0.012, np.full(3, 0.85))

    def lamps(self):
        r, (x0, x1, z0, z1), h = self.rng, self.plan, self.height
        lit = 1.0 if self.daylight < 8 else float(r.choice([0.03, 0.35, 1.0]))
        color = np.array([1, r.uniform(0.82, 1), r.uniform(0.62, 1)])
        style = r.choice(["panel", "strip", "spot", "globe"], p=[0.42, 0.25, 0.23, 0.10])
        half = {"panel": (0.3, 0.3), "strip": (0.12, 0.6), "spot": (0.09, 0.09), "globe": (0.16, 0.16)}[style]
        nx, nz = max(1, int((x1 - x0) / r.uniform(1.5, 3))), max(1, int((z1 - z0) / r.uniform(1.5, 3)))
        area = 4 * half[0] * half[1] * nx * nz
        radiance = float(lit * r.uniform(0.7, 1.4) * (x1 - x0) * (z1 - z0) / area * 1.2)
        drop = r.uniform(0.3, 0.8) if style == "globe" else 0.012
        for x in x0 + (np.arange(nx) + 0.5) * (x1 - x0) / nx:
            for z in z0 + (np.arange(nz) + 0.5) * (z1 - z0) / nz:
                emission = {"type": "rgb", "value": [float(radiance * c) for c in color]}
                if style == "globe":
                    self.add(
                        {
                            "type": "sphere",
                            "center": [float(x), float(h - drop), float(-z)],
                            "radius": 0.16,
                            "emitter": {
                                "type": "area",
                                "radiance": {"type": "rgb", "value": [float(radiance * c * 0.3) for c in color]},
                            },
                        }
                    )
                    self.box(x - 0.01, x + 0.01, h - drop + 0.15, h, z - 0.01, z + 0.01, np.full(3, 0.05))
                    continue
                self.box(
                    x - half[0] - 0.02,
                    x + half[0] + 0.02,
                    h - 0.01,
                    h + 0.01,
                    z - half[1] - 0.02,
                    z + half[1] + 0.02,
                    np.full(3, 0.7),
                )
                self.quad((x, h - drop, z), (half[0], 0, 0), (0, 0, -half[1]), emission=emission)

    # ------------------------------------------------------------ output
    def scene(self, extra=None):
        return mi.load_dict({"type": "scene", **self.shapes, **(extra or {})})

    def entry(self, split):
        return {
            "name": self.name,
            "split": split,
            "pitch": round(float(self.pitch), 3),
            "pan": round(float(self.pan), 3),
            "box": [round(float(v), 3) for v in self.plan],
            "obstacles": [[round(v, 3) for v in o] for o in self.obstacles],
        }
