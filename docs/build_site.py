"""Build the course's web site.    python docs/build_site.py [--sources build/site-src] [--out build/site]

Nothing is fetched from the network, neither while building nor while reading. Sphinx's warnings count as errors: among
them are links between pages, and references to names of the package, that lead nowhere.
"""

import argparse
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT / "notebooks" / "tools")]

import gather  # noqa: E402  (after the path to it)
from sphinx.cmd.build import main as sphinx_build  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sources", type=Path, default=ROOT / "build" / "site-src", help="folder for the sources")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder for the site")
    options = parser.parse_args()
    gather.gather(options.sources)
    shutil.rmtree(options.out, ignore_errors=True)  # otherwise Sphinx would skip known warnings and keep old pages
    arguments = ["-W", "--keep-going", "-q", "-j", "auto", "-c", str(DOCS), str(options.sources), str(options.out)]
    failed = sphinx_build(arguments)
    print("failed" if failed else options.out / "index.html")
    sys.exit(failed)
