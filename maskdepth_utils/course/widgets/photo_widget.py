"""Upload your own photo and its background, and see what the network finds: the last widget of notebook 07."""

import base64

import ipywidgets as w
import numpy as np

from ... import plots
from ...inference.align import align as align_pictures
from ...inference.photos import cut_out, read_picture, shrink_array
from .parts import CONTROL, TILE, Tiles, assemble, checkbox, dropdown, to_png

CAPTIONS = {
    "photo": ("Photo", "as uploaded"),
    "mask": ("Mask", "the object is tinted"),
    "depth": ("Depth", "bright is near"),
    "cutout": ("Cutout", "the object alone"),
}
CHOOSE = """Choose a photo and a background: the same place from the same spot, without the object. If a
file does not arrive, it is larger than the server accepts: 10 MB, or 100 MB with <code>make lab</code> or <code>make
app</code>."""


def own_photos(predictor, examples: dict | None = None) -> w.VBox:
    """Upload a photo and its empty background; see mask, depth and cutout, and save them.

    Args:
        predictor: What `load_pretrained` returns.
        examples: {name: (path of a photo, path of its background)} to choose from; the first is shown at the start.
    """
    examples = examples or {}
    controls = {
        "example": dropdown("example", ["", *examples]),
        "photo": w.FileUpload(accept="image/*", description="photo"),
        "background": w.FileUpload(accept="image/*", description="background"),
        "align": checkbox("align the background"),
        "fov": w.BoundedFloatText(60, min=20, max=120, description="field of view, °", **CONTROL),
        "eye_height": w.BoundedFloatText(1.5, min=0.2, max=5, description="camera height, m", **CONTROL),
    }
    tiles = Tiles(CAPTIONS)
    links = w.HTML()

    def follow(changed):
        if changed & {"photo", "background"}:
            controls["example"].value = ""

    def update():
        pictures = {}
        try:
            if controls["example"].value:
                pair = examples[controls["example"].value]
            else:
                pair = [read_upload(controls[name], name) for name in ("photo", "background")]
            missing = [name for name, picture in zip(("photo", "background"), pair) if picture is None]
            if missing:
                words = f"{CHOOSE} Still missing: {' and '.join(missing)}."
            else:
                options = {name: controls[name].value for name in ("align", "fov", "eye_height")}
                words, pictures = predict_photo(predictor, *pair, **options)
        finally:  # an error must not stand beside pictures of another pair
            tiles.show({name: shrink_array(picture, 2 * TILE) for name, picture in pictures.items()})
            saved = [link_to(name, pictures[name]) for name in ("mask", "depth in mm", "cutout") if pictures]
            links.value = f"Save: {' · '.join(saved)}" if saved else ""
        return words

    start = {"example": next(iter(examples))} if examples else {}
    box = assemble(controls, update, tiles, [tiles.box, links], start=start, follow=follow)
    box.links = links
    return box


def predict_photo(predictor, photo, background, align: bool, fov: float, eye_height: float) -> tuple[str, dict]:
    """Predict a photo's mask and depth; return a comment and the pictures. Raises the errors of `Predictor.predict`."""
    photo = read_picture(photo, "photo")
    background = read_picture(background, "background")
    words = ""
    if align:
        aligned = align_pictures(photo, background)
        background, words = aligned.background, f"{aligned.reason} "
    prediction = predictor.predict(photo, background, fov, eye_height)
    words += f"<b>Warning</b>: {prediction.warning} " if prediction.warning else ""
    mask, depth = prediction
    found = mask > 0.5
    where = f" and is about {np.median(depth[found]):.1f} m away." if found.any() else ": nothing found."
    pictures = {
        "photo": photo,
        "mask": np.uint8(plots.overlay(photo, mask) * 255),
        "depth": plots.color_depth(depth),
        "cutout": cut_out(photo, mask),
        "depth in mm": np.uint16(np.rint(depth * 1000).clip(0, 65535)),
    }
    return f"{words}The object covers {found.mean():.1%} of the picture{where}", pictures


def read_upload(upload: w.FileUpload, name: str) -> np.ndarray | None:
    """The uploaded picture, if any. The value of a FileUpload is a dict in ipywidgets 7 and a tuple in 8."""
    value = upload.value
    files = [{"name": key} | file for key, file in value.items()] if isinstance(value, dict) else value
    return read_picture(bytes(files[-1]["content"]), f"{name}: {files[-1]['name']}") if files else None


def link_to(name: str, picture: np.ndarray) -> str:
    """An HTML link that saves a picture as a PNG file."""
    address = f"data:image/png;base64,{base64.b64encode(to_png(picture)).decode()}"
    return f'<a style="text-decoration:underline" download="{name.replace(" ", "_")}.png" href="{address}">{name}</a>'
