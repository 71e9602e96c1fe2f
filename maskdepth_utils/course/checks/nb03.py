"""Checks of the exercises in notebook 03: what a feature sees, parameters, six channels, a block."""

import torch
from torch import nn

from ...models.blocks import UpProjection
from ...models.networks import count_parameters
from ..design import receptive_field
from .compare import compare_on_cases, find_gradients, require_nonlinear
from .verdict import as_number, build_module, call_answer, call_module, report_verdict, require

PICTURE = 160  # pixels: what a feature should see


@report_verdict
def check_layers(my_layers):
    """The number of 3 x 3 convolutions of stride 2 after which a feature sees all 160 pixels."""
    count = as_number(my_layers, "my_layers", 1, 30, "a whole number", whole=True)
    fewer, field = (receptive_field([(3, 2, 1)] * layers) for layers in (count - 1, count))
    where, words = f"{count} layers", f"a feature sees {field} pixels"
    hint = "A layer adds two steps, and then doubles the step."
    require(field >= PICTURE, where, f"{words}, expected at least {PICTURE}", hint)
    require(fewer < PICTURE, where, f"{words}, but after {count - 1} it already sees {fewer}", hint)
    return f"After {count} layers a feature sees {field} pixels"


@report_verdict
def check_receptive_field(my_field):
    """my_field(layers): layers of (kernel, stride, dilation) in order -> how many pixels wide a feature's view is."""
    plain, wide = (3, 1, 1), (3, 1, 2)
    cases = {
        "no layer at all": ([],),
        "a 3 x 3 convolution": ([plain],),
        "two 3 x 3 convolutions": ([plain, plain],),
        "stride 2, then a 3 x 3": ([(3, 2, 1), plain],),
        "a 3 x 3 of dilation 2": ([wide],),
        "growing dilations": ([plain, wide, (3, 1, 4), (3, 2, 8), (5, 1, 2)],),
        "kernels of 1, 2 and 4": ([(2, 2, 1), (1, 1, 1), (4, 3, 2), (1, 2, 1), (2, 1, 3)],),
    }
    hint = "Keep two numbers, the field and the step, and go layer by layer: first the field grows, then the step."
    return compare_on_cases(my_field, receptive_field, cases, {}, hint, whole=True)


def count_by_hand(inputs, outputs, skip, norm=2, bias=0, lateral=True) -> int:
    """Parameters of an UpProjection by arithmetic; the options produce the usual faults."""
    added = (norm + bias) * outputs
    return lateral * skip * inputs + 2 * (25 * inputs * outputs + added) + 9 * outputs * outputs + added


PARAMETERS_FAULTS = {
    "the BatchNorms are missing": lambda i, o, skip: count_by_hand(i, o, skip, norm=0),
    "a BatchNorm is counted with one number per channel": lambda i, o, skip: count_by_hand(i, o, skip, norm=1),
    "a BatchNorm is counted with all four numbers per channel": lambda i, o, skip: count_by_hand(i, o, skip, norm=4),
    "the convolutions are counted with a bias": lambda i, o, skip: count_by_hand(i, o, skip, bias=1),
    "the lateral is missing": lambda i, o, skip: count_by_hand(i, o, skip, lateral=False),
}


@report_verdict
def check_parameters(my_parameters):
    """my_parameters(inputs, outputs, skip_channels) -> the parameters of notebook 03's UpProjection."""
    cases = {f"UpProjection{case}": case for case in ((8, 4, 8), (4, 2, 8), (6, 2, 0), (5, 7, 3), (3, 6, 1))}
    hint = "Three convolutions without bias; a BatchNorm after each scales and shifts each channel; and the lateral."

    def right(*sizes):
        return count_parameters(UpProjection(*sizes))

    return compare_on_cases(my_parameters, right, cases, PARAMETERS_FAULTS, hint, whole=True)


INFLATION_FAULTS = {
    "the background is not looked at": lambda f: torch.cat([f, 0 * f], 1),
    "two equal pictures give no response": lambda f: torch.cat([f, -f], 1),
    "the channels are in the wrong order": lambda f: f.repeat_interleave(2, 1) / 2,
    "the colours are mixed": lambda f: f.mean(1, keepdim=True).repeat(1, 6, 1, 1) / 2,
}


@report_verdict
def check_inflation(my_inflate):
    """my_inflate(filters): (O, 3, k, k) of a trained stem -> (O, 6, k, k) for two pictures."""
    cases = {f"filters of shape {size}": (torch.randn(size),) for size in ((64, 3, 7, 7), (5, 3, 3, 3), (1, 3, 1, 1))}
    hint = "It sees red, green, blue of the image, then of the background; two equal pictures give the old response."
    return compare_on_cases(my_inflate, lambda f: torch.cat([f, f], 1) / 2, cases, INFLATION_FAULTS, hint)


@report_verdict
def check_up_block(MyUp):
    """MyUp(inputs, outputs, skip_channels): a module (x, stage) -> (N, outputs, H, W) of the stage's size."""
    for inputs, outputs, skip in ((8, 4, 6), (6, 6, 3)):
        where = f"MyUp({inputs}, {outputs}, {skip})"
        block = build_module(MyUp, inputs, outputs, skip, where=where)
        for small, large in (((3, 3), (5, 5)), ((4, 6), (8, 12)), ((5, 3), (9, 6))):
            x, stage = torch.randn(2, inputs, *small), torch.randn(2, skip, *large)
            place = f"{where} on {small} and a stage of {large}"
            hint = "Enlarge to the stage's own size; twice the size is not always right, as stages round up."
            call_module(block, x, stage, shape=(2, outputs, *large), where=place, hint=hint)
        require_learning(block, torch.randn(2, inputs, 3, 3), torch.randn(2, skip, 6, 6), where)
        widths = [p.shape[1] for p in block.parameters() if p.ndim == 4]
        words = f"its convolutions take {', '.join(map(str, widths))} channels; none takes {inputs + skip}"
        require(inputs + skip in widths, where, words, "torch.cat([x, stage], dim=1) puts both side by side.")
    return "Tried: stages of 5 x 5, 8 x 12 and 9 x 6: sizes, values of x and of the stage, and all parameters"


def require_learning(block: nn.Module, x, stage, where: str) -> None:
    """Raise Wrong unless the output depends on x, on the stage and on each parameter, and not linearly."""
    parameters = dict(block.named_parameters())
    hint = "nn.Module finds layers that are attributes, not those in a list."
    require(parameters, where, "it has no parameters", hint)
    block.eval()
    with torch.no_grad():
        for parameter in parameters.values():  # some blocks begin with zeros
            parameter += 0.1 * torch.randn(parameter.shape)
        board = (torch.arange(6) + torch.arange(6)[:, None]) % 2 - 0.5  # its mean over any 2 x 2 pixels is 0
        trials = (x, stage), (x, stage), (x.flip(2, 3), stage), (x, stage.flip(2, 3)), (x, stage + board)
        found, again, *others = (call_answer(block, *inputs, where=where) for inputs in trials)
    hint = "Layers made in `forward` start at random each time: make them in `__init__`."
    require(torch.equal(found, again), where, "the same inputs give a different output the second time", hint)
    seen_x, seen_stage, seen_detail = (not torch.allclose(found, other, atol=1e-6) for other in others)
    hint = "What comes up from below must be used, too."
    require(seen_x, where, "its output stays the same if the values of x change places", hint)
    hint = "Its size or its mean adds no detail: put the stage itself beside x."
    require(seen_stage, where, "its output stays the same if the stage's values change places", hint)
    require(seen_detail, where, "the stage's finest detail makes no difference", hint)
    require_nonlinear(block, [x.shape, stage.shape], where)
    gradients = find_gradients(call_answer(block, x, stage, where=where).square(), list(parameters.values()), where)
    unused = [name for name, gradient in zip(parameters, gradients) if not gradient.any()]
    require(not unused, where, f"no gradient reaches {', '.join(unused)}", "Is that layer used in `forward`?")
