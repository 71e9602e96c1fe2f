"""README.md's table of results is what was measured, with the network that is shipped."""

import json
import shlex

import ablate
import ablate_by_hand
import pytest
import torch
import train_network
import write_results

from maskdepth_utils import load_pretrained
from maskdepth_utils.__main__ import make_parser

FIGURES = {"iou": 0.9, "rmse": 0.05, "abs_rel": 0.1, "delta1": 0.95}
STORED = {
    "commit": "abc", "machine": {"processor": "a chip", "device": "2 CPU cores"}, "network": "0",
    "runs": [
        {
            "row": row, "command": "evaluate", "seconds": 30.0, "images": 100, "gap": "none",
            "results": {
                "MaskDepthNet": FIGURES,
                "difference threshold": {"iou": 0.7},
                "one constant depth": {"rmse": 0.2},
                "mean depth per pixel": {"rmse": 0.1},
            },
        }
        for row in ("composites", "scenes")
    ],
}  # fmt: skip


def readme(text):
    return write_results.between(text, "results", write_results.table(STORED))


def test_the_table_lands_between_its_marks_and_nothing_else_changes():
    once = readme("# Title\n\n<!-- results -->\nstale figures\n<!-- /results -->\n\nafter\n")
    assert once.startswith("# Title\n\n") and once.endswith("\n\nafter\n") and "stale figures" not in once
    assert "| composites | **0.900** | 0.700 | **0.050** | 0.200 | 0.100 | 0.100 | 0.950 |" in once
    assert readme(once) == once


def test_a_readme_without_marks_is_refused():
    with pytest.raises(ValueError, match="results"):
        readme("# Title\n")


def test_recipes_are_commands_that_the_program_takes():
    recipes = json.loads((train_network.CHECKPOINTS / "recipe.json").read_text(encoding="utf8"))
    for name, recipe in recipes.items():
        made = train_network.stages(name, recipe)
        parsed = [make_parser().parse_args(["train", *stage["options"]]) for stage in made]
        assert [one.init for one in parsed] == [None] + [stage["out"] for stage in made[:-1]]
        assert parsed[-1].save_to == f"data/checkpoints/{name}.safetensors" and parsed[0].size <= parsed[-1].size


@pytest.mark.parametrize("study", ablate.STUDIES)
def test_every_row_of_the_ablations_is_one_the_program_knows(study):
    commands = {}
    for row in ablate.STUDIES[study]:
        parsed = make_parser().parse_args(["train", "--out", "x", *shlex.split(ablate.options(study, row))])
        commands[row] = tuple(sorted((key, str(value)) for key, value in vars(parsed).items()))
    assert len(set(commands.values())) == len(commands)  # and no two rows are the same run


def test_changes_by_hand_are_made_to_the_base_and_measured(monkeypatch):
    read_as = []
    for name, head in ablate_by_hand.HEADS.items():
        watched = head and (lambda s, head=head: read_as.append(head) or head(s))
        monkeypatch.setitem(ablate_by_hand.HEADS, name, watched)
        line = ablate_by_hand.run(name, seed=0, samples=32, tested=16)
        assert line["study"] == "recipe" and line["row"] == name and line["samples"] == 32
        assert all(0 < line[part]["rmse"] < 1 for part in ("test", "scenes", "training"))
    assert set(read_as) == {ablate_by_hand.log_scale, ablate_by_hand.inverse_scale}
    ends = torch.tensor([0.0, 1.0])
    for head in (ablate_by_hand.log_scale, ablate_by_hand.inverse_scale):
        assert torch.allclose(head(ends), torch.tensor([ablate_by_hand.SMALLEST, 1.0]))
    network = torch.nn.Linear(1, 1)
    averaging = ablate_by_hand.Averaging(network)
    first = network.weight.item()
    averaging({"loss": torch.tensor(0.0)})  # the first time it copies
    with torch.no_grad():
        network.weight += 1
    assert averaging({"a": torch.tensor(1.0), "b": torch.tensor(2.0)}) == 3
    assert averaging.average.module.weight.item() == pytest.approx(first + 1 - ablate_by_hand.DECAY, abs=1e-4)


def test_an_interrupted_training_is_not_measured(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr(ablate, "call", lambda command, **kwargs: called.append(command))
    monkeypatch.setattr(train_network, "ROOT", tmp_path)
    out = tmp_path / "build/runs/ablation/losses-L1-0-64"
    state = {"step": 3, "config": {"batch": 16}}  # with a constant learning rate it has no end of its own
    monkeypatch.setattr(train_network.checkpoint, "read_run", lambda folder: (state, {}, {}) if folder == out else None)
    with pytest.raises(SystemExit, match="losses-L1-0-64 is not finished: run this again"):
        ablate.run("losses", "L1", 0, 64)
    assert [command.split()[0] for command in called] == ["train"]
    state["step"] = 4
    assert train_network.finished(out.relative_to(tmp_path), 64)


def test_shipped_networks_are_described_where_they_are():
    listed = (train_network.CHECKPOINTS / "SHA256SUMS").read_text(encoding="utf8")
    for path in train_network.CHECKPOINTS.glob("*.safetensors"):
        assert path.name in listed and path.stat().st_size < 35e6
        load_pretrained(path.stem, device="cpu")


def test_the_readme_shows_what_was_measured_with_the_shipped_network():
    assert not write_results.out_of_date()
