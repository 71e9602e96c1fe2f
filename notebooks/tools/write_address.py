"""Write the course's address, which is set in pyproject.toml, to the other places that need it.

    python notebooks/tools/write_address.py            # after editing [project.urls]
    python notebooks/tools/write_address.py --check    # exit 1 if a place says something else

The places: colab_setup.sh, CITATION.cff, the Colab links in README.md and the notebooks, and the cell that sets a
notebook up on Colab, which is written here for all of them.
"""

import re
import sys

from notebook_files import NOTEBOOKS, find_notebooks, read, source_hash, stored_hash, tidy, write

from maskdepth_utils.files import write_file

ROOT = NOTEBOOKS.parent
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
    text = re.sub(r'(?m)^repository-code: "[^"]*"', f'repository-code: "{GITHUB}{slug}"', text)
    return re.sub(rf"(colab\.research\.google\.com/github/){SLUG}(/blob/)", rf"\g<1>{slug}\2", text)


def main(check=False):
    """Return the files whose address differs from pyproject.toml's; rewrite them unless `check`."""
    new, changed = slug(), []
    for path in (ROOT / name for name in ("colab_setup.sh", "CITATION.cff", "README.md")):
        text = path.read_text(encoding="utf8")
        if with_address(text, new) != text:
            changed.append(path)
            if not check:
                write_file(path, with_address(text, new).encode())
    for path in find_notebooks(solutions=True):
        nb = read(path)
        fresh = stored_hash(nb) == source_hash(nb)
        outdated = [cell for cell in nb.cells if with_address(cell.source, new) != cell.source]
        changed += [path] if outdated else []
        if outdated and not check:
            for cell in outdated:
                cell.source = with_address(cell.source, new)
            write(tidy(nb) if fresh else nb, path)  # no output changes: a set-up cell prints nothing
    return changed


if __name__ == "__main__":
    check = "--check" in sys.argv[1:]
    changed = main(check)
    for path in changed:
        print(f"{path.relative_to(ROOT)}: {'another address' if check else 'written'}")
    sys.exit(bool(check and changed))
