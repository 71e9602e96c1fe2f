"""The loss explorer's figures and pictures, without a front end."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from maskdepth_utils.course.widgets import spoiling
from maskdepth_utils.course.widgets.spoiling import PLAIN_GRAY, PRESETS, Spoil, bills, draw, load_truth, pushes, spoil
from maskdepth_utils.losses import GAUSSIAN

TASKS = ("depth", "mask")


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


def bills_of(task, **settings):
    truth = load_truth(task)
    return bills(truth, spoil(truth, Spoil(**settings)), task)


def decode(png):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_undisturbed_depth_costs_nothing_and_nobody_pushes():
    truth = load_truth("depth")
    assert torch.equal(spoil(truth, Spoil()), truth)
    assert bills(truth, truth) == {"L1": (0, 0), "edge": (0, 0), "SSIM": pytest.approx((0, 0), abs=1e-6)}
    assert all(not push.any() for push in pushes(truth, truth).values())


def test_an_undisturbed_mask_costs_little():
    charged = bills_of("mask")
    assert set(charged) == {"BCE", "Dice", "SSIM"} and all(0 <= bill.relative < 0.15 for bill in charged.values())


def test_plain_gray_is_the_measure(task):
    truth = load_truth(task)
    gray = spoil(truth, PLAIN_GRAY)
    assert torch.equal(gray, truth.mean().expand_as(truth))
    assert [bill.relative for bill in bills(truth, gray, task).values()] == [1, 1, 1]


def test_each_loss_has_its_blind_spot():
    metre = bills_of("depth", offset=0.1)
    assert metre["L1"].value == pytest.approx(0.1) and metre["edge"].relative < 1e-5 < metre["SSIM"].relative < 0.2
    truth = load_truth("depth")  # the slopes of rounding errors are as steep as others: they must not be shown
    assert not pushes(truth, truth + 0.1)["edge"].any()
    half = bills_of("depth", gray=0.5)
    assert half["L1"].relative == pytest.approx(0.5) and half["edge"].relative == pytest.approx(0.5)
    moved = bills_of("depth", shift=2)
    assert moved["L1"].relative < 0.2 < moved["edge"].relative
    assert bills_of("depth", noise=0.05)["edge"].relative > 1


def test_how_a_map_is_spoiled():
    truth = load_truth("depth")
    assert torch.equal(spoil(truth, Spoil(shift=3))[..., 3:], truth[..., :-3])
    assert torch.equal(spoil(truth, Spoil(shift=-3))[..., :-3], truth[..., 3:])
    torch.testing.assert_close(spoil(truth, Spoil(scale=1.1, offset=-0.2)), 1.1 * truth - 0.2)
    blurred = spoil(truth, Spoil(blur=2.0))
    assert blurred.shape == truth.shape and blurred.std() < truth.std() and abs(blurred.mean() - truth.mean()) < 0.01
    weak, strong = (spoil(truth, Spoil(noise=sigma)) - truth for sigma in (0.01, 0.05))
    torch.testing.assert_close(strong, 5 * weak, rtol=1e-3, atol=1e-6)  # the same noise, only stronger
    assert strong.std().item() == pytest.approx(0.05, rel=0.05)
    assert not torch.equal(spoil(truth, Spoil(noise=0.05), seed=1), truth + strong)


# The losses once more, in float64, for finite differences.


def edge64(a, b):
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).double()
    return 2 * F.conv2d(a - b, torch.stack([kernel, kernel.T])[:, None]).abs().mean()


def dssim64(a, b):
    row = torch.tensor(GAUSSIAN).double()
    window = torch.outer(row, row)[None, None]
    mean_a, mean_b, aa, bb, ab = (F.conv2d(x, window) for x in (a, b, a * a, b * b, a * b))
    level = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    structure = (2 * (ab - mean_a * mean_b) + 9e-4) / (aa - mean_a**2 + bb - mean_b**2 + 9e-4)
    return (1 - (level * structure).mean()) / 2


LOSSES = {
    "depth": {"L1": lambda a, b: (a - b).abs().mean(), "edge": edge64, "SSIM": dssim64},
    "mask": {
        "BCE": F.binary_cross_entropy_with_logits,
        "Dice": lambda x, b: 1 - (2 * (x.sigmoid() * b).sum() + 1) / (x.sigmoid().sum() + b.sum() + 1),
        "SSIM": lambda x, b: dssim64(x.sigmoid(), b),
    },
}


def test_a_push_is_minus_the_slope(task):
    truth = load_truth(task)
    spoiled = spoil(truth, Spoil(blur=1.0, shift=2, noise=0.05))
    output, step = spoiling.as_output(spoiled, task).double(), torch.zeros(truth.shape).double()
    row, column = divmod(spoil(truth, Spoil(blur=2.0)).sub(truth).abs().argmax().item(), truth.shape[-1])
    step[..., row, column] = 1e-6
    for name, push in pushes(truth, spoiled, task).items():
        after, before = (LOSSES[task][name](output + sign * step, truth.double()) for sign in (1, -1))
        slope = (after - before).item() / 2e-6
        assert abs(slope) > 1e-6 and push[row, column] == pytest.approx(-slope, rel=2e-3), name


def test_pictures_show_truth_fault_and_pushes(task):
    truth = load_truth(task)
    pictures = {name: decode(png) for name, png in draw(truth, spoil(truth, Spoil(shift=2)), task).items()}
    assert list(pictures) == ["truth", "spoiled", *spoiling.NAMES[task].values()]
    assert all(picture.shape == (320, 320, 3) for picture in pictures.values())
    assert np.array_equal(pictures["spoiled"][:, 8:], pictures["truth"][:, :-8])
    far = {name: decode(png) for name, png in draw(load_truth("depth"), load_truth("depth") + 0.1).items()}
    red, _, blue = far["L1"].reshape(-1, 3).mean(0)
    assert red > blue + 30  # orange: nearer
    assert (far["edge"] > 240).all()  # says nothing


def test_presets_are_spoils_and_cost_something(task):
    for name, how in PRESETS[task].items():
        assert max(bill.relative for bill in bills_of(task, **vars(how)).values()) > 0.25, name


@pytest.mark.parametrize(
    "mistake, words",
    [
        (lambda: Spoil(gray=1.5), "gray from 0 to 1"),
        (lambda: Spoil(blur=-1), "blur and noise of at least 0"),
        (lambda: Spoil(offset=float("nan")), "finite"),
        (lambda: Spoil(shift=0.5), "whole pixels"),
        (lambda: load_truth("flow"), 'expected "depth" or "mask"'),
        (lambda: load_truth("depth", 40), "expected 0 to 39, found 40"),
        (lambda: spoil(torch.zeros(80, 80), Spoil()), r"map \(N, 1, H, W\)"),
        (lambda: bills(torch.zeros(1, 1, 80, 80), torch.zeros(1, 1, 40, 40)), "two maps"),
        (lambda: bills(*[torch.zeros(1, 1, 80, 80)] * 2), "plain gray itself"),
        (lambda: bills(*[load_truth()] * 2, "flow"), 'expected "depth" or "mask"'),
    ],
)
def test_mistakes_are_said(mistake, words):
    with pytest.raises(ValueError, match=words):
        mistake()
