"""Comparing runs: Student's interval, paired differences, verdicts, and what notebook 04 draws of them."""

import json

import numpy as np
import pytest

from maskdepth_utils.course import study


def runs(values, figure="rmse"):
    return {seed: {figure: value} for seed, value in enumerate(values)}


def test_the_interval_is_that_of_a_table_of_students_t():
    center, half = study.student_interval([1.0, 2.0, 3.0])
    assert center == 2 and half == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert study.student_interval([0.3]) == (0.3, float("inf"))
    with pytest.raises(ValueError, match="at least one value, found none"):
        study.student_interval([])


def test_pairing_removes_what_seeds_share_and_skips_seeds_of_one_side():
    base, other = runs([0.1, 0.5, 0.9]), runs([0.11, 0.512, 0.909, 0.4])
    differences = study.paired(other, base, "rmse")
    np.testing.assert_allclose(differences, [0.01, 0.012, 0.009])
    assert study.verdict(differences, better=-1) == "worse"
    center, half = study.student_interval([0.11, 0.512, 0.909])
    assert abs(center - 0.5) < half  # unpaired, the seeds' differences hide it


@pytest.mark.parametrize(
    ("differences", "better", "word"),
    [
        ([0.1, 0.11, 0.12], 1, "better"), ([0.1, 0.11, 0.12], -1, "worse"), ([-0.1, -0.11, -0.12], -1, "better"),
        ([-0.1, -0.11, -0.12], 0, "less"), ([0.1, -0.1, 0.02], 1, "cannot say"), ([0.1], 1, "cannot say"),
    ],
)  # fmt: skip
def test_verdicts(differences, better, word):
    assert study.verdict(differences, better) == word


def test_the_table_shows_the_verdicts_and_leaves_out_single_seeds():
    rows = {"base": runs([0.1, 0.2]), "bad": runs([0.2, 0.3001]), "once": runs([0.5])}
    said = study.verdicts(rows, "base", ("rmse",))
    assert said == {"bad": {"rmse": "worse"}}
    table = study.verdict_table(said, "against base")
    assert all(text in table for text in ("bad", "<b>worse</b>", "against base", "depth RMSE"))


def test_the_figure_has_a_point_per_seed_and_an_interval_where_there_are_several():
    rows = {"base": runs([0.1, 0.2]), "other": runs([0.3, 0.5]), "once": runs([0.4])}
    (axis,) = study.show_points(rows, ("rmse",), baselines={"constant": {"rmse": 0.6}}).axes
    points = [line.get_xdata().tolist() for line in axis.lines if line.get_marker() == "o"]
    assert points == [[0.1, 0.2], [0.3, 0.5], [0.4]]
    assert len(axis.containers) == 2
    (axis,) = study.show_points(rows, ("rmse",), base="base").axes
    points = [line.get_xdata() for line in axis.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(np.concatenate(points), [0.2, 0.3, 0.3])


def test_stored_runs_are_those_of_the_usual_length(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    machine = {"processor": "P", "device": "2 CPU cores"}
    lines = [
        {"study": "s", "row": row, "seed": seed, "samples": samples, "test": {"rmse": 0.1}, "seconds": 1800,
         "commit": "abc", "machine": machine}
        for row, seed, samples in (("a", 0, 100), ("a", 1, 100), ("b", 0, 100), ("b", 1, 20))
    ]  # fmt: skip
    (tmp_path / "results" / "ablation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr(study, "data_dir", lambda: tmp_path)
    assert study.stored("s") == {"a": {0: {"rmse": 0.1}, 1: {"rmse": 0.1}}, "b": {0: {"rmse": 0.1}}}
    assert study.provenance("s").startswith("3 runs of 100 samples, 1.5 hours on P, 2 CPU cores; commit abc")
    with pytest.raises(FileNotFoundError, match="expected runs of study 'x', found none"):
        study.stored("x")
