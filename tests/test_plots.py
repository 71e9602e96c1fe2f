"""Every picture can be drawn from what users have in their hands, and does not stay open."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from maskdepth_utils import plots
from maskdepth_utils.inference.predictor import Prediction
from maskdepth_utils.models.networks import MaskDepth


def make_sample(size=48):
    """A dark square on gray before a slope."""
    image, background = torch.full((3, size, size), 0.5), torch.full((3, size, size), 0.5)
    mask = torch.zeros(1, size, size)
    mask[:, 10:30, 12:30] = 1
    image = torch.where(mask > 0, 0.2, image)
    depth = torch.linspace(0.8, 0.2, size).view(1, -1, 1).expand(1, size, size)
    return {"image": image, "background": background, "mask": mask, "depth": depth}


def check(figure):
    """A closed figure that can be drawn, of a width that fits a notebook."""
    assert isinstance(figure, plt.Figure) and figure.number not in plt.get_fignums()
    picture = Image.open(io.BytesIO(plots.to_png(figure)))
    assert 500 <= picture.width <= 1650
    assert np.asarray(picture.convert("L")).std() > 5
    return figure


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(plt.Text))


def test_sample_and_batch():
    sample = make_sample()
    figure = check(plots.show_sample(sample, "a title"))
    assert "depth [m]" in texts(figure) and "near" in texts(figure) and "far" in texts(figure)
    bar = figure.axes[-1]
    assert bar.get_ylim() == (8.0, 2.0)  # metres, near at the top
    check(plots.show_batch([sample, sample, sample], titles=["a", "b", "c"]))
    check(plots.show_batch(torch.utils.data.default_collate([sample, sample]), count=2))


def test_predictions_of_every_kind():
    sample = make_sample()
    mask, metres = sample["mask"][0].numpy(), 10 * sample["depth"][0].numpy()
    check(plots.show_predictions(sample, Prediction(mask, metres)))
    check(plots.show_predictions([sample, sample], [Prediction(mask, None), Prediction(mask, metres)], ["a", "b"]))
    output = MaskDepth((sample["mask"] * 8 - 4)[None], sample["depth"][None])
    figure = check(plots.show_predictions(sample, output))
    assert all(word in texts(figure) for word in ("found", "missed", "false alarm", "error [m]"))
    check(plots.show_predictions(sample, sample["mask"] * 8 - 4))  # MaskNet's logits
    photo = np.zeros((48, 48, 3), np.uint8)
    check(plots.show_prediction(photo, photo, Prediction(mask, metres)))
    with pytest.raises(ValueError):
        plots.show_predictions([sample, sample], [output])


def test_predictions_are_read_in_the_right_units():
    sample = make_sample()
    for prediction in (
        Prediction(sample["mask"][0].numpy(), 10 * sample["depth"][0].numpy()),
        MaskDepth(torch.logit(sample["mask"] * 0.8 + 0.1)[None], sample["depth"][None]),
    ):
        mask, depth = plots.read_prediction(prediction)
        assert ((mask > 0.5) == (sample["mask"][0].numpy() > 0.5)).all()
        assert depth.min() == pytest.approx(2.0) and depth.max() == pytest.approx(8.0)


def test_overlay_and_comparison_mark_the_right_pixels():
    sample = make_sample()
    tinted = plots.overlay(sample["image"], sample["mask"], opacity=1)
    np.testing.assert_allclose(tinted[15, 15], plots.to_rgb(plots.ORANGE), atol=1e-6)
    np.testing.assert_allclose(tinted[0, 0], 0.5)
    found = sample["mask"].roll(10, dims=-1)
    marked = plots.compare_masks(sample["image"], sample["mask"], found)
    colors = {"hit": (15, 25, plots.BLUE), "miss": (15, 15, plots.YELLOW), "false": (15, 35, plots.VERMILION)}
    for row, column, color in colors.values():
        distance = {c: np.abs(marked[row, column] - plots.to_rgb(c)).sum() for _, _, c in colors.values()}
        assert min(distance, key=distance.get) == color


def test_history():
    records = [{"step": s, "samples": 32 * s, "loss": 1 / s, "lr": 0.01} for s in range(1, 60)]
    records[30] |= {"val_loss": 0.2, "val_iou": 0.5}
    records[-1] |= {"val_loss": 0.1, "val_iou": 0.8}
    figure = check(plots.plot_history(records))
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["loss", "IoU"]
    assert len(figure.axes[0].lines) == 2  # training and held out
    check(plots.plot_history({"lr 0.01": records, "lr 0.1": records[:20]}, names=["loss"]))


def test_depths_are_coloured_from_near_and_bright_to_far_and_dark():
    colors = plots.color_depth(np.linspace(1, 5, 2400).reshape(40, 60))
    assert colors.shape == (40, 60, 3) and colors.dtype == np.uint8
    assert colors[0, 0].astype(int).sum() > colors[-1, -1].astype(int).sum()
    assert plots.color_depth(np.full((4, 4), 3.0)).std(axis=(0, 1)).max() == 0
