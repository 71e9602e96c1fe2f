"""Faults of a map, and each loss of them."""

import pytest
import torch

from maskdepth_utils.course.widgets import faults
from maskdepth_utils.course.widgets.faults import PRESETS, Fault, load_truth, report_losses, spoil


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


def test_descent_lowers_its_loss_and_ascent_raises_it(task):
    truth = load_truth(task)
    spoiled = spoil(truth, Fault(blur=1.0, shift=2), task)
    output, size = faults.to_output(spoiled, task), {"depth": 1e-4, "mask": 1e-2}[task]
    for name, report in report_losses(truth, spoiled, task).items():
        step = torch.from_numpy(size * report.descent / abs(report.descent).max())
        down, up = (faults.LOSSES[task][name](output + sign * step, truth).item() for sign in (1, -1))
        assert down < report.value < up, name


def test_every_preset_has_a_loss(task):
    assert PRESETS[task][faults.TRUTH] == Fault()
    for name, fault in list(PRESETS[task].items())[1:]:
        assert max(report.relative for report in reports_of(task, **vars(fault)).values()) > 0.25, name
