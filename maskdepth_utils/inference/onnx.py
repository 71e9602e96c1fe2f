"""The network as an ONNX file, which other languages and runtimes can run. Used in notebook 05."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ..camera import MAX_DEPTH
from ..files import write_file
from ..models.networks import to_mask_depth
from .predictor import Predictor

if TYPE_CHECKING:
    import onnx

SIZES = ((160, 160), (96, 213))  # (H, W) at which the written file is compared with the network
TOLERANCE = 1e-3


class OnnxError(RuntimeError):
    """The file could not be written, or does not compute what the network computes."""


class Deployed(nn.Module):
    """A network whose outputs are named and in units: probabilities, and metres for the canonical camera."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, background: Tensor) -> dict[str, Tensor]:
        logits, depth = to_mask_depth(self.model(image, background))
        outputs = {} if logits is None else {"mask": logits.sigmoid()}
        return outputs if depth is None else outputs | {"depth": depth * MAX_DEPTH}


def write_onnx(predictor: Predictor, path: str | Path) -> dict:
    """Write a predictor's network to `path`, after comparing it with what onnxruntime computes; return facts about it.

    Inputs of the file are `image` and `background`, float32 (N, 3, H, W) in [0, 1] with H, W >= 32; outputs are `mask`,
    probabilities, and `depth`, metres for a camera of 60 degrees at 1.5 m, both (N, 1, H, W). Weights that fp16 holds
    exactly, as those that ship, are stored in fp16 (see `halve_weights`).

    Raises:
        OnnxError: A library is missing or too old, or a result differs by more than 1e-3; nothing is written then.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter needs it, and its own message is less clear)
    except ImportError as error:
        raise OnnxError(f"{error.name} is not installed: pip install onnxruntime onnxscript") from error
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7):  # which cannot name dimensions
        raise OnnxError(f"export to ONNX: expected PyTorch 2.7 or newer, found {torch.__version__}")
    model = Deployed(copy.deepcopy(predictor.model).cpu().float()).eval()  # a copy: the predictor stays as it is
    example = torch.rand(2, 2, 3, 160, 192).unbind()  # no size that could pass for a constant
    names = list(model(*example))
    named = {0: "batch", 2: "height", 3: "width"}  # torch warns if the second input names the same dimensions
    program = torch.onnx.export(
        model, example, dynamo=True, verbose=False, input_names=["image", "background"], output_names=names,
        dynamic_shapes=[named, dict.fromkeys(named, torch.export.Dim.DYNAMIC)],
    )  # fmt: skip
    content = halve_weights(program.model_proto, model).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    differences = []
    for size in SIZES:
        inputs = {name: torch.rand(1, 3, *size) for name in ("image", "background")}
        found = session.run(names, {name: tensor.numpy() for name, tensor in inputs.items()})
        with torch.no_grad():
            expected = model(**inputs)
        differences += [np.abs(a - expected[name].numpy()).max() for a, name in zip(found, names)]
    worst = float(np.max(differences))
    if not worst <= TOLERANCE:  # nor if it is NaN
        raise OnnxError(f"{path}: not written, as its results differ by {worst:.2g} from the network's")
    write_file(Path(path), content)
    return {"saved_to": str(path), "megabytes": len(content) / 1e6, "largest_difference": worst, "outputs": names}


def halve_weights(file: "onnx.ModelProto", model: nn.Module) -> "onnx.ModelProto":
    """Store in fp16 what loses nothing by it: half the bytes for the same results. Return `file`, changed in place.

    The exporter has multiplied a convolution's weights by the factors of the BatchNorm after it. The weights themselves
    go into the file again, as fp16, beside one float32 factor per output channel; runtimes multiply them once, when
    they load the file. Notes of the exporter, such as paths of source files, are dropped.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph, weights, restoring = file.graph, model.state_dict(), []
    for tensor in graph.initializer:
        name = tensor.name
        if name not in weights or weights[name].ndim != 4:
            continue
        folded, half = numpy_helper.to_array(tensor), weights[name].numpy().astype(np.float16)
        stored = half.astype(np.float32)
        power = np.maximum((stored * stored).sum((1, 2, 3), keepdims=True), 1e-30)
        factor = np.float32((folded * stored).sum((1, 2, 3), keepdims=True) / power)
        if not np.abs(stored * factor - folded).max() <= 1e-6 * np.abs(folded).max():
            continue
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        graph.initializer.append(numpy_helper.from_array(factor, f"{name}.factor"))
        restoring += [
            helper.make_node("Cast", [f"{name}.half"], [f"{name}.float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.float", f"{name}.factor"], [name]),
        ]
    nodes = [*restoring, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)
    for noted in (file, graph, *graph.node):
        noted.ClearField("metadata_props")
    return file
