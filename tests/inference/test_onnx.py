"""The network as an ONNX file, run by onnxruntime."""

import numpy as np
import pytest
import torch

from maskdepth_utils.inference.onnx import Deployed, write_onnx
from maskdepth_utils.inference.predictor import Predictor
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.networks import count_parameters


@pytest.mark.slow
def test_onnxruntime_runs_the_file_at_any_size(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("torch", "2.7", reason=f"PyTorch {torch.__version__} is too old for this export: it says so")
    path = tmp_path / "net.onnx"
    model = MaskDepthNet(width=0.125).half().float()  # weights as in a file that ships
    facts = write_onnx(Predictor(model, {}, "cpu"), path)
    assert facts["largest_difference"] < 1e-3 and facts["outputs"] == ["mask", "depth"]
    assert facts["megabytes"] < 2.1e-6 * count_parameters(model) + 0.3  # two bytes for a weight
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for value in (*session.get_inputs(), *session.get_outputs()):
        assert value.shape == ["batch", 1 if value.name in facts["outputs"] else 3, "height", "width"]
    for count, height, width in ((1, 64, 64), (3, 96, 160)):
        pictures = np.zeros((count, 3, height, width), np.float32)
        mask, depth = session.run(["mask", "depth"], {"image": pictures, "background": pictures})
        assert mask.shape == depth.shape == (count, 1, height, width)


@pytest.mark.parametrize("task", ["mask", "depth"])
def test_a_network_with_one_output_has_one_name(task):
    pictures = torch.zeros(1, 3, 64, 64)
    deployed = Deployed(MaskDepthNet(width=0.125, tasks=[task])).eval()
    assert list(deployed(pictures, pictures)) == [task]
