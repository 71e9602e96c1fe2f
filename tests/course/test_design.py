"""The design lab: networks of every design run, and their measures are right."""

import itertools

import pytest
import torch

from maskdepth_utils.course import design
from maskdepth_utils.course.design import LabNet, checkerboard, deepest_field, gradient_field, multiply_adds, width_of


@pytest.mark.parametrize("skip, up, stages", [*itertools.product(design.SKIPS, design.UPS, (2, 5))])
def test_outputs_have_the_size_of_the_pictures(skip, up, stages):
    network = LabNet(skip, up, stages, width=0.25).eval()
    for height, width in ((80, 80), (33, 70)):
        logits, depth = network(*torch.rand(2, 2, 3, height, width))
        assert logits.shape == depth.shape == (2, 1, height, width)
        assert 0 <= depth.min() and depth.max() <= 1


@pytest.mark.parametrize("skip, used", [(None, False), ("add", True), ("concat", True)])
def test_a_block_uses_the_values_of_its_skip(skip, used):
    block = design.LabBlock(8, 8, 4, skip, "bilinear").eval()
    x, stage = torch.rand(1, 8, 5, 5), torch.rand(1, 4, 10, 10)
    assert torch.equal(block(x, stage), block(x, stage + 1)) != used


def test_multiply_adds_of_a_network_that_can_be_counted_by_hand():
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
    (gradient,) = torch.autograd.grad(encoder(x)[1][0, :, 12, 12].sum(), x)
    for positions in gradient.abs().sum(dim=(0, 1)).nonzero().T:
        assert 35 < positions.max() - positions.min() + 1 <= 43


def test_deeper_networks_have_wider_fields():
    torch.manual_seed(0)
    fields = [gradient_field(LabNet(stages=stages, width=0.25), 160) for stages in (2, 4)]
    assert width_of(fields[0]) < width_of(fields[1])
    assert fields[0].sum() == pytest.approx(1, abs=1e-4)


def test_a_checkerboard_is_found():
    smooth = torch.linspace(0, 1, 40).expand(1, 1, 40, 40)
    pattern = 0.1 * (torch.arange(40)[:, None] + torch.arange(40) & 1).float()
    assert checkerboard(smooth) < 1e-6
    assert checkerboard(smooth + pattern).item() == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize("wrong", [{"skip": "multiply"}, {"up": "nearest"}, {"stages": 6}])
def test_unknown_designs_are_refused(wrong):
    with pytest.raises(ValueError, match="expected one of"):
        LabNet(**wrong)
