"""Build the course's web site.    python docs/build_site.py [--out build/site]

The site needs no network. Building it fetches onnxruntime-web, once, for the page "Try it" (demo/); where npm is
missing, that page is left out. Sphinx's warnings count as errors: among them are links between pages, and references to
names of the package, that lead nowhere.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT / "demo"), str(ROOT / "notebooks" / "tools")]

import gather  # noqa: E402  (after the path to it)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder for the site")
    parser.add_argument("--builder", default="html", help="Sphinx's, such as linkcheck, which needs a network")
    args = parser.parse_args()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        if any(args.out.iterdir()) and not (args.out / ".doctrees").exists():
            raise FileExistsError(f"{args.out.resolve()} holds files that no earlier build wrote")
        shutil.rmtree(args.out)  # otherwise Sphinx would skip known warnings and keep old pages
    except OSError as error:
        parser.error(f"{error}. Name another folder: make site OUT=FOLDER, or --out FOLDER")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # removes the sources
    with tempfile.TemporaryDirectory() as sources, tempfile.TemporaryDirectory() as demo:
        from build_demo import build_if_possible  # here, because it takes seconds

        has_demo = args.builder == "html" and build_if_possible(Path(demo))
        gather.gather(Path(sources), has_demo)
        options = ["-W", "--keep-going", "-q", "-j", "auto", "-c", str(DOCS), "-b", args.builder]
        # In a process of its own: where Sphinx imports a module, it would catch the exception of sys.exit above.
        failed = subprocess.run([sys.executable, "-m", "sphinx", *options, sources, args.out]).returncode
        if has_demo and not failed:
            shutil.copytree(demo, args.out / "demo")
    print("failed" if failed else args.out / "index.html")
    sys.exit(failed)
