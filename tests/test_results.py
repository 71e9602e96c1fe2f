"""README.md's table of results is what was measured, with the network that is shipped."""

import pytest
import write_results

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


def test_the_table_lands_between_its_marks_and_nothing_else_changes():
    before = f"# Title\n\n{write_results.START}\nstale figures\n{write_results.END}\n\nafter\n"
    once = write_results.with_table(before, STORED)
    assert once.startswith("# Title\n\n") and once.endswith("\n\nafter\n") and "stale figures" not in once
    assert "| composites | **0.900** | 0.700 | **0.050** | 0.200 | 0.100 | 0.100 | 0.950 |" in once
    assert write_results.with_table(once, STORED) == once


def test_a_readme_without_marks_is_refused():
    with pytest.raises(ValueError, match="results"):
        write_results.with_table("# Title\n", STORED)


def test_the_readme_shows_what_was_measured_with_the_shipped_network():
    assert not write_results.out_of_date()
