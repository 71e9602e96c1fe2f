"""Which part of the package may import which other, and what an import loads."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_modules_import_only_from_the_layers_below(monkeypatch):
    """The contract is in pyproject.toml."""
    importlinter = pytest.importorskip("importlinter.cli", reason="import-linter is not installed")
    monkeypatch.chdir(ROOT)
    assert importlinter.lint_imports(no_cache=True) == 0


def loaded_by(statement: str) -> set[str]:
    """Modules that a new process has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_an_import_loads_no_more_than_it_needs():
    assert "torch" not in loaded_by("import maskdepth_utils; maskdepth_utils.__version__")
    data = loaded_by("import maskdepth_utils.data")
    assert not {"maskdepth_utils.models", "maskdepth_utils.training", "matplotlib"} & data
    inference = loaded_by("from maskdepth_utils import load_pretrained; import maskdepth_utils.inference")
    assert "maskdepth_utils.models" in inference
    assert not {"maskdepth_utils.training", "maskdepth_utils.course", "matplotlib", "tensorboard"} & inference
