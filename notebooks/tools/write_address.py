"""Write the course's address, which is set in pyproject.toml under [project.urls], to the other places that need it.

    python notebooks/tools/write_address.py

The places: colab_setup.sh, CITATION.cff, the Colab links in README.md and the notebooks, README's link to the published
site, and the cell that sets a notebook up on Colab, which is written here for all of them.
"""

import re

import nbformat
from notebook_files import ROOT, find_notebooks, read, source_hash, stored_hash, tool_parser

from maskdepth_utils.files import write_file

GITHUB = "https://github.com/"
SLUG = r"[\w.-]+/[\w.-]+"
SETUP_CELL = """import importlib.util
import sys

if importlib.util.find_spec("maskdepth_utils") is None:  # on Colab, say
    setup = "https://raw.githubusercontent.com/SLUG/main/colab_setup.sh"
    get_ipython().system(f"curl -fsSL {setup} | PYTHON='{sys.executable}' bash")"""


def slug():
    """Return the OWNER/NAME of the course's address, as pyproject.toml says."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf8")
    found = re.search(rf'(?m)^Repository = "{GITHUB}({SLUG})"$', text)
    if not found:
        raise ValueError(f'pyproject.toml has no line Repository = "{GITHUB}OWNER/NAME"')
    return found[1]


def address():
    """Return the course's address."""
    return GITHUB + slug()


def with_address(text, slug):
    """Return a text with the address in all its places; of a set-up cell, the whole cell as it should be."""
    if text.startswith("import importlib.util") and "colab_setup.sh" in text:
        return SETUP_CELL.replace("SLUG", slug)
    text = re.sub(r'(?m)^ADDRESS="[^"]*"', f'ADDRESS="{GITHUB}{slug}"', text)
    text = re.sub(r"https://[\w-]+\.github\.io/[\w.-]+/", "https://{}.github.io/{}/".format(*slug.split("/")), text)
    text = re.sub(r'(?m)^repository-code: "[^"]*"', f'repository-code: "{GITHUB}{slug}"', text)
    return re.sub(rf"(colab\.research\.google\.com/github/){SLUG}(/blob/)", rf"\g<1>{slug}\2", text)


def outdated():
    """Return {path: its new text} of the files that say another address, or have another set-up cell."""
    names = ("colab_setup.sh", "CITATION.cff", "README.md")
    found = {ROOT / name: with_address((ROOT / name).read_text(encoding="utf8"), slug()) for name in names}
    for path in find_notebooks(solutions=True):
        nb = read(path)
        fresh = stored_hash(nb) == source_hash(nb)
        for cell in nb.cells:
            cell.source = with_address(cell.source, slug())
        if fresh:  # no output changes: a set-up cell prints nothing
            nb.metadata.maskdepth.source_hash = source_hash(nb)
        found[path] = nbformat.writes(nb) + "\n"
    return {path: text for path, text in found.items() if text != path.read_text(encoding="utf8")}


def main():
    tool_parser(__doc__).parse_args()
    for path, text in outdated().items():
        write_file(path, text.encode())
        print(f"{path.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main()
