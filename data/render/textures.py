"""Procedural colour textures (linear RGB, tileable enough for a floor): each returns (bitmap, tile in metres)."""

import numpy as np
from scipy.ndimage import gaussian_filter, zoom


def noise(rng, size, octaves=5, stretch=(1, 1), persistence=0.55):
    """Smooth noise in about [-1, 1], wrapping at the borders."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        n = min(size, 2 ** (octave + 2))
        grid = rng.standard_normal((max(1, n // stretch[0]), max(1, n // stretch[1])))
        grid = np.pad(grid, 2, mode="wrap")
        fine = zoom(grid, (size / (grid.shape[0] - 4), size / (grid.shape[1] - 4)), order=1)
        top, left = (fine.shape[0] - size) // 2, (fine.shape[1] - size) // 2
        total += persistence**octave * fine[top : top + size, left : left + size]
    return total / np.abs(total).max()


def planks(rng, size=512):
    """Wood planks along v; 2 m x 2 m."""
    base = np.array(
        [
            [0.42, 0.25, 0.13],
            [0.55, 0.38, 0.22],
            [0.30, 0.17, 0.09],
            [0.62, 0.50, 0.36],
            [0.45, 0.40, 0.35],
            [0.70, 0.58, 0.42],
            [0.22, 0.14, 0.09],
            [0.52, 0.33, 0.17],
        ]
    )[rng.integers(8)]
    base = base * rng.uniform(0.85, 1.15, 3)
    columns = int(rng.choice([8, 10, 13, 16]))
    u = np.arange(size) * columns // size
    grain = noise(rng, size, 6, stretch=(8, 1))
    contrast, variety = rng.uniform(0.04, 0.16), rng.uniform(0.04, 0.18)
    shade = np.zeros((size, size))
    gap = np.zeros((size, size), bool)
    for k in range(columns):
        cut = int(rng.integers(size))
        v = (np.arange(size) - cut) % size
        half = (v > size * rng.uniform(0.35, 0.65)).astype(int)
        tone = rng.normal(0, variety, 2)[half]
        shade[:, u == k] = tone[:, None]
        gap[np.ix_((v < 2) | (np.diff(half, prepend=half[0]) != 0), u == k)] = True
    edge = np.diff(u, prepend=u[-1]) != 0
    gap[:, edge] = True
    out = base * (1 + shade + contrast * grain)[..., None]
    out[gap] *= rng.uniform(0.45, 0.9)
    return out, 2.0


def tiles(rng, size=512):
    """Square tiles with grout; a repeat of four tiles."""
    base = np.array(
        [
            [0.75, 0.74, 0.70],
            [0.60, 0.58, 0.54],
            [0.35, 0.34, 0.33],
            [0.82, 0.80, 0.75],
            [0.50, 0.42, 0.33],
            [0.66, 0.68, 0.70],
            [0.15, 0.15, 0.16],
        ]
    )[rng.integers(7)]
    n = 4
    side = rng.choice([0.3, 0.45, 0.6, 0.8])
    index = np.arange(size) * n // size
    tone = rng.normal(0, rng.uniform(0.01, 0.07), (n, n))
    if rng.random() < 0.12:
        tone = tone + 0.35 * ((np.add.outer(np.arange(n), np.arange(n)) % 2) - 0.5)
    image = base * (1 + tone[np.ix_(index, index)] + rng.uniform(0.01, 0.06) * noise(rng, size, 6))[..., None]
    line = (np.arange(size) * n % size) < max(2, int(n * rng.uniform(1, 2)))
    grout = base * rng.uniform(0.5, 1.15)
    image[line] = grout
    image[:, line] = grout
    return image, float(n * side)


def carpet(rng, size=512):
    """Mottled carpet, sometimes in squares."""
    base = np.array(
        [
            [0.25, 0.27, 0.30],
            [0.18, 0.22, 0.30],
            [0.35, 0.30, 0.25],
            [0.30, 0.12, 0.12],
            [0.40, 0.40, 0.40],
            [0.12, 0.13, 0.14],
            [0.20, 0.28, 0.22],
            [0.45, 0.38, 0.28],
        ]
    )[rng.integers(8)]
    image = 1 + 0.10 * rng.standard_normal((size, size)) + 0.08 * noise(rng, size, 5)
    if rng.random() < 0.4:
        index = np.arange(size) * 4 // size
        image += rng.normal(0, 0.08, (4, 4))[np.ix_(index, index)]
    if rng.random() < 0.25:
        image += 0.15 * np.sign(np.sin(np.arange(size) * 2 * np.pi * 16 / size))[None]
    return base * gaussian_filter(image, 0.7, mode="wrap")[..., None], 2.0


def concrete(rng, size=512):
    """Concrete, screed or epoxy: clouds of gray."""
    base = rng.uniform(0.3, 0.75) * (1 + rng.normal(0, 0.04, 3))
    return base * (1 + rng.uniform(0.03, 0.15) * noise(rng, size, 6))[..., None], 3.0


def paint(rng, color, size=256):
    """Wall paint with faint clouds."""
    return np.asarray(color) * (1 + rng.uniform(0.005, 0.03) * noise(rng, size, 5))[..., None], 3.0


def stripes(rng, color, size=256):
    """Wallpaper of vertical stripes."""
    second = np.clip(np.asarray(color) * rng.uniform(0.55, 1.2, 3), 0, 0.9)
    n = int(rng.choice([4, 6, 8]))
    on = (np.arange(size) * n * 2 // size) % 2 == 0
    return np.where(on[None, :, None], color, second) * np.ones((size, size, 1)), 2.0


def panels(rng, color, size=256):
    """Wall panels: thin dark joints every metre or so."""
    image = paint(rng, color, size)[0]
    n = int(rng.choice([1, 2, 3]))
    joint = (np.arange(size) * n % size) < n * 1.5
    image[:, joint] *= rng.uniform(0.35, 0.8)
    if rng.random() < 0.4:
        image[(np.arange(size) % (size // 2)) < 2] *= 0.6
    return image, float(rng.choice([1.8, 2.4, 3.0]))


def bricks(rng, color, size=256):
    """Painted or bare brick."""
    rows, columns = 16, 6
    row = np.arange(size) * rows // size
    image = np.empty((size, size, 3))
    base = np.asarray(color) if rng.random() < 0.5 else np.array([0.45, 0.20, 0.13])
    shift = (row % 2) * size // (2 * columns)
    tone = rng.normal(0, 0.08, (rows, columns))
    for v in range(size):
        column = ((np.arange(size) + shift[v]) % size) * columns // size
        image[v] = base * (1 + tone[row[v], column])[:, None]
        image[v][np.diff(column, prepend=column[-1]) != 0] = base * 0.8 + 0.08
    image[np.diff(row, prepend=row[-1]) != 0] = base * 0.8 + 0.08
    return image, 1.3


def ceiling_grid(rng, size=256):
    """Mineral-fibre tiles in a metal grid, 60 cm."""
    image = np.full((size, size, 3), rng.uniform(0.72, 0.88)) * (1 + 0.03 * rng.standard_normal((size, size, 1)))
    line = (np.arange(size) * 4 % size) < 8
    image[line] *= rng.uniform(0.6, 0.9)
    image[:, line] *= rng.uniform(0.6, 0.9)
    return image, 2.4


def outdoors(rng, size=128):
    """What a window shows, as radiance: overcast white, sky over a city, or trees. Row 0 is the bottom."""
    height = np.linspace(0, 1, size)[:, None, None]
    sky = np.array([0.75, 0.88, 1.1]) * (0.8 + 0.4 * (1 - height)) * np.ones((size, size, 1))
    kind = rng.random()
    if kind < 0.4:
        return np.full((size, size, 3), 1.1) * np.array([0.95, 1, 1.05]) * (0.9 + 0.2 * height)
    horizon = rng.uniform(0.15, 0.45)
    image = sky
    if kind < 0.72:
        for _ in range(int(rng.integers(6, 16))):
            left, width = rng.integers(size), rng.integers(6, 24)
            top = int(size * (horizon + rng.uniform(-0.1, 0.35)))
            tone = rng.uniform(0.25, 0.7) * np.array([0.95, 1, 1.08])
            image[:top, left : left + width] = tone
            image[4:top:6, left + 1 : left + width : 4] *= rng.uniform(0.6, 1.2)
    else:
        leaf = noise(rng, size, 6) + 0.8 * (1 - height[..., 0] / (horizon + 0.35))
        image = np.where(
            leaf[..., None] > 0, np.array([0.18, 0.33, 0.10]) * (1 + 0.6 * noise(rng, size, 6)[..., None]), image
        )
    image[: int(size * horizon * 0.4)] = np.array([0.30, 0.33, 0.28]) * rng.uniform(0.6, 1.3)
    return np.clip(image, 0.02, 3)


def picture(rng, size=64):
    """An abstract poster."""

    def muted():
        gray = rng.uniform(0.08, 0.85)
        return np.clip(gray + rng.uniform(0.05, 0.6) * (rng.uniform(0, 1, 3) - 0.5), 0.03, 0.88)

    image = np.ones((size, size, 3)) * muted()
    for _ in range(int(rng.integers(2, 7))):
        y, x, h, w = rng.integers(0, size, 4)
        image[y : y + h // 2 + 4, x : x + w // 2 + 4] = muted()
    return gaussian_filter(image, (rng.uniform(0.3, 2), rng.uniform(0.3, 2), 0))
