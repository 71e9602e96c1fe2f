#!/usr/bin/env bash
# Makes maskdepth_utils and the course's data usable on Colab, or in any Python environment without `make`.
#   in a clone:       bash colab_setup.sh
#   without a clone:  clones the course into ./maskdepth (so that data/ is there) and goes on from it
# Installs only what is missing; torch, torchvision and numpy stay as they are. Safe to run twice.
set -euo pipefail

ADDRESS="https://github.com/OWNER/maskdepth"  # from pyproject.toml by notebooks/tools/write_address.py
address=${MASKDEPTH_ADDRESS:-$ADDRESS}         # a fork or a local clone, say
python=${PYTHON:-python3}
case "$python" in */*) python=$(cd "$(dirname "$python")" && pwd)/${python##*/} ;; esac  # the script changes folders

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT

is_course() { grep -qs '^name = "maskdepth_utils"' "$1/pyproject.toml"; }
pip() { "$python" -m pip --disable-pip-version-check "$@"; }
installed_from() {
  (cd / && "$python" -c 'import importlib.util as u, os.path as p
spec = u.find_spec("maskdepth_utils")
print(p.dirname(p.dirname(p.realpath(spec.origin))) if spec and spec.origin else "")')
}

main() {  # a function, so that a script cut off while it is piped in does nothing
  local course= folder
  for folder in "$(dirname "${BASH_SOURCE[0]:-.}")" . .. maskdepth; do
    if is_course "$folder"; then course=$(cd "$folder" && pwd -P); break; fi
  done
  if [ -z "$course" ]; then
    echo "Cloning $address"
    if ! GIT_TERMINAL_PROMPT=0 git clone --quiet --depth 1 "$address" maskdepth; then
      echo "colab_setup.sh: could not clone $address into $PWD/maskdepth." >&2
      echo "Set MASKDEPTH_ADDRESS to the course's address, or run this script inside a clone." >&2
      exit 1
    fi
    course=$(cd maskdepth && pwd -P)
  fi

  # What the package and the notebooks need, from pyproject.toml; and the versions that must stay.
  "$python" - "$course/pyproject.toml" "$lists" <<'PYTHON'
import importlib.metadata
import importlib.util
import pathlib
import re
import sys

text = pathlib.Path(sys.argv[1]).read_text(encoding="utf8")
folder = pathlib.Path(sys.argv[2])
lists = re.findall(r"(?ms)^(?:dependencies|notebooks|shards) = \[(.*?)\]$", text)
needed = [line for line in re.findall(r'"([^"]+)"', "".join(lists)) if not line.startswith("maskdepth_utils")]
if importlib.util.find_spec("cv2"):  # from whichever package
    needed = [line for line in needed if not line.startswith("opencv")]
(folder / "needed.txt").write_text("\n".join(needed) + "\n")

keep = []
for name in ("torch", "torchvision", "numpy"):
    try:
        keep.append(f"{name}=={importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        pass
(folder / "keep.txt").write_text("\n".join(keep) + "\n")
PYTHON

  if ! pip install --quiet --retries 1 --requirement "$lists/needed.txt" --constraint "$lists/keep.txt" 2>"$lists/log"
  then
    echo "colab_setup.sh: could not install what is missing (is there a network?)" >&2
    grep -i "^error" "$lists/log" >&2 || cat "$lists/log" >&2
    echo "These were left as they are:" $(cat "$lists/keep.txt") >&2
    exit 1
  fi
  # A link, because the import then works in a notebook that is already running, and in a checkout that is read-only.
  if [ "$(installed_from)" != "$course" ]; then
    local packages
    packages=$("$python" -c 'import os, site, sysconfig
packages = sysconfig.get_path("purelib")
print(packages if os.access(packages, os.W_OK) else site.getusersitepackages())')
    pip uninstall --quiet --yes maskdepth_utils 2>/dev/null || true  # another checkout's
    mkdir -p "$packages"
    ln -sfn "$course/maskdepth_utils" "$packages/maskdepth_utils"
  fi

  (cd / && "$python" -c 'import maskdepth_utils')
  echo "maskdepth_utils is ready. Notebooks and data: $course"
}

main
