"""Contact sheets to look at: python contact_sheets.py rooms|objects|scenes [--data DIR] [-o DIR]."""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

DATA = Path(__file__).resolve().parents[1]


def tile(images, columns, size, background=(128, 150, 128)):
    """Paste images (fitted into size x size) into a grid."""
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * size, rows * size), background)
    for k, image in enumerate(images):
        image = image.convert("RGBA")
        image.thumbnail((size, size))
        sheet.paste(image, (k % columns * size, k // columns * size), image)
    return sheet


def depth_picture(path):
    depth = np.array(Image.open(path)).astype(float) / 1000
    return Image.fromarray(np.uint8(255 * np.clip(depth / 10, 0, 1)))


def rooms(folder):
    names = [p.stem for p in sorted(folder.glob("*.webp"))]
    for start in range(0, len(names), 60):
        part = names[start : start + 60]
        yield f"rooms_{start:03d}", tile([Image.open(folder / f"{n}.webp") for n in part], 10, 160)
    yield "rooms_depth", tile([depth_picture(folder / f"{n}_depth.png") for n in names[:60]], 10, 160)


def objects(folder):
    entries = json.loads((folder / "objects.json").read_text())["objects"]
    cells = []
    for entry in entries:
        sheet = Image.open(folder / f"{entry['name']}_color.webp")
        f = entry["distances"][0]["frame"]
        cells += [sheet.crop((k * f["width"], 0, (k + 1) * f["width"], f["height"])) for k in range(8)]
    for start in range(0, len(cells), 8 * 24):
        yield f"objects_{start // 8:03d}", tile(cells[start : start + 8 * 24], 16, 100)


def scenes(folder):
    names = [e["name"] for e in json.loads((folder / "scenes.json").read_text())["scenes"]]
    for start in range(0, len(names), 25):
        cells = []
        for n in names[start : start + 25]:
            cells += [Image.open(folder / f"{n}{end}") for end in (".webp", "_background.webp", "_mask.png")]
            cells.append(depth_picture(folder / f"{n}_depth.png"))
        yield f"scenes_{start:03d}", tile(cells, 12, 130)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["rooms", "objects", "scenes"])
    parser.add_argument("--data", default=None)
    parser.add_argument("-o", "--out", default=str(DATA.parent / "build" / "sheets"))
    args = parser.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    for name, sheet in globals()[args.what](Path(args.data or DATA / args.what)):
        sheet.save(Path(args.out) / f"{name}.png")
        print(Path(args.out) / f"{name}.png")


if __name__ == "__main__":
    main()
