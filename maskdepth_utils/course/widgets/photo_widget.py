"""Upload your own photo and its background, and see what the network finds: the last widget of notebook 07."""

import base64
import io

import ipywidgets as w
import numpy as np
from PIL import Image, UnidentifiedImageError

from ... import plots
from ...inference.align import align as align_pictures
from ...inference.photos import check_sizes, cut_out, read_picture
from .parts import CONTROL, Tiles, assemble, checkbox, dropdown, to_png

CAPTIONS = {
    "photo": ("Photo", "as uploaded"),
    "mask": ("Mask", "the object is tinted"),
    "depth": ("Depth", "bright is near"),
    "cutout": ("Cutout", "the object alone"),
}


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
        if controls["example"].value:
            pair = examples[controls["example"].value]
        else:
            pair = [read_upload(controls[name], name) for name in ("photo", "background")]
        if None in pair:
            return "Choose a photo and a background: the same place from the same spot, without the object."
        options = {name: controls[name].value for name in ("align", "fov", "eye_height")}
        words, pictures = predict_photo(predictor, *pair, **options)
        tiles.show(pictures)
        links.value = "Save: " + " · ".join(link_to(name, pictures[name]) for name in ("mask", "depth in mm", "cutout"))
        return words

    start = {"example": next(iter(examples))} if examples else {}
    box = assemble(controls, update, tiles, [tiles.box, links], start=start, follow=follow)
    box.links = links
    return box


def predict_photo(predictor, photo, background, align: bool, fov: float, eye_height: float) -> tuple[str, dict]:
    """Predict a photo; returns a comment and the pictures. Raises the errors of `Predictor.predict`."""
    photo = read_picture(photo, "photo")
    background = read_picture(background, "background")
    check_sizes(photo, background)
    words = ""
    if align:
        aligned = align_pictures(photo, background)
        background, words = aligned.background, f"{aligned.reason} "
    mask, depth = predictor.predict(photo, background, fov, eye_height)
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


def read_upload(upload: w.FileUpload, name: str) -> Image.Image | None:
    """The picture that was uploaded, if any. The value of a FileUpload is a dict in ipywidgets 7, a tuple in 8."""
    files = list(upload.value.values() if isinstance(upload.value, dict) else upload.value)
    if not files:
        return None
    try:
        picture = Image.open(io.BytesIO(bytes(files[-1]["content"])))
        picture.load()
        return picture
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: this file is not a readable picture ({error})") from None


def link_to(name: str, picture: np.ndarray) -> str:
    """An HTML link that saves a picture as a PNG file."""
    address = f"data:image/png;base64,{base64.b64encode(to_png(picture)).decode()}"
    return f'<a style="text-decoration:underline" download="{name.replace(" ", "_")}.png" href="{address}">{name}</a>'
