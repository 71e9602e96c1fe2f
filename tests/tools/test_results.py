"""README.md's table of results shows what was measured with the shipped network."""

import shlex

import ablate
import pytest
import results
import torch
import train_network
import write_results
from notebook_files import read_json

from maskdepth_utils.__main__ import make_parser
from maskdepth_utils.models import MaskNet
from maskdepth_utils.models.weights import load_network, save_pretrained


def test_the_table_shows_the_stored_figures_between_its_marks():
    stored = read_json(write_results.STORED)
    page = "before\n<!-- results -->\nstale\n<!-- /results -->\nafter\n"
    text = write_results.between(page, "results", write_results.results(stored))
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "stale" not in text
    run = stored["runs"][0]
    network, threshold, per_pixel = (
        run["results"][name] for name in ("MaskDepthNet", "difference threshold", "mean depth per pixel")
    )
    figures = [network["iou"], threshold["iou"], network["rmse"], per_pixel["rmse"]]
    row = next(line for line in text.splitlines() if line.startswith(f"| {run['row']}"))
    assert [cell.strip() for cell in row.strip("|").split("|")][1:] == [f"{figure:.3f}" for figure in figures]
    with pytest.raises(ValueError, match="results"):
        write_results.between("# Title\n", "results", "")


def test_recipes_are_commands_that_the_program_takes():
    recipes = read_json(results.CHECKPOINTS / "recipe.json")
    for name, recipe in recipes.items():
        made = train_network.stages(name, recipe)
        parsed = [make_parser().parse_args(["train", *stage["options"]]) for stage in made]
        assert [one.init for one in parsed] == [None] + [stage["out"] for stage in made[:-1]]
        assert parsed[0].size <= parsed[-1].size
        assert 1 <= recipe.get("averaged", 1) <= len(made)


def test_the_mean_of_several_networks_is_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(train_network, "CHECKPOINTS", tmp_path)
    networks = [MaskNet(width=4) for _ in range(2)]
    for network, value in zip(networks, (1.0, 4.0)):
        for parameter in network.parameters():
            torch.nn.init.constant_(parameter, value)
        save_pretrained(network, tmp_path / f"{value}.safetensors", training={})
    train_network.write_network("mean", sorted(tmp_path.glob("*.safetensors")))
    mean, metadata = load_network(tmp_path / "mean.safetensors")
    assert all((parameter == 2.5).all() for parameter in mean.parameters()) and metadata["averaged"] == 2
    sums = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert [line.split()[1] for line in sums] == ["1.0.safetensors", "4.0.safetensors", "mean.safetensors"]


def test_every_row_of_the_ablation_is_one_the_program_knows():
    commands = {}
    for row in ablate.ROWS:
        parsed = make_parser().parse_args(["train", "--out", "x", *shlex.split(ablate.options(row))])
        commands[row] = tuple(sorted((key, str(value)) for key, value in vars(parsed).items()))
    assert len(set(commands.values())) == len(commands)  # and no two rows are the same run


def test_an_interrupted_training_is_not_measured(monkeypatch):
    commands = []
    monkeypatch.setattr(results, "call", commands.append)
    state = {"step": 3, "config": {"batch": 16}}
    monkeypatch.setattr(results, "read_run", lambda folder: state)
    with pytest.raises(SystemExit, match="losses-L1-0-64 is not finished: run this again"):
        ablate.run("losses", "L1", 0, 64)
    assert [command.split()[0] for command in commands] == ["train"]
    state["step"] = 4
    results.require_finished("losses-L1-0-64", 64)


def test_the_readme_shows_what_was_measured_with_the_shipped_network():
    stored = read_json(write_results.STORED)
    measured = {"maskdepthnet": stored["network"], "masknet": stored["masknet"]["network"]}
    assert measured == {name: write_results.checksum(name) for name in measured}, "run write_results.py --measure"
    for path, text in write_results.pages(stored).items():
        assert text == path.read_text(encoding="utf8"), f"{path}: run write_results.py"
