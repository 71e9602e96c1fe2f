"""torchsummary's table for the course's networks. Used in extras/design_lab."""

import copy

import torch
from torch import Tensor, nn

from ..models.networks import count_parameters, to_mask_depth


def print_summary(model: nn.Module, size: int = 160) -> int:
    """Print torchsummary's table for one of our networks at size x size px; return its number of parameters.

    torchsummary multiplies the sizes of several inputs or outputs instead of adding them, so it is given
    a network with one input and one output.
    """
    import torchsummary

    # A copy: torchsummary runs the model, which would change BatchNorm's statistics.
    one_tensor = OneTensor(copy.deepcopy(model).float().cpu().eval())
    with torch.no_grad():
        torchsummary.summary(one_tensor, (6, size, size), batch_size=1, device="cpu")
    return count_parameters(model)


class OneTensor(nn.Module):
    """A network of two pictures as one of six channels, its outputs concatenated."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pair: Tensor) -> Tensor:
        # Not self.model(...): torchsummary would count that call as one more layer, of two outputs.
        output = to_mask_depth(self.model.forward(*pair.split(3, dim=1)))
        return torch.cat([x for x in output if x is not None], dim=1)
