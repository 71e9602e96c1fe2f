"""The course on a second device, whose tensors the CPU must not touch: what a GPU would refuse fails here, too.

The device is written in C++, see second_device.cpp. MASKDEPTH_COMPILER=required makes a missing compiler a failure.
"""

import linecache
import os
import re
import shutil
import types
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager
from matplotlib_inline import backend_inline
from notebook_files import find_notebooks, is_lesson, label, read
from small_training import Squares, figures, new_net, small_fit

from maskdepth_utils import baselines, devices, evaluation, load_pretrained, metrics, plots, training
from maskdepth_utils.course import checks
from maskdepth_utils.course.widgets import faults, feature_maps
from maskdepth_utils.data import library, make_loader
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.inference import onnx, predictor
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.training import fit, loop

TINY = {  # in the `numbers` of a notebook's fast profile
    "02_mask_net": {"batch": 2, "steps": 5, "more_steps": 20, "held_out": 32},
    "03_mask_depth_net": {"width": 0.25, "steps": 4, "steps_160": 1, "val": 8, "test": 8},
    "04_loss_ablation": {"train": 32, "val": 24, "start_steps": 1, "gray_steps": 6, "steps": 1, "seeds": 2},
    "05_evaluation": {"test": 6, "fit": 8},
    "06_speed_and_scale": {"samples": 50, "stored": 10, "seconds": 0.0, "steps": 1},
    "07_playground": {"scenes": 1},
    "differences_and_matting": {"steps": 2, "tested": 4},
}  # fmt: skip
CPU_ONLY = re.compile(r"torch\.linspace|print_summary|gradient_field")  # such cells take seconds
CPU_FROM = re.compile(r"## \d A run that survives")  # the rest of 06 is on the CPU by its own choice
PATHS = find_notebooks(solutions=True)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """The device "second", from here to the end of the process."""
    missing = [tool for tool in ("c++", "ninja") if shutil.which(tool) is None]
    if missing:
        required = os.environ.get("MASKDEPTH_COMPILER") == "required"
        (pytest.fail if required else pytest.skip)(f"not found: {', '.join(missing)}; apt install g++ ninja-build")
    cpp_extension = pytest.importorskip("torch.utils.cpp_extension")
    source = Path(__file__).with_name("second_device.cpp")
    cpp_extension.load(
        "second_device", [str(source)], extra_cflags=["-O0", "-w"], is_python_module=False,
        build_directory=str(tmp_path_factory.mktemp("build")),
    )  # fmt: skip
    torch.utils.rename_privateuse1_backend("second")
    module = types.ModuleType("torch.second")
    module.is_available = module._is_in_bad_fork = lambda: False
    module.manual_seed_all = lambda seed: None
    module.get_amp_supported_dtype = list
    module.synchronize = lambda: None
    torch._register_device_module("second", module)


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    """The second device wherever the package chooses one, as it would choose a GPU."""

    def choose_device(device="auto"):
        return torch.device("second" if device == "auto" else device)

    for module in (devices, loop, predictor):
        monkeypatch.setattr(module, "choose_device", choose_device)


def test_refuses_what_a_gpu_refuses():
    x = torch.ones(3, device="second")
    assert (2 * x + torch.tensor(1.0)).sum().item() == 9
    with pytest.raises(RuntimeError, match="same device"):
        x + torch.ones(3)
    with pytest.raises(RuntimeError, match="same device"):
        torch.cat([x, torch.ones(3)])
    with pytest.raises(TypeError, match="cpu"):
        x.numpy()
    with pytest.raises(RuntimeError, match="float64"):
        x.double()


def marks(path):
    """The slowest notebooks, 06 and the extras, run with those that are run as a whole."""
    return pytest.mark.notebooks if path.stem.startswith("06") or "extras" in path.parts else ()


def evaluate_four(predict, loader, **options):
    """`evaluate` on the first four samples."""
    return evaluate(predict, [{name: values[:4] for name, values in next(iter(loader)).items()}], **options)


@pytest.mark.parametrize("path", [pytest.param(path, marks=marks(path), id=label(path)) for path in PATHS])
def test_notebook(path, monkeypatch):
    monkeypatch.setattr(backend_inline, "set_matplotlib_formats", lambda *formats, **options: None)
    all_scenes = library.scene_names
    monkeypatch.setattr(library, "scene_names", lambda *args, **options: all_scenes(*args, **options)[:4])
    monkeypatch.setattr(training, "fit", lambda *args, **options: fit(*args, **options | {"batch": 2}))
    if path.stem != "05_evaluation":  # its own mean is to equal that of `evaluate`
        monkeypatch.setattr(evaluation, "evaluate", evaluate_four)
    transform, names = TransformerManager().transform_cell, {}
    nb, tiny = read(path), TINY.get(path.stem, {})
    for number, cell in enumerate(nb.cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and CPU_FROM.match(cell.source):
            break
        if cell.cell_type != "code" or CPU_ONLY.search(cell.source) or ("exercise" in tags and is_lesson(path)):
            continue
        source = 'profile = "fast"' if "parameters" in tags else transform(cell.source)
        source = re.sub(r"^(?=numbers.* = PROFILES)", f"PROFILES['fast'] |= {tiny}\n", source, flags=re.MULTILINE)
        name = f"<{label(path)}, cell {number}>"
        linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name  # 06 looks into its own code
        exec(compile(source, name, "exec"), names)
    if any("device = choose_device()" in cell.source for cell in nb.cells):
        assert names["device"].type == "second"


def test_fit_and_evaluate_as_on_the_cpu(tmp_path):
    results = {}
    options = {"precision": "float32", "optimizer": "adamw", "val": (Squares(4), 2)}
    for device in ("cpu", "auto"):
        model = new_net(MaskDepthNet, width=0.125)
        run = partial(small_fit, model, tmp_path / device, device=device, **options)
        run(steps=2)
        resumed = figures(run(steps=3))
        results[device] = resumed, evaluate(network_predict(model), make_loader(Squares(4), batch=4))
    assert next(model.parameters()).device.type == "second"
    assert results["auto"] == results["cpu"]


def test_predictor_export_and_a_widget(tmp_path):
    image, background = (np.uint8(255 * Squares()[0][name].permute(1, 2, 0)) for name in ("image", "background"))
    found, expected = (load_pretrained(device=device).predict(image, background) for device in ("auto", "cpu"))
    assert np.array_equal(found.mask, expected.mask) and np.array_equal(found.depth, expected.depth)
    small = predictor.Predictor(new_net(width=4), {})
    assert onnx.write_onnx(small, tmp_path / "small.onnx")["largest_difference"] < 1e-4
    feature_maps(predictor.Predictor(new_net(MaskDepthNet, width=0.125), {}), image, background)


def test_its_tensors_are_welcome_everywhere():
    sample = {name: values.to("second") for name, values in Squares()[0].items()}
    batch = {name: values[None] for name, values in sample.items()}
    output = new_net(MaskDepthNet, width=0.125).to("second").eval()(batch["image"], batch["background"])
    plots.show_sample(sample)
    plots.show_batch([sample])
    plots.show_predictions([sample], [output])
    plots.show_prediction(sample["image"], sample["background"], output)
    for baseline in (baselines.DifferenceThreshold(), baselines.MeanDepth()):
        assert evaluate(baseline.fit([batch]), [batch])["images"] == 1
    assert checks.check_iou(lambda *masks: metrics.iou(*(mask.to("second") for mask in masks)))
    assert checks.check_bce(lambda x, y: torch.nn.functional.softplus(x.to("second")).mean() - (x * y).mean())
    for task, fault in (("depth", faults.Fault(blur=1.0, noise=0.5)), ("mask", faults.PLAIN_GRAY)):
        assert faults.report_losses(batch[task], faults.spoil(batch[task], fault, task), task)
