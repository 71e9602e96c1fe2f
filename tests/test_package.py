"""Importing the package is quick."""

import subprocess
import sys
from pathlib import Path

import maskdepth_utils


def test_the_package_does_not_load_torch_before_it_is_needed():
    code = "import sys, maskdepth_utils; maskdepth_utils.load_pretrained; sys.exit('torch' in sys.modules)"
    root = Path(maskdepth_utils.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
