"""The design lab: networks of every design run, and what is said about them is right."""

import itertools

import pytest
import torch

from maskdepth_utils.course import design
from maskdepth_utils.course.design import LabNet, checkerboard, deepest_field, gradient_field, multiply_adds, width_of
from maskdepth_utils.models.networks import count_parameters


@pytest.mark.parametrize("skip, up, stages", [*itertools.product(design.SKIPS, design.UPS, (2, 3, 5))])
def test_every_design_answers_in_the_pictures_own_size(skip, up, stages):
    network = LabNet(skip, up, stages, width=0.25).eval()
    for height, width in ((80, 80), (33, 70)):
        pair = torch.rand(2, 2, 3, height, width)
        logits, depth = network(*pair)
        assert logits.shape == depth.shape == (2, 1, height, width)
        assert 0 <= depth.min() and depth.max() <= 1


def test_what_is_not_used_is_not_there():
    sizes = [count_parameters(LabNet(stages=stages)) for stages in (2, 3, 4, 5)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] / 10
    assert count_parameters(LabNet(None)) < count_parameters(LabNet("add")) < count_parameters(LabNet("concat"))


def test_a_skip_carries_what_the_stage_says():
    for skip, carried in ((None, False), ("add", True), ("concat", True)):
        block = design.LabBlock(8, 8, 4, skip, "bilinear").eval()
        x, stage = torch.rand(1, 8, 5, 5), torch.rand(1, 4, 10, 10)
        assert torch.equal(block(x, stage), block(x, stage + 1)) != carried


def test_multiply_adds_of_a_network_that_one_can_count_by_hand():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.down = torch.nn.Conv2d(6, 4, 3, stride=2, padding=1)
            self.up = torch.nn.ConvTranspose2d(4, 1, 2, stride=2)

        def forward(self, image, background):
            return self.up(self.down(torch.cat([image, background], dim=1)))

    assert multiply_adds(Two(), 8) == 4 * 4 * 4 * 6 * 9 + 4 * 4 * 4 * 1 * 4


def test_the_computed_field_is_what_the_gradient_finds():
    """The stem and layer 1 alone, without a decoder: nothing outside 43 px may have an influence."""
    assert [deepest_field(n) for n in (1, 2, 3)] == [7, 43, 99]
    encoder = LabNet(stages=2, width=0.25).encoder.eval()
    x = torch.rand(1, 6, 96, 96).requires_grad_()
    feature = encoder(x)[1]
    (gradient,) = torch.autograd.grad(feature[0, :, 12, 12].sum(), x)
    rows, columns = gradient.abs().sum(dim=(0, 1)).nonzero().T
    assert rows.max() - rows.min() + 1 <= 43 and columns.max() - columns.min() + 1 <= 43
    assert rows.max() - rows.min() + 1 > 35


def test_deeper_networks_listen_farther():
    torch.manual_seed(0)
    widths = [width_of(gradient_field(LabNet(stages=stages, width=0.25), 160)) for stages in (2, 4)]
    assert widths[0] < widths[1]
    assert gradient_field(LabNet(width=0.25), 80).sum() == pytest.approx(1, abs=1e-4)


def test_a_checkerboard_is_found():
    smooth = torch.linspace(0, 1, 40).expand(1, 1, 40, 40)
    pattern = 0.1 * (torch.arange(40)[:, None] + torch.arange(40) & 1).float()
    assert checkerboard(smooth) < 1e-6
    assert checkerboard(smooth + pattern).item() == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize("wrong", [{"skip": "multiply"}, {"up": "nearest"}, {"stages": 6}])
def test_unknown_designs_are_refused(wrong):
    with pytest.raises(ValueError, match="expected one of"):
        LabNet(**wrong)
