"""Checks of the exercises in notebook 03: what a feature sees, parameters, six channels, a block. See checks.py."""

import torch
from torch import Tensor, nn

from ...models.blocks import UpProjection
from ...models.networks import count_parameters
from .verdict import Wrong, alike, ask, build, same, verdict, whole

PICTURE = 160  # pixels: what a feature should see in exercise A


@verdict
def check_layers(my_layers):
    """How many 3 x 3 convolutions of stride 2 it takes until a feature sees all of 160 pixels: a whole number."""
    count = whole(my_layers, "my_layers")
    if count > 30:
        raise Wrong("my_layers", f"{count} layers halve {PICTURE} pixels {count} times", "Each layer doubles the step.")
    where, field = f"{count} layers", see([(3, 2, 1)] * count)
    if field < PICTURE:
        raise Wrong(where, f"a feature sees {field} pixels, expected at least {PICTURE}", "Each layer adds 2 x step.")
    if see([(3, 2, 1)] * (count - 1)) >= PICTURE:
        raise Wrong(where, f"a feature sees {field} pixels, more than it takes", "Would fewer layers do?")
    return f"After {count} layers a feature sees {field} pixels"


def see(layers, start=1, less=1, dilated=True, stepped=True, early=False) -> int:
    """Pixels that a feature sees after layers of (kernel, stride, dilation); the options make the usual mistakes."""
    field, step = start, 1
    for kernel, stride, dilation in layers:
        step = step * stride if early else step
        field += (kernel - less) * (dilation if dilated else 1) * (step if stepped else 1)
        step = step if early else step * stride
    return field


@verdict
def check_field(my_field):
    """my_field(layers): layers of (kernel, stride, dilation) in order -> how many pixels wide a feature's view is."""
    plain, wide = (3, 1, 1), (3, 1, 2)
    cases = {
        "no layer at all": [],
        "two 3 x 3 convolutions": [plain, plain],
        "stride 2, then a 3 x 3": [(3, 2, 1), plain],
        "a dilation of 2": [wide],
        "MaskNet down and up": [(3, 2, 1), (3, 2, 1), plain, plain],
        "ResNet18's stem and max pooling": [(7, 2, 1), (3, 2, 1)],
        "growing dilations": [plain, wide, (3, 1, 4), (3, 2, 8), (5, 1, 2)],
        "a 1 x 1 convolution last": [(3, 2, 1), (1, 2, 1), plain],
    }
    for where, layers in cases.items():
        found = ask(my_field, layers, where=where)
        mistakes = [
            (see(layers, start=0), "one is missing", "Without any layer a pixel sees itself."),
            (see(layers, less=0), "the kernel's own pixel is counted again", "A window of k adds k - 1 pixels."),
            (
                see(layers, dilated=False),
                "the dilation is not used",
                "It spreads the kernel: its places lie farther apart.",
            ),
            (
                see(layers, stepped=False),
                "the strides are not used",
                "A step is as long as all strides before it multiply to.",
            ),
            (
                see(layers, early=True),
                "the layer's own stride counts too early",
                "First the field grows, then the step.",
            ),
        ]
        same(found, see(layers), where, "Keep two numbers, the field and the step, and go layer by layer.", mistakes)
    return "Tried: " + ", ".join(cases)


@verdict
def check_parameters(my_parameters):
    """my_parameters(inputs, outputs, skip_channels) -> the parameters of notebook 03's UpProjection."""
    for case in ((256, 128, 256), (64, 32, 128), (32, 16, 0)):
        inputs, outputs, skip = case
        where = f"UpProjection{case}"
        expected = count_parameters(UpProjection(*case))
        lateral, five, three = skip * inputs, 25 * inputs * outputs, 9 * outputs * outputs
        found = ask(my_parameters, *case, where=where)
        mistakes = [
            (expected - 6 * outputs, "the BatchNorms are missing", "Each has two numbers a channel that are learned."),
            (
                expected + 6 * outputs,
                "a BatchNorm is counted with four numbers a channel",
                "Two of them are not learned.",
            ),
            (expected - 3 * outputs, "a BatchNorm is counted with one number a channel", "It scales and it shifts."),
            (expected + 3 * outputs, "the convolutions are counted with a bias", "There is a BatchNorm after each."),
            (expected + 3 * outputs + inputs, "the convolutions are counted with a bias", "`conv` has bias=False."),
            (expected - lateral, "the lateral is missing", "A 1 x 1 convolution from skip_channels to inputs."),
            (expected - five - 2 * outputs, "the way around is missing", "`side` is a 5 x 5 convolution, too."),
            (expected - five, "a 5 x 5 convolution is missing", "Count the convolutions in the notebook's class."),
            (expected - three + 9 * inputs * outputs, "the 3 x 3 convolution has other inputs", "What does it get?"),
        ]
        same(
            found,
            expected,
            where,
            "Three convolutions with a BatchNorm each; and the lateral.",
            mistakes,
            tolerance=1e-9,
        )
    return "Tried: three blocks of the network, one of them without a skip"


@verdict
def check_inflation(my_inflate):
    """my_inflate(filters): (O, 3, k, k) of a trained stem -> (O, 6, k, k) for two pictures."""
    for outputs, kernel in ((64, 7), (4, 3)):
        filters = torch.randn(outputs, 3, kernel, kernel)
        where = f"filters of shape {tuple(filters.shape)}"
        found = ask(my_inflate, filters, where=where)
        expected = torch.cat([filters, filters], dim=1) / 2
        alike_hint = "Neither picture is to be preferred: both get the same filters."
        order = "The channels come as red, green, blue of the image, then red, green, blue of the background."
        mistakes = [
            (2 * expected, "two equal pictures give twice the old response", "What must both halves add up to?"),
            (torch.cat([filters, 0 * filters], 1), "the background is not looked at", alike_hint),
            (torch.cat([0 * filters, filters], 1), "the image is not looked at", alike_hint),
            (torch.cat([filters, -filters], 1), "two equal pictures give no response", "It was trained on pictures."),
            (filters.repeat_interleave(2, 1) / 2, "the channels are in another order", order),
            (filters.repeat_interleave(2, 1), "the channels are in another order", order),
            (filters.mean(1, keepdim=True).expand(-1, 6, -1, -1) / 2, "the colours are mixed", order),
            (filters.mean(1, keepdim=True).expand(-1, 6, -1, -1), "the colours are mixed", order),
        ]
        same(found, expected, where, "With two equal pictures the stem should put out what it did for one.", mistakes)
    return "Tried: a 7 x 7 and a 3 x 3 stem; equal pictures give the old response, and both pictures count alike"


@verdict
def check_up_block(MyUp):
    """MyUp(inputs, outputs, skip_channels): a module (x, stage) -> (N, outputs, H, W) of the stage's size.

    It uses the stage's values, is not linear, and all its parameters can learn.
    """
    for inputs, outputs, skip in ((8, 4, 6), (6, 6, 3)):
        where = f"MyUp({inputs}, {outputs}, {skip})"
        block = build(MyUp, inputs, outputs, skip, where=where)
        for size, large in (((2, 3, 3), (5, 5)), ((1, 4, 6), (8, 12)), ((2, 5, 3), (9, 6))):
            x, stage = torch.randn(size[0], inputs, *size[1:]), torch.randn(size[0], skip, *large)
            place = f"{where} on {size[1]} x {size[2]} and a stage of {large[0]} x {large[1]}"
            found = ask(block, x, stage, where=place)
            hint = "Enlarge to the stage's own size; twice the size is not always right, as stages round up."
            alike(found, torch.zeros(size[0], outputs, *large), place, hint)
        require_learning(block, (2, inputs, 3, 3), (2, skip, 6, 6), where)
    return "Tried: stages of 5 x 5, 8 x 12 and 9 x 6: sizes, values of x and of the stage, and all parameters"


def require_learning(block: nn.Module, x_size, stage_size, where: str) -> None:
    """Raise Wrong unless the output depends on x, on the stage and on each parameter, and not linearly."""
    block.eval()
    x, stage = torch.randn(x_size), torch.randn(stage_size)
    with torch.no_grad():
        found = block(x, stage)
        if not torch.equal(found, block(x, stage)):
            new = "Layers made in `forward` start at random each time: make them in `__init__`."
            raise Wrong(where, "the same inputs give another output the second time", new)
        if not list(block.parameters()):
            raise Wrong(
                where, "it has no parameters", "nn.Module finds layers that are attributes, not those in a list."
            )
        if torch.equal(found, block(x, stage + torch.randn(stage_size))):
            used = "As in 2020: only its size is read. Add it to what comes up, or put it beside it."
            raise Wrong(where, "the stage's values make no difference", used)
        if torch.equal(found, block(x + torch.randn(x_size), stage)):
            raise Wrong(where, "the values of x make no difference", "What comes up from below belongs in, too.")
        y, other = torch.randn(x_size), torch.randn(stage_size)
        zero = block(torch.zeros(x_size), torch.zeros(stage_size))
        if (block(x + y, stage + other) + zero - found - block(y, other)).abs().max() < 1e-4:
            raise Wrong(where, "it is linear: nothing in it bends", "A ReLU is missing.")
    slopes = gradients(block, x, stage)
    unused = [name for name, slope in slopes.items() if slope is None]
    if unused:
        raise Wrong(where, f"no gradient reaches {', '.join(unused)}", "Is that layer used in `forward`?")


def gradients(block: nn.Module, x: Tensor, stage: Tensor) -> dict:
    """{parameter's name: its gradient, or None}."""
    names, parameters = zip(*block.named_parameters())
    found = block.train()(x, stage).square().sum()
    slopes = torch.autograd.grad(found, parameters, allow_unused=True) if found.requires_grad else [None] * len(names)
    return dict(zip(names, slopes))
