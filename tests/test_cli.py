"""The command line as a newcomer meets it: help, results, --json, and errors in one line."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch

from maskdepth_utils import evaluation, losses
from maskdepth_utils.__main__ import GAPS, TASKS, main, make_parser
from maskdepth_utils.cli import finite
from maskdepth_utils.data import MaskDepthDataset, shots
from maskdepth_utils.data.storage.arrays import ArrayDataset
from maskdepth_utils.data.storage.shards import ShardDataset
from maskdepth_utils.inference.onnx import write_onnx
from maskdepth_utils.inference.predictor import Predictor
from maskdepth_utils.models import MaskDepthNet, networks
from maskdepth_utils.models.weights import list_run, read_weights, save_pretrained
from maskdepth_utils.training import checkpoint

TINY = "--size 80 --rooms 3 --batch 2 --width 0.125 --val-samples 2 --workers 0 --threads 1"


@pytest.fixture(autouse=True)
def threads():
    """--threads outlives the command."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    cv2.setNumThreads(before)


@pytest.fixture
def network(data, tmp_path):
    """A file with a small untrained network."""
    torch.manual_seed(0)
    save_pretrained(MaskDepthNet(width=0.125), tmp_path / "net.safetensors", size=160)
    return tmp_path / "net.safetensors"


def run(text, capsys, code=0):
    """Run a command in this process; its standard output and error."""
    try:
        got = main(text.split())
    except SystemExit as stopped:  # argparse's own errors and --help
        got = stopped.code
    captured = capsys.readouterr()
    assert got == code, captured.err
    return captured.out, captured.err


def test_help_tells_every_command_and_option(capsys):
    text, _ = run("--help", capsys)
    for command in ("train", "evaluate", "predict", "export", "bench"):
        assert command in text
        own, _ = run(f"{command} --help", capsys)
        assert "--json" in own and "--threads" in own
    text, _ = run("train --help", capsys)
    assert "learning rate (default: 0.01)" in " ".join(text.split()) and "None" not in text


def test_help_comes_without_loading_pytorch():
    code = "import sys; from maskdepth_utils.__main__ import make_parser; make_parser(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_train_saves_goes_on_and_writes_a_network(data, tmp_path, capsys):
    out, net = tmp_path / "run", tmp_path / "net.safetensors"
    text, _ = run(f"train --out {out} --steps 4 --val-every 2 {TINY}", capsys)
    assert "finished: True" in text and "Finished: 4 steps" in text
    assert [path.name for path in list_run(out)] == ["step-00000004"]  # 5 minutes had not passed before
    text, progress = run(f"train --out {out} --steps 6 --save-minutes 0 --save-to {net} --json {TINY}", capsys)
    result = json.loads(text)  # nothing else on the standard output
    assert (result["step"], result["finished"], result["saved_to"]) == (6, True, str(net))
    assert result["last"]["loss"] > 0 and "going on from step 4 of 6" in progress
    assert [path.name for path in list_run(out)] == ["step-00000006", "step-00000005"]
    _, metadata = read_weights(net)
    assert metadata["arguments"]["width"] == 0.125 and metadata["training"]["step"] == 6
    # the next stage starts from it
    text, _ = run(f"train --out {tmp_path / 'two'} --init {net} --steps 1 --json {TINY.replace('80', '160')}", capsys)
    assert json.loads(text)["step"] == 1


def test_train_takes_its_options(data, tmp_path, capsys):
    run(
        f"train --out {tmp_path} --samples 4 --mask-loss bce=1 ssim=0 --depth-loss l1=2 --uncertainty "
        "--mask-ssim-on logits "
        f"--optimizer adamw --schedule one-cycle --lr 0.001 --full-size-lr 5 --gap none --no-skips --detail on "
        f"--precision float32 {TINY}",
        capsys,
    )
    config = json.loads((list_run(tmp_path)[0] / "state.json").read_text())["config"]
    assert config["steps"] == 2 and config["optimizer"] == "AdamW" and config["weighting"] == "UncertaintyWeighting"
    arguments = config["network"]["arguments"]
    assert arguments["skips"] is False and arguments["detail"] is True and config["dataset"]["gap"] == "none"
    assert config["loss"]["mask"] == "{'bce': 1.0, 'ssim': 0.0, 'ssim_on': 'logits'}"
    assert config["loss"]["depth"] == "{'l1': 2.0}"
    assert config["lr"] == 0.001 and list(config["lr_factors"].values()) == [5.0]


def test_the_options_offer_what_the_package_has():
    """They are written down again where PyTorch is not loaded, so that --help comes at once."""
    assert GAPS == shots.GAPS and tuple(TASKS) == networks.TASKS
    for option, table in (("--mask-loss", losses.MASK_TERMS), ("--depth-loss", losses.DEPTH_TERMS)):
        terms = list(table)
        parsed = make_parser().parse_args(["train", "--out", "x", option, *(f"{term}=1" for term in terms)])
        assert len(terms) == 4 and [name for name, _ in getattr(parsed, option[2:].replace("-", "_"))] == terms


def test_options_that_do_not_fit_are_refused_before_anything_is_written(data, tmp_path, capsys):
    for options, message in (
        ("--mask-loss nonsense=1", "expected one of bce, ssim, dice, cut; found nonsense"),
        ("--network MaskNet --imagenet --depth-loss l1=1", "--imagenet, --depth-loss: for MaskDepthNet only"),
        ("--network MaskNet --width 0.5", "--width: expected MaskNet's channels"),
        ("--width 0", "width: expected a factor above 0, found 0"),
    ):
        _, error = run(f"train --out {tmp_path / 'run'} --steps 1 {options}", capsys, code=2)
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_full_size_layers_can_be_kept_as_they_are(data, network, tmp_path, capsys):
    run(f"train --out {tmp_path / 'run'} --init {network} --steps 2 --full-size-lr 0 {TINY}", capsys)
    trained, _ = read_weights(list_run(tmp_path / "run")[0] / "model.safetensors")
    before, _ = read_weights(network)
    kept = {name for name, tensor in before.items() if torch.equal(tensor.float(), trained[name])}
    assert "detail.0.0.weight" in kept and "encoder.conv1.weight" not in kept


def test_a_network_for_the_mask_alone(data, tmp_path, capsys):
    run(f"train --out {tmp_path} --steps 1 --tasks mask {TINY}", capsys)
    text, _ = run(f"evaluate --checkpoint {tmp_path} --count 2 --size 80 --no-baselines --json", capsys)
    figures = json.loads(text)["results"]["MaskDepthNet"]
    assert 0 <= figures["iou"] <= 1 and "rmse" not in figures


def test_evaluate_beside_the_baselines(network, capsys):
    text, _ = run(f"evaluate --checkpoint {network} --count 4 --size 80 --rooms 3 --json", capsys)
    result = json.loads(text)
    assert result["images"] == 4 and result["gap"] == "tripod"
    assert set(result["results"]) == {
        "MaskDepthNet", "difference threshold", "one constant depth", "mean depth per pixel",
        "empty room's depth (oracle)",
    }  # fmt: skip
    figures = result["results"]
    assert {"iou", "rmse", "abs_rel", "delta1"} <= figures["MaskDepthNet"].keys()
    assert figures["empty room's depth (oracle)"]["rmse"] < figures["one constant depth"]["rmse"]
    assert (
        figures["empty room's depth (oracle)"]["rmse"] < result["on_the_object"]["empty room's depth (oracle)"]["rmse"]
    )
    assert set(result["near_its_outline"]) == set(result["on_the_object"]) == set(figures) - {"difference threshold"}
    ours, interval = figures["MaskDepthNet"], result["intervals"]
    assert all(interval[name]["low"] <= ours[name] <= interval[name]["high"] for name in ("iou", "rmse", "delta1"))
    for groups in ("by_size", "by_distance", "by_kind"):
        rows = result[groups].values()
        assert sum(row["images"] for row in rows) == 4
        assert sum(row["images"] * row["iou"] for row in rows) == pytest.approx(4 * ours["iou"])
    text, _ = run(f"evaluate --checkpoint {network} --count 2 --scenes --gap none --no-baselines", capsys)
    assert re.search(r"results +iou +dice", text) and re.search(r"MaskDepthNet +\d", text) and "scenes" in text


@pytest.mark.parametrize("scenes, gap", [("--scenes", "tripod"), ("", "none")])
def test_scenes_get_a_threshold_that_knows_shadows(network, capsys, monkeypatch, scenes, gap):
    made = []

    def dataset(split, **options):
        made.append((split, options["gap"]))
        return MaskDepthDataset(split, **options)

    monkeypatch.setattr(evaluation, "MaskDepthDataset", dataset)
    run(f"evaluate --checkpoint {network} --count 2 --size 80 --rooms 3 --gap none {scenes}", capsys)
    assert ("val", gap) in made


def test_predict_writes_pictures_in_metres(network, tmp_path, capsys):
    scene = "scene_000"
    from maskdepth_utils.files import data_dir

    image, background = (data_dir() / "scenes" / f"{scene}{end}.webp" for end in ("", "_background"))
    out = tmp_path / "new" / "folder"
    text, _ = run(f"predict {image} {background} -o {out} --checkpoint {network} --json", capsys)
    result = json.loads(text)
    mask, depth = (cv2.imread(str(out / name), cv2.IMREAD_UNCHANGED) for name in ("mask.png", "depth.png"))
    assert mask.shape == depth.shape == (160, 160) and mask.dtype == np.uint8 and depth.dtype == np.uint16
    assert depth.min() / 1000 == pytest.approx(result["nearest_m"], abs=0.01)
    assert result["object_share"] == pytest.approx((mask > 127).mean(), abs=0.01)
    assert cv2.imread(str(out / "preview.png")).shape[1] > 1000
    assert cv2.imread(str(out / "depth_preview.png")).shape == (160, 160, 3)
    cut = cv2.imread(str(out / "cutout.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(cut[..., 3], mask)
    np.testing.assert_array_equal(cut[..., :3], cv2.imread(str(image)))
    text, _ = run(f"predict {image} {background} -o {out} --checkpoint {network} --align --json", capsys)
    assert "left as it was" in json.loads(text)["aligned"]
    text, _ = run(f"predict {image} {background} -o {out} --checkpoint {network} --eye-height 3 --json", capsys)
    assert json.loads(text)["nearest_m"] == pytest.approx(2 * result["nearest_m"], abs=0.02)


def test_export_can_be_read_back(data, tmp_path, capsys):
    from maskdepth_utils.data import ZipDataset

    text, _ = run(f"export -o {tmp_path / 'zips'} --split test --start 2 --count 3 --size 80 --json", capsys)
    result = json.loads(text)
    assert (result["samples"], result["first"], result["last"]) == (3, 2, 4)
    assert len(ZipDataset(tmp_path / "zips", size=80)) == 3
    _, error = run(f"export -o {tmp_path / 'zips'} --split test --count 3", capsys, code=2)
    assert "already has" in error


@pytest.mark.parametrize("name, reader", [("webdataset", ShardDataset), ("arrays", ArrayDataset)])
def test_export_in_other_formats(data, tmp_path, capsys, name, reader):
    command = f"export -o {tmp_path / name} --format {name} --split test --count 3 --size 80 --per-shard 2 --json"
    text, _ = run(command, capsys)
    assert json.loads(text)["samples"] == 3 and json.loads(text)["format"] == name
    assert len(list(reader(tmp_path / name, 80))) == 3


def test_predict_leaves_nothing_of_another_pair_and_no_nonsense(network, tmp_path, capsys):
    photo, mask_only = np.full((64, 96, 3), 90, np.uint8), tmp_path / "mask.safetensors"
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    save_pretrained(MaskDepthNet(width=0.125, tasks=["mask"]), mask_only, size=160)
    out = tmp_path / "out"
    command = f"predict {tmp_path / 'a.png'} {tmp_path / 'a.png'} -o {out} --json"
    text, _ = run(f"{command} --checkpoint {network} --fov 10 --eye-height 60", capsys)
    assert json.loads(text)["share_beyond_65_m"] > 0  # depth.png's 16 bits end there
    assert (out / "depth.png").is_file()
    run(f"{command} --checkpoint {mask_only}", capsys)
    assert sorted(path.name for path in out.iterdir()) == ["cutout.png", "mask.png", "preview.png"]
    for wrong, message in (
        ("--eye-height inf", "eye_height: expected metres above the floor, 0.01 to 100; found inf"),
        ("--fov 179.5", "fov: expected the horizontal field of view in degrees, 1 to 179; found 179.5"),
        (f"--out {tmp_path / 'a.png'}", "a.png cannot be written, it is a file (expected a folder)"),
    ):
        _, error = run(f"{command} --checkpoint {network} {wrong}", capsys, code=2)
        assert message in error
    _, error = run(f"predict {tmp_path} {tmp_path / 'a.png'} -o {out} --checkpoint {network}", capsys, code=2)
    assert "is a folder, expected a picture" in error


def test_json_stays_json_without_finite_numbers():
    result = {"a": math.nan, "b": [math.inf, 1.0], "c": {"d": "x"}}
    assert finite(result) == {"a": None, "b": [None, 1.0], "c": {"d": "x"}}


def test_evaluate_takes_the_networks_own_size(network, capsys):
    text, error = run(f"evaluate --checkpoint {network} --count 2 --rooms 3 --no-baselines --json", capsys)
    assert json.loads(text)["size"] == 160 and "note" not in error
    text, error = run(f"evaluate --checkpoint {network} --count 2 --rooms 3 --no-baselines --size 80 --json", capsys)
    assert json.loads(text)["size"] == 80 and "trained at 160 px" in error


def test_export_onnx_writes_what_onnxruntime_runs(network, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    if not hasattr(torch.export.Dim, "DYNAMIC"):
        pytest.skip(f"PyTorch {torch.__version__} is too old for this export: it says so")
    path = tmp_path / "net.onnx"
    text, _ = run(f"export --onnx {path} --checkpoint {network} --json", capsys)
    assert json.loads(text)["largest_difference"] < 1e-3
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count, height, width in ((1, 64, 64), (3, 96, 160)):
        pictures = np.zeros((count, 3, height, width), np.float32)
        mask, depth = session.run(["mask", "depth"], {"image": pictures, "background": pictures})
        assert mask.shape == depth.shape == (count, 1, height, width)
    for tasks in (["mask"], ["depth"]):
        predictor = Predictor(MaskDepthNet(width=0.125, tasks=tasks), {}, "cpu")
        assert write_onnx(predictor, tmp_path / "one.onnx")["outputs"] == tasks
    _, error = run("export --count 3", capsys, code=2)
    assert "expected --out DIR for samples, or --onnx FILE" in error


def test_bench_measures(data, capsys, monkeypatch):
    from maskdepth_utils.course import bench

    monkeypatch.setattr(bench.bench_data, "__defaults__", ((80,), 2, (0, 1)))
    monkeypatch.setattr(bench.bench_losses, "__defaults__", ((32,), 2))
    text, _ = run("bench data losses --seconds 0.02 --json", capsys)
    result = json.loads(text)
    assert result["data"]["80 px, handheld"]["0 workers, samples/s"] > 1
    assert result["losses"]["ssim"]["32 px, ms"] > 0 and result["machine"]["torch"]
    assert not [name for name in result if "reference" in name]  # this data folder has no stored run
    steps = bench.bench_step(torch.device("cpu"), 0.02, sizes=(32,), batch=2)
    assert steps["MaskNet, 32 px, float32"]["images/s"] > 1


def test_bench_is_compared_with_the_stored_run(own_data, capsys, monkeypatch):
    from maskdepth_utils.course import bench

    stored = {"ssim": {"32 px, ms": 1000.0}, "of another version": {"32 px, ms": 1.0}}
    (own_data / "results").mkdir(exist_ok=True)
    (own_data / "results" / "bench.json").write_text(json.dumps({"results": {"losses": stored, "data": {}}}))
    monkeypatch.setattr(bench, "bench_losses", lambda device, seconds: {"ssim": {"32 px, ms": 1500.0}, "l1": {}})
    text, _ = run("bench losses --json", capsys)
    assert json.loads(text)["losses, here / reference"] == {"ssim": {"32 px, ms": 1.5}}
    text, _ = run("bench losses", capsys)
    assert "losses, here / reference" in text


def test_bench_compares_formats(data):
    from maskdepth_utils.course import bench

    rows = bench.bench_formats(torch.device("cpu"), 0.05, sizes=(80,), batches=(2,), workers=(0, 1), samples=6)
    expected = {"composed, none", "zip, as in 2020", "single files", "tar shards", "memory-mapped arrays"}
    assert {name.split(", ", 1)[1] for name in rows} >= expected
    for row in rows.values():
        assert row["0 workers, batch 2, samples/s"] > 0 and row["1 workers, batch 2, samples/s"] > 0
    assert rows["80 px, memory-mapped arrays"]["kB/sample"] > rows["80 px, zip, as in 2020"]["kB/sample"]



def test_errors_are_one_line_and_exit_code_2(network, own_data, tmp_path, capsys):
    photo = np.zeros((64, 64, 3), np.uint8)
    for name, picture in (("a.png", photo), ("b.png", photo[:50])):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "file").write_text("")
    a, b, out = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out"
    for command, message in [
        ("", "the following arguments are required: COMMAND"),
        ("fly", "invalid choice: 'fly'"),
        ("train", "required: --out"),
        ("train --out x --batch 0", "expected a whole number above 0, found 0"),
        ("train --out x --mask-loss ssim", "expected TERM=WEIGHT, such as ssim=1; found ssim"),
        (f"train --out {out} --rooms 4000", "rooms must be 1 to"),
        (f"train --out {tmp_path / 'file'} {TINY}", "not a folder"),
        (f"train --out {out} --init {tmp_path / 'no'} {TINY}", "no: no such checkpoint"),
        (f"predict {a} {b} -o {out} --checkpoint {network}", "expected equal sizes, found 64 x 64 and 64 x 50"),
        (f"predict {a} {tmp_path / 'c.png'} -o {out} --checkpoint {network}", "background: no such file"),
        (f"predict {a} {a} -o {out} --checkpoint {network} --fov 190", "fov: expected"),
        (f"predict {a} {a} -o {out}", "the shipped network is missing"),
        (f"predict {a} {a} -o {tmp_path / 'file'} --checkpoint {network}", "cannot be written"),
        (f"evaluate --checkpoint {a}", "a.png: damaged, or no safetensors file"),
        ("bench flight", "bench: expected data, formats, step, losses; found flight"),
        (f"export -o {out} --rooms 3 --start 999999999", "--start: expected a sample of 0 to"),
    ]:
        text, error = run(command, capsys, code=2)
        assert message in error and error.startswith("error: ") and error.count("\n") == 1, error
        assert text == "" and not out.exists()


def test_without_data_it_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MASKDEPTH_DATA", str(tmp_path / "nowhere"))
    _, error = run(f"train --out {tmp_path / 'run'} --steps 1", capsys, code=2)
    assert "nowhere" in error and error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers, sent", [(0, signal.SIGINT), (1, signal.SIGINT), (1, signal.SIGTERM)])
def test_a_signal_to_all_processes_saves_and_the_same_command_goes_on(data, tmp_path, workers, sent):
    """SIGINT to the whole process group, as a terminal sends it; SIGTERM, as a machine that shuts down."""
    command = f"train --out {tmp_path} --samples 100000 {TINY.replace('--workers 0', f'--workers {workers}')}"
    process = subprocess.Popen(
        [sys.executable, "-m", "maskdepth_utils", *command.split()],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("tensorboard/*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(3)
    os.killpg(process.pid, sent)
    text, _ = process.communicate(timeout=200)
    assert process.returncode == 0, text
    reason = "Ctrl-C" if sent == signal.SIGINT else "the system (SIGTERM)"
    assert f"Stopped by {reason} at step" in text and "To go on" in text and "Traceback" not in text
    step = checkpoint.newest_step(tmp_path)
    assert step > 0
    done = subprocess.run(
        [sys.executable, "-m", "maskdepth_utils", *command.split(), "--max-minutes", "0", "--json"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["step"] == step + 1
