"""Recording and zeroing the outputs of modules."""

import pytest
import torch
from torch import nn

from maskdepth_utils.course.hooks import recorded_outputs, zeroed_outputs


@pytest.fixture
def network():
    return nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))


def test_outputs_are_recorded_in_order_as_copies(network):
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    with recorded_outputs({"last": network[2], "first": network[0]}) as outputs:
        result = network(x)
    assert list(outputs) == ["first", "last"] and torch.equal(outputs["last"], result)
    assert torch.equal(outputs["first"], network[0](x))  # although ReLU then worked in place
    assert not outputs["last"].requires_grad


def test_zeros_are_recorded_as_zeros_and_hooks_are_removed(network):
    with zeroed_outputs([network[0]]), recorded_outputs({"first": network[0]}) as outputs:
        assert torch.equal(network(torch.ones(1, 3))[0], network[2].bias)
    assert not outputs["first"].any()
    with pytest.raises(RuntimeError), recorded_outputs({"first": network[0]}):
        network(torch.ones(1, 5))
    assert not any(module._forward_hooks for module in network)
