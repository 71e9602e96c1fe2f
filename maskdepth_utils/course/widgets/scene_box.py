"""Sliders on live.py: a composer, a playground and your own photos. Notebooks 01 and 07.

Each function returns a box of plain ipywidgets and shows it; what they are made of is in widget_parts.py.
"""

import dataclasses
import html
import io

import ipywidgets as w
import numpy as np
from PIL import Image, UnidentifiedImageError

from ... import plots
from ...data.library import object_names, room_names
from ...data.shots import LEVELS
from ...inference.align import align as align_pictures
from ...inference.photos import check_sizes, cut_out, read_picture
from .parts import NAME, WIDE, Tiles, assemble, checkbox, dropdown, link, png, reported, slider
from .scene import BREAK_IT, Setup, build, draw_play, draw_scene, play

CAPTIONS = {
    "background": ("Background", "the empty room"),
    "image": ("Image", "the photo with the object"),
    "mask": ("Mask", "the object's pixels, white"),
    "depth": ("Depth", "distance: bright is near, dark is 10 m"),
}
PLAYED = {
    "image": ("Image", "the photo with the object"),
    "background": ("Background", "the empty room"),
    "mask": ("Network's mask", "blue: found, yellow: missed, red: false alarm"),
    "threshold": ("Difference threshold", "blue: found, yellow: missed, red: false alarm"),
    "depth": ("Network's depth", "bright is near, dark is 10 m"),
    "true depth": ("True depth", "bright is near, dark is 10 m"),
    "depth error": ("Depth error", "dark: none, yellow: 2 m or more"),
}

PHOTOS = {
    "photo": ("Photo", "as uploaded"),
    "mask": ("Mask", "the object, tinted"),
    "depth": ("Depth", "bright is near"),
    "cutout": ("Cutout", "the object alone"),
}
OWN = "your own scene"
GROUPS = {
    "Scene": ("room", "object", "yaw", "azimuth", "distance", "flip", "shadow", "gloss"),
    "Gap between the two shots": ("gap", "seed", "light", "noise", "compression", "motion"),
}


def controls(split: str) -> dict:
    """One control for each field of `Setup`, labelled, reachable by the keyboard."""
    objects = [(name.split("_", 2)[2].replace("_", " "), name) for name in object_names(split)]
    doubled = {label for label, _ in objects if [other for other, _ in objects].count(label) > 1}
    objects = [(f"{label} ({name.split('_')[1]})" if label in doubled else label, name) for label, name in objects]
    return {
        "room": dropdown("room", room_names(split)),
        "object": dropdown("object", objects),
        "yaw": slider("view (of 8)", 0, 0, 7, 1),
        "azimuth": slider("left to right, °", 0.0, -28, 28, 0.5),
        "distance": slider("distance, m", 3.0, 1.6, 7.0, 0.05),
        "flip": checkbox("mirrored"),
        "shadow": slider("contact shadow", 1.0, 0, 1, 0.1),
        "gloss": slider("floor mirrors", 0.0, 0, 0.6, 0.05),
        "gap": dropdown("gap", LEVELS, "tripod"),
        "seed": slider("another gap", 0, 0, 20, 1),
        "light": slider("other light ×", 1.0, 0, 4, 0.25),
        "noise": slider("noise ×", 1.0, 0, 8, 0.25),
        "compression": slider("compression ×", 1.0, 0, 2.5, 0.25),
        "motion": slider("motion ×", 1.0, 0, 5, 0.25),
    }


def composer(split: str = "test", **start) -> w.VBox:
    """Choose room, object, place and gap; see background, image, mask and depth, and the metres under a pixel.

    split: whose rooms and objects. start: first values, by the names in `Setup`. Notebooks 01 and 07.
    """
    chosen, tiles, note = controls(split), Tiles(CAPTIONS), w.HTML()
    look = {"column": slider("column", 80, 0, 159, 1), "row": slider("row", 120, 0, 159, 1)}

    def update(change=None):
        with reported(note):
            scene = build(setup_of(chosen))
            pixel = look["column"].value, look["row"].value
            tiles.show(draw_scene(scene, pixel))
            metres = scene.depth[pixel[::-1]]
            what = "the object" if scene.mask[pixel[::-1]] > 0.5 else "the room"
            note.value = f"Under the cross: {what}, <b>{metres:.2f} m</b> away. {html.escape(scene.remark)}"

    groups = GROUPS | {"How far is the pixel under the cross?": tuple(look)}
    return assemble(chosen | look, start, update, [note, tiles.box], tiles, groups)


def playground(predictor, split: str = "test", baseline=None, **start) -> w.VBox:
    """The same scene with the network's prediction, the difference threshold's, and both scores.

    predictor: of `load_pretrained`; baseline: a fitted `DifferenceThreshold`. Choosing one of `live.BREAK_IT` (test
    rooms and objects only) sets all of its controls. Notebook 07.
    """
    chosen, tiles, note = controls(split), Tiles(PLAYED), w.HTML()
    presets = BREAK_IT if split == "test" else {}  # they are made of test rooms and test objects
    extra = {"preset": dropdown("break it", [*presets, OWN])} if presets else {}
    extra["threshold"] = slider("mask above", 0.5, 0.02, 0.98, 0.02)

    def update(change=None):
        if change is not None and change["owner"] is extra.get("preset"):
            if change["new"] in presets and presets[change["new"]] != setup_of(chosen):
                box.set(**dataclasses.asdict(presets[change["new"]]))
            return
        with reported(note):
            setup = setup_of(chosen)
            if presets:  # a slider that was moved makes the scene one's own
                extra["preset"].value = next((name for name, one in presets.items() if one == setup), OWN)
            scene = build(setup)
            played = play(scene, predictor, extra["threshold"].value, baseline)
            tiles.show(draw_play(scene, played))
            scores = " · ".join(f"{name} <b>{value:.3f}</b>" for name, value in played.scores.items())
            note.value = f"{scores}. {html.escape(scene.remark)}"

    if presets:
        name = start.pop("preset", next(iter(presets)))
        if name not in presets:
            raise ValueError(f"preset: expected one of {', '.join(presets)}; found {name!r}")
        start = dataclasses.asdict(presets[name]) | start | {"preset": name}
    groups = {"Try this": tuple(extra)} | GROUPS
    box = assemble(chosen | extra, start, update, [note, tiles.box], tiles, groups)
    return box


def setup_of(controls: dict) -> Setup:
    """The scene that a composer's or playground's `box.controls` show at present, to go on with in code."""
    names = [field.name for field in dataclasses.fields(Setup)]
    return Setup(**{name: controls[name].value for name in names})


def own_photos(predictor, examples: dict | None = None) -> w.VBox:
    """Upload a photo and its empty background: mask, depth, cutout, and links to save them.

    examples: {name: (photo, background)}, paths that are bundled, the first shown at the start.
    """
    named = {
        "example": dropdown("example", ["", *(examples or {})]),
        "photo": w.FileUpload(accept="image/*", description="photo"),
        "background": w.FileUpload(accept="image/*", description="background"),
        "align": checkbox("align the background"),
        "fov": w.BoundedFloatText(60, min=20, max=120, description="field of view, °", style=NAME, layout=WIDE),
        "eye_height": w.BoundedFloatText(1.5, min=0.2, max=5, description="camera height, m", style=NAME, layout=WIDE),
    }
    tiles, note, links = Tiles(PHOTOS), w.HTML(), w.HTML()

    def update(change=None):
        with reported(note):
            if change is not None and change["owner"] in (named["photo"], named["background"]):
                named["example"].value = ""
            if named["example"].value:
                pair = examples[named["example"].value]
            else:
                pair = [uploaded(named[name], name) for name in ("photo", "background")]
            if None in pair:
                note.value = "Choose a photo and a background: the same place from the same spot, without the object."
                return
            note.value, files = use(
                predictor, *pair, **{key: named[key].value for key in ("align", "fov", "eye_height")}
            )
            tiles.show(files)
            links.value = "Save: " + " · ".join(link(name, files[name]) for name in ("mask", "depth in mm", "cutout"))

    start = {"example": next(iter(examples))} if examples else {}
    box = assemble(named, start, update, [note, tiles.box, links], tiles)
    box.links = links
    return box


def use(predictor, photo, background, align: bool, fov: float, eye_height: float) -> tuple[str, dict[str, bytes]]:
    """Predict for two pictures: what to say, and PNG files. Raises as `Predictor.predict`."""
    photo, background = read_picture(photo, "photo"), read_picture(background, "background")
    check_sizes(photo, background)
    words = []
    if align:
        aligned = align_pictures(photo, background)
        background = aligned.background
        words.append(aligned.reason)
    mask, depth = predictor.predict(photo, background, fov, eye_height)
    found = mask > 0.5
    words.append(f"The object covers {found.mean():.1%} of the picture")
    words[-1] += f" and is about {np.median(depth[found]):.1f} m away." if found.any() else ": nothing found."
    files = {
        "photo": png(photo), "mask": png(np.uint8(plots.overlay(photo, mask) * 255)),
        "depth": png(plots.color_depth(depth)), "cutout": png(cut_out(photo, mask)),
        "depth in mm": png(np.uint16(np.clip(np.rint(depth * 1000), 0, 65535))),
    }  # fmt: skip
    return " ".join(words), files


def uploaded(upload: w.FileUpload, name: str):
    """What a FileUpload holds as a Pillow image, or None. Its value is a dict in ipywidgets 7, a tuple in 8."""
    files = list(upload.value.values() if isinstance(upload.value, dict) else upload.value)
    if not files:
        return None
    try:
        picture = Image.open(io.BytesIO(bytes(files[-1]["content"])))
        picture.load()
        return picture
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: this file is no picture that can be read ({error})") from None
