"""The command line: help, results, --json, and errors in one line."""

import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from maskdepth_utils import cli
from maskdepth_utils.__main__ import main, make_parser, to_json
from maskdepth_utils.data import MaskDepthDataset, ZipDataset
from maskdepth_utils.data.storage.arrays import ArrayDataset
from maskdepth_utils.data.storage.shards import ShardDataset
from maskdepth_utils.files import data_dir
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.weights import list_checkpoints, newest_step, read_run, read_weights, save_pretrained

ROOT = Path(__file__).resolve().parents[1]
TINY = "--size 80 --rooms 3 --batch 2 --width 0.125 --val-samples 2 --workers 0"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A file with a small untrained network."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("network") / "net.safetensors"
    save_pretrained(MaskDepthNet(width=0.125), path, size=160)
    return path


@pytest.fixture
def run(capsys):
    """Run a command in this process; returns its standard output and error."""

    def run(command, code=0):
        try:
            found = main(shlex.split(str(command)))
        except SystemExit as stopped:  # argparse's own errors and --help
            found = stopped.code
        captured = capsys.readouterr()
        assert found == code, captured.err
        return captured.out, captured.err

    return run


@pytest.fixture
def result(run):
    """Run a command with --json; returns its result. Nothing else is on the standard output."""
    return lambda command: json.loads(run(f"{command} --json")[0])


def test_help_shows_every_command(run):
    text, _ = run("--help")
    assert all(f"  {command}  " in text for command in ("train", "evaluate", "predict", "export", "bench"))


@pytest.mark.parametrize(
    "command, expected",
    [
        ("train", ["learning rate (default: 0.01)", "(default: 100000)", "(default: both)", "bce=1 ssim=1"]),
        ("evaluate", ["--scenes", "(default: tripod)", "tripod: light, noise, shadow"]),
        ("predict", ["IMAGE", "-o DIR, --out DIR", "(default: 60.0)"]),
        ("export", ["--per-shard", "(default: none)"]),
        ("bench", ["--seconds"]),
    ],
)
def test_help_of_a_command_shows_options_and_defaults(command, expected, run):
    text = " ".join(run(f"{command} --help")[0].split())
    assert all(words in text for words in (*expected, "--json", "--debug"))
    assert "default: None" not in text and "default: False" not in text


def stored_commands():
    """The commands that the README and the stored results name."""
    for path in (ROOT / "README.md", *sorted((ROOT / "data" / "results").glob("*.json*"))):
        text = path.read_text(encoding="utf8")
        yield from re.findall(r'-m maskdepth_utils ((?:train|evaluate|predict|export|bench) [^`"\n|]+)', text)


def test_stored_commands_can_still_be_parsed():
    commands = set(stored_commands())
    assert len(commands) > 100
    for command in commands:
        make_parser().parse_args(shlex.split(command))


def test_errors_are_one_line_and_exit_code_2(network, own_data, tmp_path, run):
    photo = np.zeros((64, 64, 3), np.uint8)
    for name, picture in (("a.png", photo), ("b.png", photo[:50])):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "file").write_text("")
    a, b, out = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out"
    cases = {
        "": "the following arguments are required: COMMAND",
        "fly": "invalid choice: 'fly'",
        "train": "required: --out",
        f"train --out {out} --batch 0": "batch: expected a whole number",
        f"train --out {out} --rooms 0": "--rooms: expected a whole number above 0, found 0",
        f"train --out {out} --rooms 4000": "rooms",
        f"train --out {out} --steps 1 --mask-loss ssim": "expected TERM=WEIGHT, such as ssim=1; found ssim",
        f"train --out {out} --steps 1 --mask-loss fun=1": "expected terms of bce, ssim, dice, cut; found fun",
        f"train --out {out} --network MaskNet --imagenet --stem 3x3": "--imagenet, --stem: for MaskDepthNet only",
        f"train --out {out} --network MaskNet --width 0.5": "--width: expected MaskNet's channels, a whole number",
        f"train --out {out} --width 0": "width: expected a factor above 0",
        f"train --out {tmp_path / 'file'} {TINY}": "not a writable folder",
        f"train --out {out} --init {tmp_path / 'no'} {TINY}": "no: no such checkpoint",
        f"predict {a} {b} -o {out} --checkpoint {network}": "expected equal sizes, found 64 x 64 and 64 x 50",
        f"predict {a} {tmp_path / 'c.png'} -o {out} --checkpoint {network}": "background: no such file",
        f"predict {tmp_path} {a} -o {out} --checkpoint {network}": "is not a readable picture",
        f"predict {a} {a} -o {out} --checkpoint {network} --fov 190": "fov: expected",
        f"predict {a} {a} -o {out} --checkpoint {network} --eye-height inf": "eye_height: expected metres",
        f"predict {a} {a} -o {out}": "maskdepthnet.safetensors is missing",
        f"predict {a} {a} -o {tmp_path / 'file'} --checkpoint {network}": "--out: expected a folder, found the file",
        f"evaluate --checkpoint {a}": "a.png: damaged, or not a safetensors file",
        "bench flight": "expected data, formats, step, losses; found flight",
        "export --count 3": "expected --out DIR for samples, or --onnx FILE",
    }
    for command, message in cases.items():
        text, error = run(command, code=2)
        assert message in error and error.startswith("error: ") and error.count("\n") == 1, (command, error)
        assert text == "" and not out.exists(), command


def test_debug_shows_where_an_error_comes_from(tmp_path):
    with pytest.raises(FileNotFoundError):
        main(["predict", str(tmp_path / "a.png"), "b.png", "-o", str(tmp_path), "--debug"])


def test_json_has_null_for_figures_that_are_not_finite():
    written = to_json({"a": math.nan, "b": [math.inf, 1.0], "c": {"d": "x"}})
    assert json.loads(written) == {"a": None, "b": [None, 1.0], "c": {"d": "x"}}


def test_train_saves_resumes_and_writes_a_network(data, tmp_path, run, result):
    out, net = tmp_path / "run", tmp_path / "net.safetensors"
    text, _ = run(f"train --out {out} --steps 4 --val-every 2 {TINY}")
    assert "finished: True" in text
    assert [path.name for path in list_checkpoints(out)] == ["checkpoint-00000004.pt"]
    found = result(f"train --out {out} --steps 6 --save-minutes 0 --save-to {net} {TINY}")
    assert (found["step"], found["finished"], found["saved_to"]) == (6, True, str(net)) and found["last"]["loss"] > 0
    assert [path.name for path in list_checkpoints(out)] == ["checkpoint-00000006.pt", "checkpoint-00000005.pt"]
    _, metadata = read_weights(net)
    assert metadata["arguments"]["width"] == 0.125 and metadata["training"]["step"] == 6
    next_stage = f"train --out {tmp_path / 'two'} --init {net} --steps 1 {TINY.replace('80', '160')}"
    assert result(next_stage)["step"] == 1


def test_train_takes_its_options(data, tmp_path, run):
    run(
        f"train --out {tmp_path} --samples 4 --mask-loss bce=1 ssim=0 --depth-loss l1=2 --uncertainty "
        "--mask-ssim-on logits --optimizer adamw --schedule one-cycle --lr 0.001 --full-size-lr 5 --gap none "
        f"--no-skips --detail on --precision float32 {TINY}",
    )
    config = read_run(tmp_path)["config"]
    assert config["steps"] == 2 and config["weighting"] == "UncertaintyWeighting" and config["dataset"]["gap"] == "none"
    assert "adamw" in config["optimizer"].lower()
    arguments = config["network"]["arguments"]
    assert arguments["skips"] is False and arguments["detail"] is True
    assert config["loss"]["mask"] == {"bce": 1.0, "ssim": 0.0, "ssim_on": "logits"}
    assert config["loss"]["depth"] == {"l1": 2.0}
    assert config["lr"] == 0.001 and list(config["lr_factors"].values()) == [5.0]


def test_full_size_layers_can_be_kept_as_they_are(data, network, tmp_path, run):
    run(f"train --out {tmp_path / 'run'} --init {network} --steps 2 --full-size-lr 0 {TINY}")
    trained = read_run(tmp_path / "run")["model"]
    before, _ = read_weights(network)
    kept = {name for name, tensor in before.items() if torch.equal(tensor.float(), trained[name])}
    assert "detail.0.0.weight" in kept and "encoder.conv1.weight" not in kept


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_resumes(data, tmp_path):
    """A terminal sends SIGINT to the whole process group, the workers too."""
    tiny = TINY.replace("--workers 0", "--workers 1")
    command = [sys.executable, "-m", "maskdepth_utils", "train", "--out", str(tmp_path), *tiny.split()]
    process = subprocess.Popen(
        [*command, "--save-minutes", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not list_checkpoints(tmp_path) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=200)
    assert process.returncode == 0, text
    assert "Stopped by Ctrl-C at step" in text and "To resume" in text and "Traceback" not in text
    step = newest_step(tmp_path)
    assert step > 0
    assert main([*command[3:], "--max-minutes", "0"]) == 0
    assert newest_step(tmp_path) == step + 1


def test_evaluate_beside_the_baselines(data, network, result):
    found = result(f"evaluate --checkpoint {network} --count 4 --size 80 --rooms 3")
    assert found["images"] == 4 and found["gap"] == "tripod"
    figures, on_object, intervals = found["results"], found["on_the_object"], found["intervals"]
    oracle = "empty room's depth (oracle)"
    depths = {"MaskDepthNet", "one constant depth", "mean depth per pixel", oracle}
    assert set(figures) == depths | {"difference threshold"}
    assert set(found["near_its_outline"]) == set(on_object) == depths
    ours = figures["MaskDepthNet"]
    assert {"iou", "rmse", "abs_rel", "delta1"} <= ours.keys()
    assert figures[oracle]["rmse"] < min(figures["one constant depth"]["rmse"], on_object[oracle]["rmse"])
    assert all(intervals[name]["low"] <= ours[name] <= intervals[name]["high"] for name in ("iou", "rmse", "delta1"))
    for groups in ("by_size", "by_distance", "by_kind"):
        rows = found[groups].values()
        assert sum(row["images"] for row in rows) == 4
        assert sum(row["images"] * row["iou"] for row in rows) == pytest.approx(4 * ours["iou"])


def test_evaluate_prints_tables_of_the_scenes(data, network, run):
    text, error = run(f"evaluate --checkpoint {network} --count 2 --scenes --gap none --no-baselines --size 80")
    assert re.search(r"results +iou +dice", text) and re.search(r"MaskDepthNet +\d", text) and "scenes" in text
    assert "trained at 160 px" in error


def test_evaluate_takes_the_networks_own_size_and_outputs(data, tmp_path, run, result):
    save_pretrained(MaskDepthNet(width=0.125, tasks=["mask"]), tmp_path / "mask.safetensors", size=80)
    found = result(f"evaluate --checkpoint {tmp_path / 'mask.safetensors'} --count 2 --no-baselines")
    figures = found["results"]["MaskDepthNet"]
    assert found["size"] == 80 and 0 <= figures["iou"] <= 1 and "rmse" not in figures


@pytest.mark.parametrize("scenes, gap", [("--scenes", "tripod"), ("", "none")])
def test_the_threshold_for_scenes_is_tuned_on_samples_with_shadows(data, network, run, monkeypatch, scenes, gap):
    made = []

    def dataset(split, size, gap, *options):
        made.append((split, gap))
        return MaskDepthDataset(split, size, gap, *options)

    monkeypatch.setattr(cli, "MaskDepthDataset", dataset)
    run(f"evaluate --checkpoint {network} --count 2 --size 80 --rooms 3 --gap none {scenes}")
    assert ("val", gap) in made


def test_predict_writes_pictures_in_metres(data, network, tmp_path, result):
    image, background = (data_dir() / "scenes" / f"scene_000{end}.webp" for end in ("", "_background"))
    out = tmp_path / "new" / "folder"
    command = f"predict {image} {background} -o {out} --checkpoint {network}"
    found = result(command)
    mask, depth, cut = (
        cv2.imread(str(out / name), cv2.IMREAD_UNCHANGED) for name in ("mask.png", "depth.png", "cutout.png")
    )
    assert mask.shape == depth.shape == (160, 160) and mask.dtype == np.uint8 and depth.dtype == np.uint16
    assert depth.min() / 1000 == pytest.approx(found["nearest_m"], abs=0.01)
    assert found["object_share"] == pytest.approx((mask > 127).mean(), abs=0.01)
    assert cv2.imread(str(out / "preview.png")).shape[1] > 1000
    assert cv2.imread(str(out / "depth_preview.png")).shape == (160, 160, 3)
    np.testing.assert_array_equal(cut[..., 3], mask)
    np.testing.assert_array_equal(cut[..., :3], cv2.imread(str(image)))
    assert "left as it was" in result(f"{command} --align")["aligned"]
    assert result(f"{command} --eye-height 3")["nearest_m"] == pytest.approx(2 * found["nearest_m"], abs=0.02)


def test_predict_leaves_nothing_of_another_pair(network, tmp_path, run, result):
    photo, mask_only, out = tmp_path / "a.png", tmp_path / "mask.safetensors", tmp_path / "out"
    cv2.imwrite(str(photo), np.full((64, 96, 3), 90, np.uint8))
    save_pretrained(MaskDepthNet(width=0.125, tasks=["mask"]), mask_only, size=160)
    command = f"predict {photo} {photo} -o {out}"
    far = result(f"{command} --checkpoint {network} --fov 10 --eye-height 60")["farthest_m"]
    assert far > 65.535 == cv2.imread(str(out / "depth.png"), cv2.IMREAD_UNCHANGED).max() / 1000  # of 16 bits
    run(f"{command} --checkpoint {mask_only}")
    assert sorted(path.name for path in out.iterdir()) == ["cutout.png", "mask.png", "preview.png"]


@pytest.mark.parametrize("name, reader", [("zip", ZipDataset), ("webdataset", ShardDataset), ("arrays", ArrayDataset)])
def test_export_can_be_read_back(data, tmp_path, run, result, name, reader):
    command = f"export -o {tmp_path} --format {name} --split test --count 3 --size 80 --per-shard 2"
    found = result(command)
    assert (found["samples"], found["split"], found["format"]) == (3, "test", name)
    assert len(list(reader(tmp_path, size=80))) == 3
    if name != "webdataset":  # which continues instead
        assert "already has" in run(command, code=2)[1]


def test_export_writes_a_network_as_onnx(network, result, monkeypatch):
    written = []
    monkeypatch.setattr(cli, "write_onnx", lambda *arguments: written.extend(arguments) or {"saved_to": "net.onnx"})
    assert result(f"export --onnx net.onnx --checkpoint {network}") == {"saved_to": "net.onnx"}
    assert isinstance(written[0].model, MaskDepthNet) and written[1] == "net.onnx"
