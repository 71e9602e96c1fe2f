"""Build the course's web site.    python docs/build_site.py [--sources build/site-src] [--out build/site]

Without network: nothing is fetched while building, and nothing while reading. Warnings count as errors, and so does a
link within the site that leads nowhere.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT / "notebooks" / "tools")]

import gather  # noqa: E402  (after the path to it)
import links  # noqa: E402
from sphinx.cmd.build import main as sphinx_build  # noqa: E402


def build(sources: Path, out: Path) -> int:
    """Gather, build, check. Returns the number of complaints, 1 if they are Sphinx's."""
    gather.gather(sources)
    shutil.rmtree(out, ignore_errors=True)  # else Sphinx would not repeat its warnings, and would keep old pages
    if sphinx_build(["-W", "--keep-going", "-q", "-j", "auto", "-c", str(DOCS), str(sources), str(out)]):
        return 1
    site = links.read_site(out)
    complaints = [f"broken link: {one}" for one in links.broken(site)]
    complaints += [f"fetched from the network: {one}" for one in links.remote(site, out)]
    print("\n".join(complaints), end="\n" if complaints else "")
    outside = links.external(site)
    listing = out.with_name(f"{out.name}-links.txt")
    listing.write_text("\n".join(outside) + "\n", encoding="utf8")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    print(f"{len(site)} pages, {size:.0f} MB; {len(outside)} addresses outside, not fetched: {listing}")
    return len(complaints)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sources", type=Path, default=ROOT / "build" / "site-src", help="folder for the sources")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder for the site")
    options = parser.parse_args()
    start = time.monotonic()
    complaints = build(options.sources, options.out)
    print(f"{options.out / 'index.html'}, built in {time.monotonic() - start:.0f} s")
    sys.exit(bool(complaints))
