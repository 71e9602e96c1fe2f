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
from traitlets import Unicode

from ... import plots

NAME, WIDE = {"description_width": "105px"}, {"width": "265px"}  # of a control's label, and of all of it


def slider(label: str, value, low, high, step):
    """A slider for whole numbers or others, as its step is."""
    kind = w.IntSlider if isinstance(step, int) else w.FloatSlider
    return kind(value, min=low, max=high, step=step, description=label, style=NAME, layout=WIDE)


def dropdown(label: str, options, value=None):
    """A list to choose from; options: values, or (words, value) pairs. The first is chosen, if no other is named."""
    options = list(options)
    first = options[0][1] if isinstance(options[0], tuple) else options[0]
    return w.Dropdown(options=options, value=value or first, description=label, style=NAME, layout=WIDE)


def checkbox(label: str):
    """An empty box to tick."""
    return w.Checkbox(False, description=label, style=NAME, layout=WIDE)


class Picture(w.Image):
    """A PNG image and, in `tooltip`, words for a reader who does not see it.

    The page shows them as the picture's title, which a screen reader reads. The core's Image has no alternative text,
    and ipywidgets 8 sets the title only for a widget that has a description too. In version 7, which knows neither for
    an Image, the caption below has to do.
    """

    description, tooltip = Unicode("").tag(sync=True), Unicode("").tag(sync=True)

    def __init__(self, words: str, **layout):
        super().__init__(format="png", tooltip=words, layout=w.Layout(**layout))


class Tiles:
    """Pictures with captions that wrap to the page's width."""

    def __init__(self, captions: dict):
        self.captions = captions
        self.images = {name: Picture(": ".join(words), width="100%") for name, words in captions.items()}
        boxes = []
        for name, image in self.images.items():
            title, text = captions[name]
            caption = w.HTML(
                f'<div style="line-height:1.3"><b>{html.escape(title)}</b><br><small>{html.escape(text)}</small></div>'
            )
            boxes.append(w.VBox([image, caption], layout=w.Layout(width="195px", margin="4px")))
        self.box = w.Box(boxes, layout=w.Layout(flex_flow="row wrap"))

    def show(self, pictures: dict[str, bytes]) -> None:
        """Set the pictures that there are; one message each, no drawing here."""
        for name, image in self.images.items():
            if image.value != pictures[name]:
                image.value = pictures[name]


def grouped(title: str, items) -> w.VBox:
    """Controls that wrap to the page's width, under a title."""
    box = w.Box(list(items), layout=w.Layout(flex_flow="row wrap"))
    return w.VBox([w.HTML(f"<b>{html.escape(title)}</b>"), box] if title else [box])


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


def still(tiles: Tiles, count: int = 4) -> bytes:
    """The first tiles side by side with their titles, for where no widget can be: a PNG file."""
    shown = [(name, image.value) for name, image in tiles.images.items() if image.value][:count]
    with plots.panels(1, max(1, len(shown)), width=9.6) as (figure, axes):
        for axis, (name, value) in zip(axes[0], shown, strict=False):
            picture = Image.open(io.BytesIO(value)).convert("RGBA")
            paper = Image.new("RGBA", picture.size, "white")  # a cutout lies on the page, as in a browser
            picture = np.asarray(Image.alpha_composite(paper, picture).convert("RGB"))
            plots.draw_picture(axis, picture, tiles.captions[name][0])
    return plots.to_png(figure, dpi=80)


def assemble(
    named: dict, start: dict, update, below: list, tiles: Tiles, groups=None, above: int = 1, picture=still
) -> w.VBox:
    """Set the start values, connect, draw once, and show.

    named: the controls, kept as `box.controls`; groups: {title: names of controls}, all in one group if not given;
    above: how many groups stand above the pictures, the others below them. picture(tiles) is the still one, PNG bytes,
    for where no widget can be. `box.set(name=value, ...)` moves several controls at once and draws once.
    """
    box = w.VBox()
    box.controls, box.tiles, moving = named, tiles, []

    def changed(change=None):
        if not moving:
            update(change)

    def set_values(**values):
        unknown = set(values) - set(named)
        if unknown:
            raise ValueError(f"unknown settings {', '.join(sorted(unknown))}: expected some of {', '.join(named)}")
        moving.append(True)
        try:
            for name, value in values.items():
                named[name].value = value
        finally:
            moving.pop()
        changed()

    for control in named.values():
        control.observe(changed, names="value")
    box.set = set_values
    box.set(**start)
    boxes = [grouped(title, [named[name] for name in names]) for title, names in (groups or {"": named}).items()]
    box.children = [*boxes[:above], *below, *boxes[above:]]
    present(box, picture(tiles))
    return box


def present(box: w.DOMWidget, png: bytes) -> None:
    """Show a widget, or where none can be shown (GitHub, a page, papermill's copy) the picture."""
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    data = {"application/vnd.jupyter.widget-view+json": view, "image/png": base64.b64encode(png).decode()}
    display(data | {"text/plain": "an interactive widget; run the cell to use it"}, raw=True)


def png(picture: np.ndarray) -> bytes:
    """A picture, uint8 or uint16, as the bytes of a PNG file; quick, not small."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def link(name: str, content: bytes) -> str:
    """A link that saves a file without a server."""
    data, file = base64.b64encode(content).decode(), name.replace(" ", "_")
    style = "text-decoration:underline"
    return f'<a style="{style}" download="{file}.png" href="data:image/png;base64,{data}">{name}</a>'
