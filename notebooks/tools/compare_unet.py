"""Our network compared with a well-known library's: segmentation_models_pytorch's Unet with a ResNet18 encoder.

    pip install segmentation-models-pytorch onnxruntime onnxscript
    python notebooks/tools/compare_unet.py              # at 80 px; an hour or less on a CPU; can be stopped and started
    python notebooks/tools/compare_unet.py --size 160   # hours

Both start at random and see the same samples in the same order, with losses, optimizer and schedule of recipe.json's
last stage of that size and a quarter of its samples; both are tested on the same samples and timed in turns.
Everything goes to data/results/compare_unet.json, one report per size.
"""

import functools
from argparse import Namespace

import onnxruntime
import segmentation_models_pytorch as smp
import torch
from notebook_files import ROOT, read_json, tool_parser, write_json
from results import CHECKPOINTS, RESULTS, fit_as_commanded, timed_report
from torch import nn
from torch.utils.data import Subset
from train_network import stages

from maskdepth_utils.__main__ import make_parser
from maskdepth_utils.cli import new_network
from maskdepth_utils.course.bench import measure, step_function
from maskdepth_utils.data import MaskDepthDataset, make_loader
from maskdepth_utils.devices import choose_device, choose_precision
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.inference.onnx import Deployed
from maskdepth_utils.models.networks import MaskDepth, count_parameters
from maskdepth_utils.tables import format_results

STORED = RESULTS / "compare_unet.json"
SIZE = 160  # pixels of the timed predictions
TESTED = 400  # test samples


class Unet(nn.Module):
    """smp's Unet-ResNet18 with our interface: six channels in, mask logits and depth in [0, 1] out."""

    def __init__(self):
        super().__init__()
        self.net = smp.Unet("resnet18", encoder_weights=None, in_channels=6, classes=2)

    def forward(self, image, background):
        both = self.net(torch.cat([image, background], dim=1) * 2 - 1).float()
        return MaskDepth(both[:, :1], both[:, 1:].sigmoid())


def train(name: str, model: nn.Module, options: Namespace) -> dict:
    """Train (or continue); return the test figures and the images per second."""
    history = fit_as_commanded(
        model, options, out=ROOT / f"build/runs/compare-{name}-{options.size}",
        val=(MaskDepthDataset("val", options.size, "tripod"), 500), val_samples=64,
    )  # fmt: skip
    test = make_loader(Subset(MaskDepthDataset("test", options.size, "tripod"), range(TESTED)), batch=16)
    speeds = sorted(record["images_per_second"] for record in history if "images_per_second" in record)
    facts = {"parameters": count_parameters(model), "training images/s": speeds[len(speeds) // 2]}
    return facts | evaluate(network_predict(model), test)


def inference(models: dict) -> dict:
    """Measure one 160 x 160 prediction, in milliseconds: torch in float32 and at its fastest, and onnxruntime."""
    pair = tuple(torch.rand(1, 3, SIZE, SIZE) for _ in range(2))
    functions = {}
    fastest = choose_precision("auto", choose_device("cpu"))
    for name, model in models.items():
        model = model.cpu().eval().to(memory_format=torch.channels_last)
        functions[name, "torch float32, ms"] = functools.partial(predict, model, pair, False)
        functions[name, f"torch {fastest}, ms"] = functools.partial(predict, model, pair, fastest == "bf16")
        program = torch.onnx.export(Deployed(model).eval(), pair, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
        feed = dict(zip((one.name for one in session.get_inputs()), (x.numpy() for x in pair)))
        functions[name, "onnxruntime, ms"] = functools.partial(session.run, None, feed)
    times = measure(functions, 10.0)
    return {name: {how: 1000 * times[n, how] for n, how in times if n == name} for name in models}


@torch.no_grad()
def predict(model, pair, bf16: bool):
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return model(*pair)


def main() -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("--size", type=int, choices=(80, 160), default=80, help="of the pictures trained and tested on")
    parser.add_argument("--samples", type=int, help="how many (a quarter of the recipe's, if not given)")
    args = parser.parse_args()
    recipe = read_json(CHECKPOINTS / "recipe.json")["maskdepthnet"]
    every = [make_parser().parse_args(["train", *stage["options"]]) for stage in stages("maskdepthnet", recipe)]
    parsed = [one for one in every if one.size == args.size]
    options = parsed[-1]
    options.samples = args.samples or sum(one.samples for one in parsed) // 4
    options.detail = None  # the network as it is today, whatever that stage was trained with
    torch.manual_seed(0)
    models = {"MaskDepthNet": new_network(options), "smp Unet-ResNet18": Unet()}
    device = choose_device()
    precision = choose_precision("auto", device)
    command = f"python notebooks/tools/compare_unet.py --size {args.size} --samples {options.samples}"
    with timed_report(command=command, samples=options.samples) as report:
        rows = {name: train(name.split()[0], model, options) for name, model in models.items()}
        steps = {name: step_function(one, args.size, options.batch, precision, device) for name, one in models.items()}
        for name, seconds in measure(steps, 20.0).items():
            rows[name]["training step alone, images/s"] = options.batch / seconds
        for name, times in inference(models).items():
            rows[name] |= times
    report |= {"gap of the test": "tripod", "results": rows}
    print(format_results({"results": rows}))
    write_json(STORED, read_json(STORED, {}) | {f"{args.size} px": report})


if __name__ == "__main__":
    main()
