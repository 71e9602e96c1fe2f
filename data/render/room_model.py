"""A procedural office: `build_room(name)` returns everything a renderer needs, the same for the same name.

Coordinates: room axes (X right, y up, Z forward, metres; the eye stands above the origin); converted to world axes on output.
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

    def material(self, color, roughness=0.6, tile=None, lengths=(1, 1), specular=0.5):
        """`color`: linear RGB, or a (bitmap, tile metres) pair stretched over a surface of `lengths` metres."""
        if isinstance(color, tuple):
            bitmap, tile = color
            base = {"type": "bitmap", "raw": True, "bitmap": mi.Bitmap(np.clip(bitmap, .01, .92).astype(np.float32)),
                    "to_uv": T().scale([lengths[0] / tile, lengths[1] / tile, 1])}
        else:
            base = {"type": "rgb", "value": [float(c) for c in np.clip(color, .01, .92)]}
        return {"type": "twosided", "bsdf": {"type": "principled", "base_color": base, "roughness": float(roughness),
                                             "specular": float(specular)}}

    def quad(self, center, u, v, color=None, roughness=.6, emission=None):
        """A rectangle at `center` with half-edges u and v (room axes); its normal is u x v in world axes."""
        c, u, v = (np.array([p[0], p[1], -p[2]], float) for p in (center, u, v))
        n = np.cross(u, v)
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = u, v, n / np.linalg.norm(n), c
        shape = {"type": "rectangle", "to_world": T(matrix)}
        if emission is not None:
            shape["emitter"] = {"type": "area", "radiance": emission}
            shape["bsdf"] = {"type": "diffuse", "reflectance": {"type": "rgb", "value": .05}}
        else:
            lengths = 2 * np.linalg.norm(u), 2 * np.linalg.norm(v)
            shape["bsdf"] = self.material(color, roughness, lengths=lengths)
        self.add(shape)

    def box(self, x0, x1, y0, y1, z0, z1, color, roughness=.6):
        center, half = [(x0 + x1) / 2, (y0 + y1) / 2, -(z0 + z1) / 2], [(x1 - x0) / 2, (y1 - y0) / 2, (z1 - z0) / 2]
        lengths = (max(x1 - x0, z1 - z0), y1 - y0)
        self.add({"type": "cube", "to_world": T().translate(center).scale(half),
                  "bsdf": self.material(color, roughness, lengths=lengths)})

    def on_wall(self, wall, s, y, depth=0.0):
        """A point on a wall: `s` metres along it, `y` up, `depth` metres into the room."""
        x0, x1, z0, z1 = self.plan
        return {"back": (s, y, z1 - depth), "left": (x0 + depth, y, s), "right": (x1 - depth, y, s)}[wall]

    def along(self, wall, length):
        return (length, 0, 0) if wall == "back" else (0, 0, length)

    def wall_quad(self, wall, s, y, half_s, half_y, depth, **kw):
        u = np.array(self.along(wall, half_s)) * {"back": 1, "left": 1, "right": -1}[wall]
        self.quad(self.on_wall(wall, s, y, depth), u, (0, half_y, 0), **kw)

    def wall_box(self, wall, s0, s1, y0, y1, depth, color, roughness=.6, floor=False):
        x0, x1, z0, z1 = self.plan
        extent = {"back": (s0, s1, z1 - depth, z1), "left": (x0, x0 + depth, s0, s1), "right": (x1 - depth, x1, s0, s1)}[wall]
        self.box(extent[0], extent[1], y0, y1, extent[2], extent[3], color, roughness)
        if floor:
            self.obstacles.append([float(e) for e in extent])

    # ------------------------------------------------------------ design
    def design(self):
        r = self.rng
        small = r.random() < .35
        z1 = r.uniform(3.2, 6) if small else r.uniform(5, 12)
        self.plan = (-r.uniform(1.3, 3.2 if small else 6), r.uniform(1.3, 3.2 if small else 6), -r.uniform(.6, 3), z1)
        self.height = r.uniform(2.4, 2.9) if small else r.uniform(2.6, 3.8)
        self.pitch, self.pan = r.uniform(2, 14), r.uniform(-8, 8)
        self.used = {"back": [], "left": [], "right": []}  # stretches of wall already taken
        self.surfaces()
        if r.random() < .22:
            self.block()
        self.windows()
        self.doors()
        if r.random() < .30 and not small:
            self.columns()
        self.furniture()
        self.wall_pieces()
        self.lamps()

    def surfaces(self):
        r, (x0, x1, z0, z1), h = self.rng, self.plan, self.height
        cx, cz, hx, hz = (x0 + x1) / 2, (z0 + z1) / 2, (x1 - x0) / 2, (z1 - z0) / 2
        kind = r.choice(["planks", "tiles", "carpet", "concrete"], p=[.36, .28, .20, .16])
        floor = getattr(textures, kind)(r)
        rough = {"planks": r.uniform(.18, .5), "tiles": r.uniform(.08, .4), "carpet": 1., "concrete": r.uniform(.15, .7)}[kind]
        if r.random() < .5:
            self.quad((cx, 0, cz), (hx, 0, 0), (0, 0, hz), color=floor, roughness=rough)
        else:  # planks across
            self.quad((cx, 0, cz), (0, 0, -hz), (hx, 0, 0), color=floor, roughness=rough)
        ceiling = textures.ceiling_grid(r) if r.random() < .45 else np.full(3, r.uniform(.6, .88) if r.random() < .9 else .12)
        self.quad((cx, h, cz), (hx, 0, 0), (0, 0, -hz), color=ceiling, roughness=.9)
        warm = r.normal(0, .035)  # real paint goes from cold to warm, seldom to lilac or green
        tint = np.array([1 + warm, 1 + .2 * warm, 1 - 1.2 * warm]) * r.uniform(.985, 1.015, 3)
        shade = r.choice([r.uniform(.68, .88), r.uniform(.35, .68), r.uniform(.12, .35)], p=[.68, .24, .08])
        self.wall_color = np.clip(shade * tint, .03, .88)
        if r.random() < .12:
            self.wall_color = np.clip(np.array([[.55, .72, .72], [.80, .72, .50], [.72, .78, .62], [.80, .62, .55],
                                                [.30, .45, .60]])[r.integers(5)] * r.uniform(.7, 1.1), .03, .88)
        plain = textures.paint(r, self.wall_color)
        style = r.choice(["paint", "panels", "bricks", "stripes"], p=[.68, .17, .08, .07])
        wall = plain if style == "paint" else getattr(textures, style)(r, self.wall_color)
        accent = wall
        if r.random() < .22:
            color = np.array([[.12, .30, .45], [.45, .10, .09], [.22, .38, .18], [.75, .50, .12], [.20, .20, .22],
                              [.12, .42, .42], [.40, .28, .16]])[r.integers(7)]
            accent = textures.panels(r, color) if r.random() < .4 else textures.paint(r, color)
        rough = r.uniform(.45, .95)
        target = r.choice(["back", "left", "right"])
        for name in ("back", "left", "right"):
            center, half = (((cx, h / 2, z1), hx) if name == "back" else ((x0 if name == "left" else x1, h / 2, cz), hz))
            u = np.array(self.along(name, half)) * {"back": 1, "left": 1, "right": -1}[name]
            self.quad(center, u, (0, h / 2, 0), color=accent if name == target else wall, roughness=rough)
        self.quad((cx, h / 2, z0), (-hx, 0, 0), (0, h / 2, 0), color=plain, roughness=.8)
        skirting = (np.full(3, .8) if r.random() < .5 else np.full(3, .08) if r.random() < .4 else floor[0].mean((0, 1)) * .8)
        if r.random() < .85:
            sh = r.uniform(.05, .14)
            for name, (s0, s1) in {"back": (x0, x1), "left": (z0, z1), "right": (z0, z1)}.items():
                self.wall_box(name, s0, s1, 0, sh, .015, skirting)
        if r.random() < .2:  # beams
            for z in np.arange(r.uniform(1, 2.5), z1, r.uniform(1.8, 3.5)):
                self.box(x0, x1, h - r.uniform(.15, .35), h, z, z + r.uniform(.15, .4), self.wall_color * r.uniform(.8, 1))

    def block(self):
        """A wall block in a far corner makes the plan an L."""
        r, (x0, x1, z0, z1) = self.rng, self.plan
        depth, width = r.uniform(.5, max(.6, min(3.5, z1 - 3.2))), r.uniform(.6, max(.7, .45 * (x1 - x0)))
        a, b = (x0, x0 + width) if r.random() < .5 else (x1 - width, x1)
        top = self.height
        self.box(a, b, 0, top, z1 - depth, z1, textures.paint(r, self.wall_color * r.uniform(.85, 1)))
        self.obstacles.append([float(a), float(b), float(z1 - depth), float(z1)])
        self.used["back"].append((a - .1, b + .1))
        self.used["left" if a == x0 else "right"].append((z1 - depth - .1, z1))

    def free(self, wall, s0, s1):
        return all(s1 < a or s0 > b for a, b in self.used[wall])

    def windows(self):
        r, (x0, x1, z0, z1), h = self.rng, self.plan, self.height
        self.daylight = 0.0
        walls = [w for w, p in (("back", .45), ("left", .42), ("right", .42)) if r.random() < p]
        view, strength = textures.outdoors(r), r.uniform(2.5, 9)
        frame = np.full(3, r.choice([.85, .6, .06]))
        sunny = r.random() < .35
        sun = np.array([r.uniform(-.9, .9), -r.uniform(.5, 1.2), r.uniform(.5, 1.3)])  # along the wall, down, into the room
        light = strength * r.uniform(.5, 2) * np.array([1, .92, .78])
        for wall in walls:
            lo, hi = (x0, x1) if wall == "back" else (max(z0, -1), z1)
            full = r.random() < .25
            sill = r.uniform(.02, .12) if full else r.uniform(.6, 1.15)
            top = h - r.uniform(.15, .4) if full or r.random() < .5 else r.uniform(1.9, 2.3)
            width, gap = r.uniform(.8, 2.6), (r.uniform(.05, .15) if full else r.uniform(.3, 1.6))
            s = lo + r.uniform(.3, 1.2)
            while s + width < hi - .2:
                if self.free(wall, s, s + width):
                    cut = view[:, int(r.integers(32)):][:, :96]
                    cut = cut[:, ::(1 if r.random() < .5 else -1)]
                    bitmap = {"type": "bitmap", "raw": True, "bitmap": mi.Bitmap(np.ascontiguousarray(cut * strength, np.float32))}
                    self.wall_quad(wall, s + width / 2, (sill + top) / 2, width / 2, (top - sill) / 2, .006, emission=bitmap)
                    self.daylight += strength * width * (top - sill)
                    self.frame(wall, s, s + width, sill, top, frame)
                    if sunny and wall == walls[0]:
                        self.sun_patch(wall, s, s + width, sill, top, sun, light)
                    self.used[wall].append((s - .1, s + width + .1))
                s += width + gap
                if r.random() < .12:
                    break

    def sun_patch(self, wall, s0, s1, y0, y1, sun, light):
        """Where the sun through a window falls on the floor: the light that a matt floor sends back, as a thin emitter."""
        x0, x1, z0, z1 = self.plan
        corners = []
        for s, y in ((s0, y0), (s1, y0), (s1, y1), (s0, y1)):
            t = y / -sun[1]
            x, _, z = self.on_wall(wall, s + t * sun[0], 0, t * sun[2])
            corners.append(np.array([x, .002, z]))
        if all(x0 < c[0] < x1 and z0 < c[2] < z1 for c in corners):
            u, v = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
            if np.cross(u * [1, 1, -1], v * [1, 1, -1])[1] < 0:  # face up
                u = -u
            self.quad((corners[0] + corners[2]) / 2, u, v, emission={"type": "rgb", "value": [float(c) for c in light * .25]})

    def frame(self, wall, s0, s1, y0, y1, color):
        r, t, d = self.rng, self.rng.uniform(.03, .07), self.rng.uniform(.03, .07)
        for a, b in ((s0 - t, s0), (s1, s1 + t)):
            self.wall_box(wall, a, b, y0 - t, y1 + t, d, color)
        self.wall_box(wall, s0, s1, y1, y1 + t, d, color)
        self.wall_box(wall, s0 - .05, s1 + .05, y0 - t, y0, d + r.uniform(0, .12), color)
        n = int(r.integers(1, 4))
        for k in range(1, n):
            s = s0 + (s1 - s0) * k / n
            self.wall_box(wall, s - t / 2, s + t / 2, y0, y1, d * .8, color)
        if r.random() < .45:
            y = y0 + (y1 - y0) * r.choice([.3, .5, .7])
            self.wall_box(wall, s0, s1, y - t / 2, y + t / 2, d * .8, color)
        if r.random() < .18:  # a blind, half down
            self.wall_box(wall, s0, s1, y1 - (y1 - y0) * r.uniform(.15, .6), y1, d * .9, np.full(3, r.uniform(.5, .85)))
        if r.random() < .25 and y0 > .5:  # radiator below
            self.wall_box(wall, s0 + .1, s1 - .1, .12, y0 - .12, .1, textures.panels(r, np.full(3, .82)), floor=True)

    def doors(self):
        r, (x0, x1, z0, z1) = self.rng, self.plan
        for wall in ("back", "left", "right"):
            lo, hi = (x0, x1) if wall == "back" else (1.0, z1)
            if r.random() > .42 or hi - lo < 1.6:
                continue
            width, top = r.uniform(.8, 1.0) * (2 if r.random() < .15 else 1), r.uniform(2.0, 2.15)
            s = r.uniform(lo + .3, max(lo + .31, hi - width - .3))
            if not self.free(wall, s - .1, s + width + .1):
                continue
            self.used[wall].append((s - .15, s + width + .15))
            color = np.array([[.75, .74, .72], [.45, .28, .15], [.30, .18, .1], [.2, .22, .25], [.62, .48, .32]])[r.integers(5)]
            self.wall_box(wall, s, s + width, 0, top, .02, color, .4)
            frame = color * r.uniform(.6, 1.1)
            for a, b in ((s - .07, s), (s + width, s + width + .07)):
                self.wall_box(wall, a, b, 0, top + .07, .045, frame)
            self.wall_box(wall, s, s + width, top, top + .07, .045, frame)
            side = s + (.06 if r.random() < .5 else width - .14)
            self.wall_box(wall, side, side + .08, 1.0, 1.03, .07, np.full(3, .35), .2)

    def columns(self):
        r, (x0, x1, z0, z1) = self.rng, self.plan
        side, z = r.uniform(.25, .6), r.uniform(2.6, 4)
        color = textures.paint(r, self.wall_color * r.uniform(.8, 1.05))
        x = r.uniform(x0 + .5, x1 - .5)
        if abs(x) < .9:
            x = float(np.copysign(r.uniform(.9, 1.4), x))
        while z < z1 - 1 and x0 < x - side and x + side < x1:
            self.box(x - side / 2, x + side / 2, 0, self.height, z - side / 2, z + side / 2, color)
            self.obstacles.append([float(x - side / 2), float(x + side / 2), float(z - side / 2), float(z + side / 2)])
            z += r.uniform(2.5, 4.5)

    def furniture(self):
        """Fixed furniture along the walls: low cabinets, tall cupboards, a counter."""
        r, (x0, x1, z0, z1) = self.rng, self.plan
        for wall in ("back", "left", "right"):
            if r.random() > .28:
                continue
            lo, hi = (x0, x1) if wall == "back" else (1.8, z1)
            if hi - lo < 1.5:
                continue
            length = r.uniform(.8, min(3.5, hi - lo - .2))
            s = r.uniform(lo + .05, hi - length - .05)
            tall = r.random() < .3
            if tall and not self.free(wall, s, s + length):
                continue
            top, depth = (r.uniform(1.7, 2.2) if tall else r.uniform(.6, 1.0)), r.uniform(.35, .6)
            color = (np.array([.8, .8, .78]) if r.random() < .4 else textures.planks(r)[0].mean((0, 1)) * r.uniform(.8, 1.3)
                     if r.random() < .6 else r.uniform(.1, .7, 3))
            self.wall_box(wall, s, s + length, .06, top, depth, color, r.uniform(.3, .7), floor=True)
            self.wall_box(wall, s + .02, s + length - .02, 0, .06, depth - .05, np.full(3, .05))
            if not tall:
                self.wall_box(wall, s - .02, s + length + .02, top, top + .03, depth + .02, np.asarray(color) * r.uniform(.5, 1.2))
            n = max(1, int(length / r.uniform(.45, .8)))
            for k in range(1, n):
                a = s + length * k / n
                self.wall_box(wall, a - .004, a + .004, .08, top - .02, depth + .003, np.asarray(color) * .4)
            if tall:
                self.used[wall].append((s, s + length))

    def wall_pieces(self):
        """Whiteboards, pictures, vents, switches."""
        r, (x0, x1, z0, z1) = self.rng, self.plan
        for wall in ("back", "left", "right"):
            lo, hi = (x0, x1) if wall == "back" else (1.2, z1)
            for _ in range(int(r.integers(0, 4))):
                width, height = r.uniform(.3, 1.8), r.uniform(.3, 1.1)
                if hi - lo < width + .4:
                    continue
                s, y = r.uniform(lo + .1, hi - width - .1), r.uniform(1.1, min(1.6, self.height - height - .1))
                if not self.free(wall, s, s + width):
                    continue
                self.used[wall].append((s, s + width))
                edge = np.full(3, r.choice([.05, .4, .8]))
                self.wall_box(wall, s, s + width, y, y + height, .02, edge)
                face = np.full(3, .85) if width > 1 and r.random() < .6 else (textures.picture(r), 10.)
                kw = dict(color=face, roughness=.3)
                if isinstance(face, tuple):
                    kw["color"] = (face[0], 2 * width / 2)
                self.wall_quad(wall, s + width / 2, y + height / 2, width / 2 - .02, height / 2 - .02, .022, **kw)
            if r.random() < .5:
                s, y = r.uniform(lo + .1, hi - .2), r.uniform(.25, 1.2)
                self.wall_box(wall, s, s + .09, y, y + .09, .012, np.full(3, .85))

    def lamps(self):
        r, (x0, x1, z0, z1), h = self.rng, self.plan, self.height
        lit = 1.0 if self.daylight < 8 else float(r.choice([0.03, .35, 1.0]))
        color = np.array([1, r.uniform(.82, 1), r.uniform(.62, 1)])
        style = r.choice(["panel", "strip", "spot", "globe"], p=[.42, .25, .23, .10])
        half = {"panel": (.3, .3), "strip": (.12, .6), "spot": (.09, .09), "globe": (.16, .16)}[style]
        nx, nz = max(1, int((x1 - x0) / r.uniform(1.5, 3))), max(1, int((z1 - z0) / r.uniform(1.5, 3)))
        area = 4 * half[0] * half[1] * nx * nz
        radiance = float(lit * r.uniform(.7, 1.4) * (x1 - x0) * (z1 - z0) / area * 1.2)
        drop = r.uniform(.3, .8) if style == "globe" else .012
        for x in x0 + (np.arange(nx) + .5) * (x1 - x0) / nx:
            for z in z0 + (np.arange(nz) + .5) * (z1 - z0) / nz:
                emission = {"type": "rgb", "value": [float(radiance * c) for c in color]}
                if style == "globe":
                    self.add({"type": "sphere", "center": [float(x), float(h - drop), float(-z)], "radius": .16,
                              "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [float(radiance * c * .3) for c in color]}}})
                    self.box(x - .01, x + .01, h - drop + .15, h, z - .01, z + .01, np.full(3, .05))
                    continue
                self.box(x - half[0] - .02, x + half[0] + .02, h - .01, h + .01, z - half[1] - .02, z + half[1] + .02, np.full(3, .7))
                self.quad((x, h - drop, z), (half[0], 0, 0), (0, 0, -half[1]), emission=emission)

    # ------------------------------------------------------------ output
    def scene(self, extra=None):
        return mi.load_dict({"type": "scene", **self.shapes, **(extra or {})})

    def entry(self, split):
        return {"name": self.name, "split": split, "pitch": round(float(self.pitch), 3), "pan": round(float(self.pan), 3),
                "box": [round(float(v), 3) for v in self.plan],
                "obstacles": [[round(v, 3) for v in o] for o in self.obstacles]}
