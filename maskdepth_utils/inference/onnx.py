"""The network as an ONNX file, which other languages and runtimes can run. Notebook 07 says how."""

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
    exactly, like those that ship, are stored in fp16 (see `halve_weights`).

    Raises:
        OnnxError: A library is missing or too old, or a result differs by more than 1e-3; nothing is written then.
    """
    try:
        import onnxruntime
        from onnxscript import optimizer
    except ImportError as error:
        raise OnnxError(f"{error.name} is not installed: pip install onnxruntime onnxscript") from error
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7):  # which cannot name dimensions
        raise OnnxError(f"export to ONNX: expected PyTorch 2.7 or newer, found {torch.__version__}")
    model = Deployed(copy.deepcopy(predictor.model).cpu().float()).eval()  # a copy: the predictor stays as it is
    example = torch.rand(2, 2, 3, 160, 192).unbind()  # no size that could pass for a constant
    names = list(model(*example))
    named = {0: "batch", 2: "height", 3: "width"}  # torch warns if the second input names the same dimensions
    program = torch.onnx.export(
        model, example, dynamo=True, verbose=False, optimize=False,
        input_names=["image", "background"], output_names=names,
        dynamic_shapes=[named, dict.fromkeys(named, torch.export.Dim.DYNAMIC)],
    )  # fmt: skip
    # Compute now, instead of at every run, what is constant. The exporter's own optimisation does more, which
    # onnxruntime does anyway, and one thing too many: it takes small constants for zero, such as the 1e-8 in
    # `object_shares`, which matters wherever two pictures are equal.
    optimizer.inline(program.model)
    optimizer.fold_constants(program.model)
    optimizer.remove_unused_nodes(program.model)
    file = program.model_proto
    halve_weights(file)
    content = file.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    differences = []
    for size in SIZES:
        image = torch.rand(1, 3, *size)
        background = image.clone()  # as in a pair of photos, most pixels do not differ
        background[..., 20:60, 20:60] = 0.5
        inputs = {"image": image, "background": background}
        found = session.run(names, {name: tensor.numpy() for name, tensor in inputs.items()})
        with torch.no_grad():
            expected = model(**inputs)
        differences += [np.abs(a - expected[name].numpy()).max() for a, name in zip(found, names)]
    worst = float(np.max(differences))
    if not worst <= TOLERANCE:  # nor if it is NaN
        raise OnnxError(f"{path}: not written, as its results differ by {worst:.2g} from the network's")
    write_file(Path(path), content)
    return {"saved_to": str(path), "megabytes": len(content) / 1e6, "largest_difference": worst, "outputs": names}


def halve_weights(file: "onnx.ModelProto") -> None:
    """Store weights that fp16 holds exactly in fp16, in place: half the bytes, and the same results.

    A node turns each of them into float32 again; runtimes do so once, when they load the file. Notes of the exporter,
    such as paths of source files, are dropped.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph, restoring = file.graph, []
    for tensor in graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.ndim < 2:
            continue
        with np.errstate(over="ignore"):
            half, name = weights.astype(np.float16), tensor.name
        if np.array_equal(half, weights):
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            restoring.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*restoring, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)
    for noted in (file, graph, *graph.node):
        noted.ClearField("metadata_props")
