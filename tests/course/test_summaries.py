"""The printed summary of a network counts right and leaves the network alone."""

import re
from functools import partial

import pytest
import torch

from maskdepth_utils.course.summaries import print_summary
from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.networks import count_parameters


@pytest.mark.parametrize(
    "make",
    [partial(MaskNet, width=4), *(partial(MaskDepthNet, tasks=tasks) for tasks in (("depth",), ("mask", "depth")))],
)
def test_summary_counts_and_leaves_the_network_alone(make, capsys):
    network = make()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert print_summary(network, size=64) == count_parameters(network)
    printed = capsys.readouterr().out
    assert f"Total params: {count_parameters(network):,}" in printed
    assert "Input size (MB): 0.09" in printed  # 6 x 64 x 64 x 4 bytes, added and not multiplied
    megabytes = float(re.search(r"pass size \(MB\): ([\d.]+)", printed)[1])
    assert megabytes < 100  # of a module with several outputs, torchsummary would multiply the sizes
    assert network.training and all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
