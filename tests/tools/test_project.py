"""The project's files agree on dependencies and addresses, and name nothing of one machine."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import write_address
import yaml
from notebook_files import NOTEBOOKS, code_cells, read
from packaging.requirements import Requirement

ROOT = NOTEBOOKS.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf8")


def requirements():
    """Every requirement in pyproject.toml, by a pattern since Python 3.10 reads no TOML."""
    section = PYPROJECT.split("[project.urls]")[0]
    lists = re.findall(r"(?ms)^(?!authors|dynamic)\w+ = \[(.*?)\]$", section)
    return [Requirement(line) for text in lists for line in re.findall(r'"([^"]+)"', text)]


def committed_files():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def test_requirements_have_lower_bounds_only():
    for requirement in requirements():
        operators = [specifier.operator for specifier in requirement.specifier]
        assert operators == [">="] or requirement.name == "maskdepth_utils", f"{requirement}: expected one lower bound"


def test_environment_yml_ci_and_makefile_agree_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf8"))
    python = re.search(r'requires-python = "(.*)"', PYPROJECT)[1]
    assert environment["dependencies"] == [f"python{python}", "pip", {"pip": ["-e .[dev]"]}]
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf8"))
    assert python == f">={ci['jobs']['everything']['strategy']['matrix']['python'][0]}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    assert re.findall("pip install.*", makefile) == ['pip install --disable-pip-version-check --editable ".[dev]"']


def test_the_address_is_the_same_everywhere():
    assert not write_address.outdated(), "run python notebooks/tools/write_address.py"


def test_nothing_committed_names_a_place_on_one_machine():
    place = re.compile(r"""(?:^|[\s"'`(=:])/(?:work|root|home|Users)/\w""", re.MULTILINE)
    found = []
    for path in committed_files():
        if path.suffix not in {".png", ".webp", ".jpg", ".safetensors", ".npz", ".zip"}:
            match = place.search(path.read_text(encoding="utf8", errors="replace"))
            if match:
                found.append(f"{path.relative_to(ROOT)}: {match[0]}")
    assert not found, "\n".join(found)


def test_code_is_lint_free():
    pytest.importorskip("ruff", reason="ruff is not installed")
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "."]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


# What Colab may have: not our versions. Metadata only; the packages themselves are those of this environment.
OTHER_VERSIONS = {
    "torch": ("2.5.1", ""), "torchvision": ("0.20.1", "Requires-Dist: torch==2.5.1\n"), "ipywidgets": ("7.7.1", ""),
}  # fmt: skip


@pytest.fixture
def bare_python(tmp_path):
    """A separate environment that sees this one's packages, as Colab's does, but not maskdepth_utils.

    For pip, PyTorch and ipywidgets are there at OTHER_VERSIONS.
    """
    env, shared = tmp_path / "env", tmp_path / "shared"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    purelib = Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(env)}))
    shared.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "maskdepth" not in path.name and path.suffix != ".pth":
            (shared / path.name).symlink_to(path)
    (purelib / "shared.pth").write_text(f"{shared}\n")
    for name, (version, requires) in OTHER_VERSIONS.items():
        about = purelib / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
    return env / "bin" / "python"


# Notebook 01's first code cell as on Colab: the kernel's Python need not be the python3 in PATH.
FIRST_CELL = f"""
import os, pathlib, types
get_ipython = lambda: types.SimpleNamespace(system=os.system)
{code_cells(read(NOTEBOOKS / "01_dataset_inspection.ipynb"))[0].source}
import maskdepth_utils
print(pathlib.Path(maskdepth_utils.__file__).resolve().parents[1])
"""


def run_in(folder, *command, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=inherited | environment, capture_output=True, text=True)


@pytest.mark.slow
def test_colab_setup_clones_and_can_run_twice(bare_python, tmp_path):
    course, here, programs = (tmp_path / name for name in ("course", "content", "bin"))
    here.mkdir()
    programs.mkdir()
    for name, line in {"curl": f"cat '{ROOT}/colab_setup.sh'", "python3": "echo another Python; exit 1"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    shutil.copytree(ROOT / "maskdepth_utils", course / "maskdepth_utils")
    for name in ("pyproject.toml", "README.md", "colab_setup.sh"):
        shutil.copy(ROOT / name, course)
    git = ["git", "-C", str(course), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    colab = {"MASKDEPTH_ADDRESS": f"file://{course}"}
    versions = [bare_python, "-m", "pip", "list", "--format=freeze"]
    before = run_in("/", *versions).stdout
    assert all(f"{name}=={version}" in before for name, (version, _) in OTHER_VERSIONS.items())
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    first = run_in(here, bare_python, "-c", FIRST_CELL, PATH=path, **colab)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.splitlines()[-1] == str((here / "maskdepth").resolve())

    (here / "maskdepth" / "mine.txt").write_text("a reader's own file")
    second = run_in(here, "bash", "maskdepth/colab_setup.sh", PYTHON=str(bare_python), **colab)
    assert second.returncode == 0, second.stdout + second.stderr
    assert second.stdout.strip().endswith(str((here / "maskdepth").resolve()))
    assert (here / "maskdepth" / "mine.txt").exists()
    assert run_in("/", *versions).stdout == before


@pytest.mark.skipif(os.name == "nt", reason="Windows need not have bash")
@pytest.mark.parametrize("needs, word", [("", "MASKDEPTH_ADDRESS"), ("no-such-package>=1", "no-such-package")])
def test_colab_setup_says_what_it_cannot_clone_or_install(tmp_path, needs, word):
    (tmp_path / "colab_setup.sh").write_bytes((ROOT / "colab_setup.sh").read_bytes())
    if needs:
        (tmp_path / "pyproject.toml").write_text(f'name = "maskdepth_utils"\ndependencies = [\n"{needs}"]\n')
    nowhere = {"MASKDEPTH_ADDRESS": f"file://{tmp_path}/nothing", "PIP_INDEX_URL": "http://127.0.0.1:9"}
    done = run_in(tmp_path, "bash", "colab_setup.sh", PYTHON=sys.executable, **nowhere)
    assert done.returncode == 1 and word in done.stderr and done.stderr.count("\n") < 9


WIDGETS = """
import io, ipywidgets
from PIL import Image
from maskdepth_utils import load_pretrained
from maskdepth_utils.course import widgets

assert ipywidgets.__version__ == "7.7.1"
predictor = load_pretrained()
for box in (widgets.composer(distance=2.5), widgets.playground(predictor)):
    before = box.tiles.images["image"].value
    box.controls["distance"].value = 4.0
    assert box.tiles.images["image"].value != before
box, file = widgets.own_photos(predictor), io.BytesIO()
Image.new("RGB", (80, 60)).save(file, "PNG")
for name in ("photo", "background"):
    box.controls[name].set_trait("value", {"a.png": {"content": file.getvalue(), "metadata": {}}})
assert box.links.value.count("download=") >= 2
widgets.loss_explorer()
"""


@pytest.mark.slow
def test_widgets_work_with_the_ipywidgets_of_colab(tmp_path):
    """Version 7.7, while the tests of the widgets run with version 8."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "old"]
    if subprocess.run([*install, "ipywidgets==7.7.1", "ipython_genutils==0.2.0"], capture_output=True).returncode:
        pytest.skip("pip could not fetch ipywidgets 7.7.1")
    done = run_in(ROOT, sys.executable, "-c", WIDGETS, PYTHONPATH=f"{tmp_path / 'old'}{os.pathsep}{ROOT}")
    assert done.returncode == 0, done.stderr
