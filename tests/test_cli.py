"""The command line: help, results, --json, and errors in one line."""

import contextlib
import errno
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from maskdepth_utils import cli
from maskdepth_utils.__main__ import main, make_parser, show
from maskdepth_utils.data import MaskDepthDataset, ZipDataset
from maskdepth_utils.data.storage.arrays import ArrayDataset
from maskdepth_utils.data.storage.shards import ShardDataset
from maskdepth_utils.files import data_dir
from maskdepth_utils.models import MaskDepthNet
from maskdepth_utils.models.weights import list_checkpoints, read_run, read_weights, save_pretrained
from maskdepth_utils.tables import to_json

ROOT = Path(__file__).resolve().parents[1]
TINY = "--size 80 --rooms 3 --batch 2 --width 0.125 --val-samples 2 --workers 0"


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
            found = main(shlex.split(str(command).replace("\\", "/")))  # Windows has paths with \
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


@pytest.mark.parametrize(
    "command, expected",
    [
        ("", ["train", "evaluate", "predict", "export", "bench", "--version"]),
        ("train", ["learning rate (default: 0.01)", "(default: 100000)", "(default: both)", "bce=1 ssim=1"]),
        ("evaluate", ["--scenes", "(default: tripod)", "tripod: light, noise, shadow"]),
        ("predict", ["IMAGE", "-o DIR, --out DIR", "(default: 60.0)"]),
        ("export", ["--per-shard", "(default: none)"]),
        ("bench", ["--seconds"]),
    ],
)
def test_help_of_a_command_shows_options_and_defaults(command, expected, run):
    text = " ".join(run(f"{command} --help")[0].split())
    assert all(words in text for words in expected) and ("--json" in text and "--debug" in text or not command)
    assert "default: None" not in text and "default: False" not in text


def test_stored_commands_can_still_be_parsed():
    """Those that the README and the stored results name."""
    paths = [ROOT / "README.md", *(ROOT / "data" / "results").glob("*.json*")]
    text = "\n".join(path.read_text(encoding="utf8") for path in paths)
    pattern = r'-m maskdepth_utils ((?:train|evaluate|predict|export|bench) [^`"\n|]+)'
    commands = set(re.findall(pattern, text))
    assert len(commands) > 60
    for command in commands:
        make_parser().parse_args(shlex.split(command))


def test_errors_are_one_line_and_exit_code_2(network, own_data, tmp_path, run):
    photo = np.zeros((64, 64, 3), np.uint8)
    for name, picture in (("a.png", photo), ("b.png", photo[:50])):
        cv2.imwrite(str(tmp_path / name), picture)
    a, b, out = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out"
    train, predict = f"train --out {out} --steps 1 --rooms 3", f"predict {a} {a} -o {out} --checkpoint {network}"
    cases = {
        "": "the following arguments are required: COMMAND",
        "fly": "invalid choice: 'fly'",
        "train": "required: --out",
        f"{train} --batch 0": "--batch: expected a whole number of at least 1, found 0",
        f"{train} --lr nan": "--lr: expected a number of at least 0, found nan",
        f"{train} --max-minutes -1": "--max-minutes: expected a number of at least 0, found -1",
        f"{train} --seed {10**26}": "--seed: expected 0 to",
        f"{train} --rooms 0": "--rooms: expected a whole number of at least 1, found 0",
        f"{train} --rooms 4000": "--rooms: expected 1 to",
        f"{train} --mask-loss ssim": "--mask-loss: expected a number of at least 0, found nothing",
        f"{train} --mask-loss bce=-1": "--mask-loss: expected a number of at least 0, found -1",
        f"{train} --mask-loss bce=1 bce=2": "--mask-loss: expected each term once",
        f"{train} --mask-loss fun=1": "TERM one of bce, ssim, dice, cut; found fun",
        f"{train} --network MaskNet --imagenet --stem 3x3": "--imagenet, --stem: for MaskDepthNet only",
        f"{train} --network MaskNet --width 0.5": "--width: expected MaskNet's channels, a whole number",
        f"{train} --imagenet --width 0.5": "--imagenet: for --width 1 only",
        f"{train} --width 0": "--width: expected a factor above 0",
        f"{train} --init {tmp_path / 'no'} {TINY}": "no: no such checkpoint",
        f"train --out {a} {TINY}": "--out: expected a folder, found the file",
        f"{predict.replace(str(a), str(b), 1)}": "expected equal sizes, found 64 x 50 and 64 x 64",
        f"predict {a} {tmp_path / 'c.png'} -o {out} --checkpoint {network}": "background: no such file",
        f"predict {tmp_path} {a} -o {out} --checkpoint {network}": "is not a readable picture",
        f"{predict} --fov 190": "--fov: expected",
        f"{predict} --eye-height inf": "--eye-height: expected",
        f"{predict} -o ''": "-o/--out: expected a name or path, found an empty one",
        f"predict {a} {a} -o {out}": "maskdepthnet.safetensors is missing",
        f"evaluate --checkpoint {a}": "Expected a .safetensors file or a run's folder",
        "evaluate --workers -1": "--workers: expected a whole number of at least 0, found -1",
        "bench flight": "expected data, formats, step, losses; found flight",
        "export --count 3": "expected --out DIR for samples, or --onnx FILE",
        f"export -o {out} --split val --start 99999999": "--start: expected a sample from 0 to",
        f"export --onnx {tmp_path}": "--onnx: expected a file, found the folder",
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
    for init in (net, f"{out}/checkpoint-00000006.pt"):
        assert result(f"train --out {tmp_path / 'two'} --init {init} --restart --steps 1 {TINY}")["step"] == 1
    assert "--init" in run(f"train --out {out} --init {init} --restart --steps 1 {TINY}", code=2)[1]


def test_train_takes_its_options(data, tmp_path, run, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "")
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


def start(command, **keywords):
    """Start a command in a process of its own."""
    words = [sys.executable, "-m", "maskdepth_utils", *command]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **keywords)


@pytest.mark.slow
def test_a_terminated_export_leaves_no_unfinished_files(data, tmp_path):
    process = start(["export", "-o", tmp_path, "--rooms", "3", "--count", "100000"])
    while not list(tmp_path.iterdir()) and process.poll() is None:
        time.sleep(0.1)
    process.terminate()
    text, _ = process.communicate(timeout=200)
    assert process.returncode == 128 + signal.SIGTERM and not list(tmp_path.iterdir()), text


@pytest.mark.slow
def test_a_terminal_without_the_letters_of_a_path_gets_substitutes(data, network, tmp_path):
    picture = data / "scenes" / "scene_000.webp"
    command = ["predict", picture, picture, "-o", tmp_path / "Фото", "--checkpoint", network]
    process = start(command, env=os.environ | {"PYTHONIOENCODING": "cp1252"})
    text, _ = process.communicate(timeout=200)
    assert process.returncode == 0 and r"\u0424" in text


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EINVAL, errno.ENOSPC])
def test_a_reader_that_has_gone_is_no_error(number, tmp_path, monkeypatch):
    def write(text):
        raise OSError(number, "the write failed")

    with open(tmp_path / "stdout", "w") as stdout:
        monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(write=write, fileno=stdout.fileno))
        with pytest.raises(OSError) if number == errno.ENOSPC else contextlib.nullcontext():
            show("results")


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


def test_the_threshold_for_scenes_is_tuned_on_samples_with_shadows(data, network, run, monkeypatch):
    made = []
    monkeypatch.setattr(cli, "MaskDepthDataset", lambda *a, **b: made.append(a) or MaskDepthDataset(*a, **b))
    run(f"evaluate --checkpoint {network} --count 2 --size 80 --rooms 3 --gap none --scenes")
    assert ("val", 80, "tripod", 0) in made


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


def test_predict_replaces_its_own_pictures_and_nothing_else(network, tmp_path, run, result, monkeypatch):
    photo, mask_only, out = tmp_path / "a.png", tmp_path / "mask.safetensors", tmp_path / "out"
    cv2.imwrite(str(photo), np.full((64, 96, 3), 90, np.uint8))
    save_pretrained(MaskDepthNet(width=0.125, tasks=["mask"]), mask_only, size=160)
    command = f"predict {photo} {photo} -o {out}"
    far = result(f"{command} --checkpoint {network} --fov 10 --eye-height 60")["farthest_m"]
    assert far > 65.535 == cv2.imread(str(out / "depth.png"), cv2.IMREAD_UNCHANGED).max() / 1000  # of 16 bits
    command = f"{command} --checkpoint {mask_only}"
    run(command)
    assert sorted(path.name for path in out.glob("*.png")) == ["cutout.png", "mask.png", "preview.png"]
    assert "mask.png is an input" in run(command.replace(str(photo), f"{out}/mask.png", 1), code=2)[1]
    monkeypatch.setattr(cli, "load_pretrained", None)  # from here on, errors come before any work
    assert f"{photo}/out/mask.png: cannot be written" in run(command.replace(str(out), f"{photo}/out"), code=2)[1]
    shutil.copy(photo, out / "mask.png")
    assert "mask.png is not as maskdepth_utils wrote it" in run(command, code=2)[1]


@pytest.mark.parametrize(
    "command, files",
    [
        ("predict {picture} {picture} -o {folder} --checkpoint {network}", ["depth.png", "mask.png"]),
        ("predict {folder}/preview.png {picture} -o {folder} --checkpoint {network}", ["preview.png"]),
        ("train --out {folder}/run --save-to {folder}/photo.jpg --steps 1 {tiny}", ["photo.jpg"]),
        ("train --out {folder} --restart --steps 1 {tiny}", ["checkpoint-00000001.pt", "step-00000001/model"]),
        ("export --onnx {folder}/photo.jpg --checkpoint {network}", ["photo.jpg"]),
        ("export -o {folder} --overwrite --split val --size 80", ["labels.csv", "depth.zip"]),
        ("export -o {folder} --overwrite --split val --size 80 --format arrays", ["mask.npy"]),
        ("export -o {folder} --overwrite --split val --size 80 --format webdataset", ["shard-000007.tar"]),
        ("export -o {folder} --overwrite --split val --size 80 --format webdataset", ["shards.json"]),
    ],
)
def test_no_command_replaces_or_deletes_a_users_files(data, network, tmp_path, run, command, files):
    picture, folder = data / "scenes" / "scene_000.webp", tmp_path / "folder"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder / name)
    _, error = run(command.format(folder=folder, picture=picture, network=network, tiny=TINY), code=2)
    assert f"{folder}" in error and "choose another" in error
    assert all((folder / name).read_bytes() == picture.read_bytes() for name in files)
    assert not (folder / "run").exists()


def test_predict_warns_of_a_wrong_pair(network, tmp_path, run):
    for name in ("a.png", "b.png"):
        blocks = np.random.default_rng(ord(name[0])).integers(0, 256, (8, 12, 3), np.uint8)
        cv2.imwrite(str(tmp_path / name), blocks.repeat(8, 0).repeat(8, 1))
    _, error = run(f"predict {tmp_path / 'a.png'} {tmp_path / 'b.png'} -o {tmp_path / 'out'} --checkpoint {network}")
    assert error.startswith("warning: most of the picture differs") and error.count("\n") == 1


@pytest.mark.parametrize("name, reader", [("zip", ZipDataset), ("webdataset", ShardDataset), ("arrays", ArrayDataset)])
def test_export_can_be_read_back(data, tmp_path, run, result, name, reader):
    command = f"export -o {tmp_path} --format {name} --split test --count 3 --size 80 --per-shard 2"
    found = result(command)
    assert (found["samples"], found["split"], found["format"]) == (3, "test", name)
    assert len(list(reader(tmp_path, size=80))) == 3
    if name != "webdataset":  # which continues instead
        assert "exists already" in run(command, code=2)[1] and "--overwrite" in run(command, code=2)[1]
        result(f"{command} --overwrite")


def test_an_export_that_ends_early_says_so(data, tmp_path, run):
    start = len(MaskDepthDataset("val")) - 1
    _, error = run(f"export -o {tmp_path} --split val --start {start} --count 3 --format arrays")
    assert f"note: val ends with sample {start}" in error


def test_export_writes_a_network_as_onnx(network, tmp_path, result, monkeypatch):
    def write(predictor, path):
        path.write_text(type(predictor.model).__name__)
        return {"megabytes": 0}

    monkeypatch.setattr(cli, "write_onnx", write)
    path = tmp_path / "net.onnx"
    assert result(f"export --onnx {path} --checkpoint {network}") == {"megabytes": 0, "saved_to": str(path)}
    assert path.read_text() == "MaskDepthNet"
