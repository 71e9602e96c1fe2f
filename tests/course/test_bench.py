"""The command `bench`: what it measures here, beside libraries."""

import json

import torch

from maskdepth_utils.__main__ import main
from maskdepth_utils.course import bench


def run(command, capsys):
    assert main(command.split()) == 0
    return capsys.readouterr().out


def test_bench_measures(data, capsys, monkeypatch):
    monkeypatch.setattr(bench.bench_data, "__defaults__", ((80,), 2, (0, 1)))
    monkeypatch.setattr(bench.bench_losses, "__defaults__", ((32,), 2))
    result = json.loads(run("bench data losses --seconds 0.02 --json", capsys))
    assert result["data"]["80 px, handheld"]["0 workers, samples/s"] > 1
    assert result["losses"]["ssim"]["32 px, ms"] > 0 and result["machine"]["torch"]
    steps = bench.bench_step(torch.device("cpu"), 0.02, sizes=(32,), batch=2)
    assert steps["MaskNet, 32 px, float32"]["images/s"] > 1


def test_bench_compares_formats(data):
    rows = bench.bench_formats(torch.device("cpu"), 0.05, sizes=(80,), batches=(2,), workers=(0, 1), samples=6)
    expected = {"composed, none", "zip, as in 2020", "single files", "tar shards", "memory-mapped arrays"}
    assert {name.split(", ", 1)[1] for name in rows} >= expected
    for row in rows.values():
        assert row["0 workers, batch 2, samples/s"] > 0 and row["1 workers, batch 2, samples/s"] > 0
    assert rows["80 px, memory-mapped arrays"]["kB/sample"] > rows["80 px, zip, as in 2020"]["kB/sample"]
