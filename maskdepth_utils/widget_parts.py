"""What every widget of the course is made of: tiles, an error in words, a still picture for where no kernel runs.

Each widget is a box of plain ipywidgets, shown together with a still picture, for readers without a kernel. While a
slider moves, the browser sends its next value only when the last one has been answered, so values in between are
dropped and never queue up.
"""

import base64
import html
import io

import ipywidgets as w
import numpy as np
from IPython.display import display
from PIL import Image


class Tiles:
    """Pictures with captions that wrap to the page's width."""

    def __init__(self, captions: dict):
        self.images = {name: w.Image(format="png", layout=w.Layout(width="100%")) for name in captions}
        boxes = []
        for name, image in self.images.items():
            title, text = captions[name]
            image.alt = f"{title}: {text}"  # ignored by versions of ipywidgets that do not know it
            caption = w.HTML(f"<b>{html.escape(title)}</b><br><small>{html.escape(text)}</small>")
            boxes.append(w.VBox([image, caption], layout=w.Layout(width="220px", margin="4px")))
        self.box = w.Box(boxes, layout=w.Layout(flex_flow="row wrap"))

    def show(self, pictures: dict[str, bytes]) -> None:
        """Set the pictures that there are; one message each, no drawing here."""
        for name, image in self.images.items():
            if image.value != pictures[name]:
                image.value = pictures[name]


def grouped(items) -> w.Box:
    return w.Box(list(items), layout=w.Layout(flex_flow="row wrap"))


class reported:
    """A context: an error becomes words in `place`, and the widget goes on."""

    def __init__(self, place: w.HTML):
        self.place = place

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, (ValueError, OSError, RuntimeError)):
            self.place.value = f"<b>{html.escape(kind.__name__)}</b>: {html.escape(str(error))}"
            return True


def assemble(named: dict, start: dict, update, below: list, tiles: Tiles) -> w.VBox:
    """Set the start values, connect, draw once, and show. named: the controls, kept as `box.controls` for tests."""
    unknown = set(start) - set(named)
    if unknown:
        raise ValueError(f"unknown settings {', '.join(sorted(unknown))}: expected some of {', '.join(named)}")
    for name, value in start.items():
        named[name].value = value
    for control in named.values():
        control.observe(update, names="value")
    update()
    box = w.VBox([grouped(named.values()), *below])
    box.controls, box.tiles = named, tiles
    present(box, still(tiles))
    return box


def still(tiles: Tiles, width: int = 240) -> bytes:
    """The first four tiles side by side, for where no widget can be."""
    pictures = [Image.open(io.BytesIO(image.value)).convert("RGBA") for image in tiles.images.values() if image.value]
    pictures = [picture.resize((width, width * picture.height // picture.width)) for picture in pictures[:4]]
    page = Image.new(
        "RGB", (len(pictures) * (width + 8) + 1, max((p.height for p in pictures), default=0) + 1), "white"
    )
    for number, picture in enumerate(pictures):
        page.paste(picture, (number * (width + 8), 0), picture)
    return png(np.asarray(page))


def present(box: w.DOMWidget, png: bytes) -> None:
    """Show a widget, or where none can be shown (GitHub, a page, papermill's copy) the picture."""
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    data = {"application/vnd.jupyter.widget-view+json": view, "image/png": base64.b64encode(png).decode()}
    display(data | {"text/plain": "an interactive widget; run the cell to use it"}, raw=True)


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def link(name: str, content: bytes) -> str:
    """A link that saves a file without a server."""
    data = base64.b64encode(content).decode()
    return f'<a download="{name.replace(" ", "_")}.png" href="data:image/png;base64,{data}">{name}</a>'
