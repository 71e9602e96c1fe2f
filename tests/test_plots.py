"""Figures can be drawn from all kinds of input, and do not stay open."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils import plots
from maskdepth_utils.inference.predictor import Prediction
from maskdepth_utils.models.networks import MaskDepth


@pytest.fixture
def sample(size=48):
    """A dark square on gray in front of a slope."""
    background, mask = torch.full((3, size, size), 0.5), torch.zeros(1, size, size)
    mask[:, 10:30, 12:30] = 1
    depth = torch.linspace(0.8, 0.2, size).view(1, -1, 1).expand(1, size, size)
    return {"image": torch.where(mask > 0, 0.2, background), "background": background, "mask": mask, "depth": depth}


@pytest.fixture
def predictions(sample):
    """The sample's truth as each kind of prediction: mask and depth, mask only."""
    logits, depth = sample["mask"] * 8 - 4, sample["depth"]
    both = [
        Prediction(sample["mask"][0].numpy(), 10 * depth[0].numpy()),
        MaskDepth(logits[None], depth[None]),
        {"mask": sample["mask"], "depth": depth},
    ]
    return both, [Prediction(both[0].mask, None), MaskDepth(logits[None], None), logits[None], {"mask": sample["mask"]}]


def check(figure):
    """A closed figure that can be drawn, of a width that fits a notebook; returns its words."""
    assert isinstance(figure, plt.Figure) and figure.number not in plt.get_fignums()
    picture = Image.open(io.BytesIO(plots.to_png(figure, dpi=40)))
    assert 130 <= picture.width <= 440 and np.asarray(picture.convert("L")).std() > 5
    return " ".join(text.get_text() for text in figure.findobj(plt.Text))


def test_samples(sample):
    figure = plots.show_sample(sample, "a title")
    words = check(figure)
    assert all(word in words for word in ("a title", "depth [m]", "near", "far"))
    assert figure.axes[-1].get_ylim() == (8.0, 2.0)  # metres, near at the top
    assert "c" in check(plots.show_batch([sample] * 3, ["a", "b", "c"])).split()


def test_predictions_of_every_kind(sample, predictions):
    both, masks = predictions
    words = check(plots.show_predictions([sample] * 2, [both[0], masks[0]], ["a", "b"]))
    assert all(word in words for word in ("found", "missed", "false alarm", "error [m]"))
    assert "error [m]" not in check(plots.show_predictions([sample], masks[:1]))
    photo = np.zeros((48, 48, 3), np.uint8)
    for prediction in (both[0], masks[0], Prediction(None, both[0].depth)):
        check(plots.show_prediction(photo, photo, prediction))
    with pytest.raises(ValueError):
        plots.show_predictions([sample, sample], both[:1])


def test_predictions_are_read_in_the_right_units(sample, predictions):
    for prediction in predictions[0]:
        mask, metres = plots.read_prediction(prediction)
        assert ((mask > 0.5) == (sample["mask"][0].numpy() > 0.5)).all() and 0 <= mask.min() <= mask.max() <= 1
        assert metres.min() == pytest.approx(2.0) and metres.max() == pytest.approx(8.0)
    for prediction in predictions[1]:
        mask, metres = plots.read_prediction(prediction)
        assert mask.shape == (48, 48) and metres is None


def test_overlay_and_comparison_mark_the_right_pixels(sample):
    tinted = plots.overlay(sample["image"], sample["mask"], opacity=1)
    np.testing.assert_allclose(tinted[15, 15], plots.to_rgb(plots.ORANGE), atol=1e-6)
    np.testing.assert_allclose(tinted[0, 0], 0.5)
    marked = plots.compare_masks(sample["image"], sample["mask"], sample["mask"].roll(10, dims=-1))
    colors = {plots.BLUE: (15, 25), plots.YELLOW: (15, 15), plots.VERMILION: (15, 35)}  # hit, miss, false alarm
    for color, pixel in colors.items():
        distances = {other: np.abs(marked[pixel] - plots.to_rgb(other)).sum() for other in colors}
        assert min(distances, key=distances.get) == color


def test_depth_as_colours_is_bright_where_it_is_near():
    colors = plots.color_depth(np.array([[1.0, 5.0]])).astype(int).sum(-1)[0]
    assert colors[0] > 1.5 * colors[1]
    assert plots.color_depth(np.full((4, 4), 3.0)).std(axis=(0, 1)).max() == 0


def test_history():
    records = [{"step": s, "samples": 32 * s, "loss": 1 / s, "lr": 0.01} for s in range(1, 60)]
    records[30] |= {"val_loss": 0.2, "val_iou": 0.5}
    records[-1] |= {"val_loss": 0.1, "val_iou": 0.8}
    figure = plots.plot_history(records, ["loss", "val_iou"])
    check(figure)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["loss", "IoU"]
    assert len(figure.axes[0].lines) == 2  # training and held out
