"""The command `bench`: what it measures here, beside libraries and a stored run."""

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
    assert not [name for name in result if "reference" in name]  # this data folder has no stored run
    steps = bench.bench_step(torch.device("cpu"), 0.02, sizes=(32,), batch=2)
    assert steps["MaskNet, 32 px, float32"]["images/s"] > 1


def test_bench_is_compared_with_the_stored_run(own_data, capsys, monkeypatch):
    stored = {"ssim": {"32 px, ms": 1000.0}, "of another version": {"32 px, ms": 1.0}}
    (own_data / "results").mkdir(exist_ok=True)
    (own_data / "results" / "bench.json").write_text(json.dumps({"results": {"losses": stored, "data": {}}}))
    monkeypatch.setattr(bench, "bench_losses", lambda device, seconds: {"ssim": {"32 px, ms": 1500.0}, "l1": {}})
    assert json.loads(run("bench losses --json", capsys))["losses, here / reference"] == {"ssim": {"32 px, ms": 1.5}}
    assert "losses, here / reference" in run("bench losses", capsys)


def test_bench_compares_formats(data):
    rows = bench.bench_formats(torch.device("cpu"), 0.05, sizes=(80,), batches=(2,), workers=(0, 1), samples=6)
    expected = {"composed, none", "zip, as in 2020", "single files", "tar shards", "memory-mapped arrays"}
    assert {name.split(", ", 1)[1] for name in rows} >= expected
    for row in rows.values():
        assert row["0 workers, batch 2, samples/s"] > 0 and row["1 workers, batch 2, samples/s"] > 0
    assert rows["80 px, memory-mapped arrays"]["kB/sample"] > rows["80 px, zip, as in 2020"]["kB/sample"]
