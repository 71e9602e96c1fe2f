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


IMPORTS = """
import sys
import maskdepth_utils
assert maskdepth_utils.__version__ and "torch" not in sys.modules
import maskdepth_utils.data
unwanted = {"maskdepth_utils.training", "maskdepth_utils.course", "matplotlib", "tensorboard"}
assert not {"maskdepth_utils.models", *unwanted} & sys.modules.keys()
from maskdepth_utils import load_pretrained
import maskdepth_utils.inference
assert not unwanted & sys.modules.keys()
"""


def test_an_import_loads_no_more_than_it_needs():
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
