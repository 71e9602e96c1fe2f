"""Faults of a map, and what each loss says about them."""

import pytest
import torch
import torch.nn.functional as F

from maskdepth_utils.course.widgets import faults
from maskdepth_utils.course.widgets.faults import PRESETS, Fault, load_truth, report_losses, spoil  # fmt: skip
from maskdepth_utils.losses import GAUSSIAN


@pytest.fixture(params=("depth", "mask"))
def task(request):
    return request.param


def reports_of(task, **fault):
    truth = load_truth(task)
    return report_losses(truth, spoil(truth, Fault(**fault), task), task)


def test_the_true_depth_has_no_loss_and_a_true_mask_has_little():
    truth = load_truth("depth")
    assert torch.equal(spoil(truth, Fault()), truth)
    for report in reports_of("depth").values():
        assert report.value == pytest.approx(0, abs=1e-6) and not report.descent.any()
    reports = reports_of("mask")
    assert set(reports) == {"BCE", "Dice", "SSIM"} and all(0 <= report.relative < 0.15 for report in reports.values())


def test_plain_gray_is_the_measure(task):
    truth = load_truth(task)
    assert torch.equal(spoil(truth, faults.PLAIN_GRAY), truth.mean().expand_as(truth))
    assert [report.relative for report in reports_of(task, gray=1.0).values()] == pytest.approx([1, 1, 1])


def test_each_loss_has_its_blind_spot():
    metre = reports_of("depth", offset=1.0)
    assert metre["L1"].value == pytest.approx(0.1) and metre["edge"].relative < 1e-5 < metre["SSIM"].relative < 0.2
    assert not metre["edge"].descent.any()  # the slopes of rounding errors are as steep as others
    half = reports_of("depth", gray=0.5)
    assert half["L1"].relative == pytest.approx(0.5) and half["edge"].relative == pytest.approx(0.5)
    moved = reports_of("depth", shift=2)
    assert moved["L1"].relative < 0.2 < moved["edge"].relative
    assert reports_of("depth", noise=0.5)["edge"].relative > 1


def test_each_step_of_a_fault():
    truth = load_truth("depth")
    assert torch.equal(spoil(truth, Fault(shift=3))[..., 3:], truth[..., :-3])
    assert torch.equal(spoil(truth, Fault(shift=-3))[..., :-3], truth[..., 3:])
    torch.testing.assert_close(spoil(truth, Fault(scale=1.1, offset=-2.0)), 1.1 * truth - 0.2)
    blurred = spoil(truth, Fault(blur=2.0))
    assert blurred.shape == truth.shape and blurred.std() < truth.std() and abs(blurred.mean() - truth.mean()) < 0.01
    weak, strong = (spoil(truth, Fault(noise=sigma)) - truth for sigma in (0.1, 0.5))
    torch.testing.assert_close(strong, 5 * weak, rtol=1e-3, atol=1e-6)  # the same noise, only stronger
    assert strong.std().item() == pytest.approx(0.05, rel=0.05)
    assert not torch.equal(spoil(truth, Fault(noise=0.5), seed=1), truth + strong)


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


def test_descent_is_minus_the_slope(task):
    truth = load_truth(task)
    spoiled = spoil(truth, Fault(blur=1.0, shift=2, noise=0.05 * faults.UNITS[task]), task)
    output, step = faults.to_output(spoiled, task).double(), torch.zeros(truth.shape).double()
    row, column = divmod(spoil(truth, Fault(blur=2.0)).sub(truth).abs().argmax().item(), truth.shape[-1])
    step[..., row, column] = 1e-6
    for name, report in report_losses(truth, spoiled, task).items():
        after, before = (LOSSES[task][name](output + sign * step, truth.double()) for sign in (1, -1))
        slope = (after - before).item() / 2e-6
        assert abs(slope) > 1e-6 and report.descent[row, column] == pytest.approx(-slope, rel=2e-3), name


def test_every_preset_has_a_loss(task):
    for name, fault in PRESETS[task].items():
        assert max(report.relative for report in reports_of(task, **vars(fault)).values()) > 0.25, name


@pytest.mark.parametrize(
    "arguments, words", [(("flow", 0), 'expected "depth" or "mask"'), (("depth", 40), "expected 0 to 39, found 40")]
)
def test_an_unknown_truth_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        load_truth(*arguments)
