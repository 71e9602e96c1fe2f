"""What every widget of the course is made of: controls, captioned pictures, and a still picture of it all.

While a slider moves, the browser sends its next value only when the last one has been answered, so values in between
are dropped and never queue up.
"""

import base64
import contextlib
import html
import io
from collections.abc import Callable, Mapping

import ipywidgets as w
import numpy as np
from IPython.display import display
from PIL import Image
from traitlets import TraitError, Unicode

from ... import plots

TILE = 320  # pixels: twice a sample's picture, so that single pixels can be seen
CONTROL = {"style": {"description_width": "105px"}, "layout": {"width": "265px"}}
WRAP = {"flex_flow": "row wrap"}


def slider(label: str, value, low, high, step) -> w.Widget:
    """A slider for whole numbers if its step is one, otherwise for decimals."""
    kind = w.IntSlider if isinstance(step, int) else w.FloatSlider
    return kind(value, min=low, max=high, step=step, description=label, **CONTROL)


def dropdown(label: str, options, value=None) -> w.Dropdown:
    """A list of values, or of (words, value) pairs; unless a value is given, the first is chosen."""
    options = list(options)
    first = options[0][1] if isinstance(options[0], tuple) else options[0]
    return w.Dropdown(options=options, value=value or first, description=label, **CONTROL)


def checkbox(label: str) -> w.Checkbox:
    """A box that is not ticked."""
    return w.Checkbox(False, description=label, **CONTROL)


class Picture(w.Image):
    """A PNG image whose tooltip screen readers read.

    ipywidgets 8 shows it only for a widget that has a description, which an Image lacks; version 7 ignores both.
    """

    description = Unicode("").tag(sync=True)
    tooltip = Unicode("").tag(sync=True)

    def __init__(self, words: str, **layout):
        super().__init__(format="png", tooltip=words, layout=w.Layout(**layout))


class Tiles:
    """Pictures with captions {name: (title, explanation)}, in rows that wrap to the page's width."""

    def __init__(self, captions: Mapping[str, tuple[str, str]]):
        self.titles = {name: title for name, (title, _) in captions.items()}
        self.images = {name: Picture(": ".join(words), width="100%") for name, words in captions.items()}
        boxes = []
        for name, image in self.images.items():
            title, text = map(html.escape, captions[name])
            caption = w.HTML(f'<div style="line-height:1.3"><b>{title}</b><br><small>{text}</small></div>')
            boxes.append(w.VBox([image, caption], layout=w.Layout(width="195px", margin="4px")))
        self.box = w.Box(boxes, layout=w.Layout(**WRAP))

    def show(self, pictures: Mapping[str, bytes]) -> None:
        """Show these PNG files; only those that changed are sent to the page."""
        for name, image in self.images.items():
            if image.value != pictures[name]:
                image.value = pictures[name]


@contextlib.contextmanager
def errors_shown_in(place: w.HTML):
    """Turn an error into words in `place`, so that the widget goes on working."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        place.value = f"<b>{type(error).__name__}</b>: {html.escape(str(error))}"


def still_picture(tiles: Tiles, count: int = 4) -> bytes:
    """The first tiles side by side with their titles, as a PNG file."""
    shown = [(name, image.value) for name, image in tiles.images.items() if image.value][:count]
    with plots.panels(1, max(1, len(shown)), width=9.6) as (figure, axes):
        for axis, (name, value) in zip(axes[0], shown, strict=False):
            picture = Image.open(io.BytesIO(value)).convert("RGBA")
            paper = Image.new("RGBA", picture.size, "white")  # a cutout lies on the page, as in a browser
            picture = np.asarray(Image.alpha_composite(paper, picture).convert("RGB"))
            plots.draw_picture(axis, picture, tiles.titles[name])
    return plots.to_png(figure, dpi=80)


def assemble(
    controls: dict[str, w.Widget], start: dict, update: Callable, below: list, tiles: Tiles, *,
    follow: Callable = lambda changed: None, groups: Mapping | None = None, above: int = 1,
    draw_still: Callable = still_picture,
) -> w.VBox:  # fmt: skip
    """Set the start values, connect the controls, draw once, and show the widget.

    Args:
        controls: The controls by name, kept as `box.controls`; `box.set(name=value, ...)` sets several, and draws once.
        start: The values to start with, by the controls' names.
        update: Draws; called without arguments after every change.
        below: What stands below the first groups of controls.
        tiles: The pictures, kept as `box.tiles`.
        follow: Called before `update` with the names of the controls that were set; may set others.
        groups: {title: names of controls}; by default all are in one group.
        above: How many groups stand above the pictures; the others stand below them.
        draw_still: Called with `tiles`; returns the PNG file for readers without a kernel.
    """
    box = w.VBox()
    box.controls, box.tiles = controls, tiles
    is_setting = False  # while controls are set by code, their events are ignored

    def set_controls(**values):
        nonlocal is_setting
        if unknown := set(values) - set(controls):
            raise ValueError(f"unknown settings {', '.join(sorted(unknown))}: expected some of {', '.join(controls)}")
        is_setting = True
        try:
            for name in filter(values.__contains__, controls):
                set_control(name, controls[name], values[name])
        finally:
            is_setting = False
        react(set(values))

    def react(changed: set[str]):
        nonlocal is_setting
        if is_setting:
            return
        is_setting = True
        try:
            follow(changed)
        finally:
            is_setting = False
        update()

    for name, control in controls.items():
        control.observe(lambda change, name=name: react({name}), names="value")
    box.set = set_controls
    box.set(**start)
    boxes = []
    for title, names in (groups or {"": controls}).items():
        heading = [w.HTML(f"<b>{html.escape(title)}</b>")] if title else []
        boxes.append(w.VBox([*heading, w.Box([controls[name] for name in names], layout=w.Layout(**WRAP))]))
    box.children = [*boxes[:above], *below, *boxes[above:]]
    show(box, draw_still(tiles))
    return box


def set_control(name: str, control: w.Widget, value) -> None:
    """Set a control's value. Raises ValueError if it cannot have this value."""
    with contextlib.suppress(TraitError):  # of a list; a slider takes the nearest value that it can have
        control.value = value
    if control.value != value:
        is_list = hasattr(control, "options")
        known = f"one of {', '.join(map(str, control.options))}" if is_list else f"{control.min:g} to {control.max:g}"
        raise ValueError(f"{name}: expected {known}; found {value!r}")


def show(box: w.DOMWidget, still: bytes) -> None:
    """Show a widget, or its still picture where no widget can be shown (GitHub, a web page, papermill's copy)."""
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    data = {"application/vnd.jupyter.widget-view+json": view, "image/png": base64.b64encode(still).decode()}
    display(data | {"text/plain": "an interactive widget; run the cell to use it"}, raw=True)


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as uint8, rounded."""
    return np.uint8(np.clip(picture, 0, 1) * 255 + 0.5)


def to_gray(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) in [0, 1] as a gray picture, uint8 (H, W, 3)."""
    return np.repeat(to_bytes(mask)[..., None], 3, axis=2)


def enlarge(picture: np.ndarray) -> np.ndarray:
    """Repeat pixels, without blending them, until the longer side has at least `TILE`."""
    factor = -(-TILE // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def to_png(picture: np.ndarray) -> bytes:
    """A picture, uint8 or uint16, as the bytes of a PNG file, compressed quickly."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
