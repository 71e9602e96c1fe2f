"""The drawings are correct, with the numbers of the networks and the data, and they can be read."""

import io
import itertools
import math
import re

import draw
import geometry_drawings
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from network_drawings import TABLE, skip_parts
from PIL import Image
from torch import nn

from maskdepth_utils import load_pretrained, losses, plots
from maskdepth_utils.course.design import deepest_field
from maskdepth_utils.data import MaskDepthDataset
from maskdepth_utils.models.blocks import Encoder


def drawn_texts(figure):
    """{number and text: (its box in pixels, points)} of the texts that are really drawn: not an axis' hidden ones."""
    found = {}

    def draw(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            found[f"{len(found)} {self.get_text()}"] = self.get_window_extent(renderer), self.get_fontsize()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", draw)
        FigureCanvasAgg(figure).draw()
    return found


def words(figure):
    return [name.split(" ", 1)[1] for name in drawn_texts(figure)]


@pytest.fixture(scope="module")
def stored():
    """The drawings in the notebooks, as {name: picture}."""
    return {name: Image.open(io.BytesIO(file)).convert("RGB") for name, file in draw.stored_drawings()}


@pytest.mark.parametrize("name", draw.DRAWINGS)
def test_a_drawing_can_be_read_and_a_notebook_shows_it(name, stored):
    """On an opaque white card of 700 px no text is below 9 points, cut off, or on another one."""
    figure = draw.DRAWINGS[name]()
    width, height = figure.get_size_inches() * figure.dpi
    assert width == pytest.approx(700) and height <= 720
    texts = drawn_texts(figure)
    assert len(texts) >= 8
    for text, (box, points) in texts.items():
        assert points >= 9, text
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, f"{text!r} leaves the card"
    for (one, (a, _)), (other, (b, _)) in itertools.combinations(texts.items(), 2):
        assert not a.overlaps(b), f"{one!r} and {other!r} overlap"

    card = np.asarray(Image.open(io.BytesIO(plots.to_png(figure, dpi=100))).convert("RGBA"))
    assert card.shape[1] == 700 and (card[..., 3] == 255).all()
    assert (card[[0, 0, -1, -1], [0, -1, 0, -1], :3] == 255).all()
    # Not bit for bit: another version of matplotlib draws its letters a little differently.
    assert stored[name].size == card.shape[1::-1], "run notebooks/drawings/draw.py"
    assert abs(np.float32(stored[name]) - card[..., :3]).mean() < 2, "run notebooks/drawings/draw.py"


def test_a_skip_is_that_of_the_shipped_network():
    """The two parts add up to what the block convolves."""
    model, entered = load_pretrained(device="cpu").model, []
    block = model.branches["mask"].ups[2]
    hook = block.side.register_forward_pre_hook(lambda module, inputs: entered.append(inputs[0][0]))
    below, lateral, _ = skip_parts(model, MaskDepthDataset("val", gap="none")[TABLE])
    hook.remove()
    torch.testing.assert_close(below + lateral, entered[-1])


def test_the_fields_are_where_they_are_drawn():
    """An encoder that passes everything on: its gradient fills exactly the squares of the drawing."""
    encoder = Encoder("7x7", [2, 2, 2, 2]).eval()
    encoder.maxpool = nn.AvgPool2d(3, stride=2, padding=1)  # of a maximum only one pixel has a gradient
    for parameter in encoder.parameters():
        if parameter.dim() == 4:
            nn.init.constant_(parameter, 1 / parameter[0].numel())
    picture = torch.ones(1, 6, 160, 160).requires_grad_()
    stages = encoder(picture)
    figure = draw.receptive_field()
    squares = {patch.get_width(): patch for axis in figure.axes for patch in axis.patches}
    for number, (stage, step) in enumerate(zip(stages, (2, 4, 8, 16, 32)), start=1):
        field = deepest_field(number)
        assert any(text.endswith(f": {field} px") for text in words(figure))
        (gradient,) = torch.autograd.grad(stage[0, 0, 96 // step, 96 // step], picture, retain_graph=True)
        rows, columns = gradient[0].abs().sum(0).nonzero().T
        left, top = squares[field].get_xy()
        assert (columns.min(), rows.min()) == (max(0, left + 0.5), max(0, top + 0.5))
        assert (columns.max(), rows.max()) == (min(159, left + field - 0.5), min(159, top + field - 0.5))


def test_the_written_ssim_is_that_of_the_losses():
    figure = draw.ssim_window()
    a, b = (torch.tensor(axis.images[0].get_array())[None, None] for axis in figure.axes[1:5:2])
    (corner,) = {patch.get_xy() for axis in figure.axes for patch in axis.patches}
    column, row = (round(value + 0.5) for value in corner)  # the window's first pixel, and the map's value there
    value = losses.ssim_map(a, b)[0, 0, row, column].item()
    found = dict(itertools.pairwise(words(figure)))
    assert float(found["= SSIM"]) == pytest.approx(value, abs=0.006)
    assert float(found["level"]) * float(found["× structure"]) == pytest.approx(value, abs=0.01)
    assert torch.equal(b[..., 2:], a[..., :-2])


def test_sobels_arithmetic():
    figure = draw.sobel_edge()
    texts = [text.replace("\N{MINUS SIGN}", "-") for text in words(figure)]
    patch = np.array([float(text) for text in texts if re.fullmatch(r"\d\.\d\d", text)]).reshape(3, 3)
    answer = next(float(text[1:]) for text in texts if text.startswith("= "))
    first = next(number for number, text in enumerate(texts) if text == "-1")
    kernel = np.array([int(text) for text in texts[first : first + 9]]).reshape(3, 3)
    assert (patch * kernel).sum() == pytest.approx(answer, abs=0.1) and answer > 1  # of rounded depths; an edge


def test_the_rays_of_the_pinhole_have_the_written_lengths():
    texts = words(draw.pinhole())
    written = [float(text[:-2]) for text in texts if re.fullmatch(r"\d\.\d\d m", text)]
    assert written[::2] == [4.0] * 3  # z-depth
    distances = [4 * math.hypot(1, x / 138.564) for x in (80, 138.564 * math.tan(math.radians(15)), 0)]
    assert written[1::2] == pytest.approx(distances, abs=0.005) and "138.6 px" in " ".join(texts)


def test_the_z_buffer_is_that_of_the_sample():
    """What is drawn is the data set's sample. The nearer one really wins; only the floor hides nothing."""
    room, alone, both = geometry_drawings.compose_sample(geometry_drawings.TREADMILL)
    sample = MaskDepthDataset("val", gap="none").shot(geometry_drawings.TREADMILL)
    for name in ("image", "mask", "depth"):
        np.testing.assert_array_equal(getattr(both, name), getattr(sample, name))
    thing = np.where(alone.mask[100] > 0.5, alone.depth[100], np.inf)
    nearer = np.minimum(room.depth[100], thing)
    assert (~room.floor[100] & np.isfinite(thing)).sum() > 5
    np.testing.assert_allclose(sample.depth[100][~room.floor[100]], nearer[~room.floor[100]], atol=1e-4)
    assert (sample.mask[100] > 0.5).sum() > 20
