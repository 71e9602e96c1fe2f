"""The parts of the course's widgets: controls, captioned pictures, and a still picture of the whole.

While a slider moves, the browser sends its next value only when the last one has been answered, so values in between
are dropped instead of queuing up.
"""

import base64
import contextlib
import dataclasses
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
    """A slider for whole numbers if the step is a whole number, otherwise for decimals."""
    kind = w.IntSlider if isinstance(step, int) else w.FloatSlider
    return kind(value, min=low, max=high, step=step, description=label, **CONTROL)


def dropdown(label: str, options, index: int = 0) -> w.Dropdown:
    """A list of values, or of (words, value) pairs, and the index of the chosen one."""
    return w.Dropdown(options=list(options), index=index, description=label, **CONTROL)


def checkbox(label: str) -> w.Checkbox:
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

    def show(self, pictures: Mapping[str, np.ndarray]) -> None:
        """Show these pictures, and none for the other names; only those that changed are sent to the page."""
        for name, image in self.images.items():
            image.value = to_png(enlarge(pictures[name])) if name in pictures else b""


def still_picture(tiles: Tiles) -> bytes:
    """The first four tiles side by side with their titles, as a PNG file."""
    shown = [(tiles.titles[name], image.value) for name, image in tiles.images.items() if image.value][:4]
    with plots.panels(1, max(1, len(shown)), width=9.6) as (figure, axes):
        for axis, (title, value) in zip(axes[0], shown):
            plots.draw_picture(axis, np.asarray(Image.open(io.BytesIO(value))), title)
    return plots.to_png(figure, dpi=80)


def assemble(
    controls: dict[str, w.Widget], update: Callable[[], str], tiles: Tiles, below: list | None = None, *,
    start: dict | None = None, follow: Callable = lambda changed: None, groups: Mapping | None = None, above: int = 1,
    draw_still: Callable = still_picture,
) -> w.VBox:  # fmt: skip
    """Set the start values, connect the controls, draw once, and show the widget.

    Args:
        controls: The controls by name; `box.set(name=value, ...)` sets several, and draws once.
        update: Called after every change; draws, and returns a comment as HTML. Its errors become messages.
        tiles: The pictures.
        below: What is shown below the first groups of controls and the comment; by default the tiles.
        start: The values to start with.
        follow: Called before `update` with the names of the controls that were set; may set others.
        groups: {title: names of controls}; by default all are in one group.
        above: How many groups are above the pictures; the others are below them.
        draw_still: Called with `tiles`; returns the PNG file for readers without a kernel.
    """
    box, note = w.VBox(), w.HTML()
    box.controls, box.tiles, box.note = controls, tiles, note
    is_setting = False  # while controls are set by code, their events are ignored

    def set_controls(**values):
        nonlocal is_setting
        if unknown := set(values) - set(controls):
            raise ValueError(f"unknown settings {', '.join(sorted(unknown))}: expected some of {', '.join(controls)}")
        is_setting = True
        try:
            for name in filter(values.__contains__, controls):
                set_control(name, controls[name], values[name])
            follow(set(values))
        finally:
            is_setting = False
        try:
            note.value = update()
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            note.value = f"<b>{type(error).__name__}</b>: {html.escape(str(error))}"

    def react(name: str, value):
        if not is_setting:
            set_controls(**{name: value})

    for name, control in controls.items():
        control.observe(lambda change, name=name: react(name, change["new"]), names="value")
    box.set = set_controls
    box.set(**start or {})
    boxes = []
    for title, names in (groups or {"": controls}).items():
        heading = [w.HTML(f"<b>{html.escape(title)}</b>")] if title else []
        boxes.append(w.VBox([*heading, w.Box([controls[name] for name in names], layout=w.Layout(**WRAP))]))
    box.children = [*boxes[:above], note, *(below or [tiles.box]), *boxes[above:]]
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    still = base64.b64encode(draw_still(tiles)).decode()  # for GitHub, a web page, papermill's copy
    data = {"application/vnd.jupyter.widget-view+json": view, "image/png": still}
    display(data | {"text/plain": "an interactive widget; run the cell to use it"}, raw=True)
    return box


def read_settings(kind: type, controls: dict[str, w.Widget]):
    """A dataclass with the values of the controls named like its fields; a slider's 0.30000000000000004 is 0.3."""
    values = {field.name: controls[field.name].value for field in dataclasses.fields(kind)}
    return kind(**{name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()})


def follow_preset(controls: dict[str, w.Widget], changed: set[str], presets: Mapping, own: str) -> None:
    """Set the controls of a newly chosen preset, or show the preset that the controls match, or `own` if none does.

    `presets` are dataclasses whose fields have controls of the same names.
    """
    preset = controls["preset"]
    if "preset" in changed and preset.value in presets:
        for name, value in vars(presets[preset.value]).items():
            if name not in changed:
                controls[name].value = value
    current = read_settings(type(next(iter(presets.values()))), controls)
    preset.value = next((name for name, one in presets.items() if one == current), own)


def set_control(name: str, control: w.Widget, value) -> None:
    """Set a control's value. Raises ValueError if the control does not allow it."""
    with contextlib.suppress(TraitError):  # from a list; a slider takes its nearest possible value
        control.value = value
    if control.value != value:
        is_list = hasattr(control, "options")
        known = f"one of {', '.join(map(str, control.options))}" if is_list else f"{control.min:g} to {control.max:g}"
        raise ValueError(f"{name}: expected {known}; found {value!r}")


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
