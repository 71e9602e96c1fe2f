"""Read a built site as a browser would, and list what does not resolve, what is remote, and where it links to."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

CSS_ADDRESS = re.compile(r"""(?:url\(\s*|@import\s+)["']?\s*((?:https?:)?//[^"')\s]+)""")
FETCHED = {"src", "srcset", "poster"}  # attributes whose address a browser fetches by itself


class Reference(NamedTuple):
    """An address on a page; fetched: whether the browser fetches it without being asked."""

    page: Path
    target: str
    fetched: bool


class Page(HTMLParser):
    """The addresses and the anchors of one HTML file."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.references, self.anchors, self.styles = path, [], set(), []
        self.in_style = False
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        self.in_style = tag == "style"
        for name, value in attributes:
            if value is None:
                continue
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value)
            elif name == "href" and tag in ("a", "area", "link"):
                self.references.append(Reference(self.path, value, tag == "link"))
            elif name in FETCHED or (tag, name) == ("object", "data"):
                self.references.append(Reference(self.path, value.split(" ")[0], True))
            elif name == "style":
                self.styles.append(value)

    def handle_data(self, text):
        if self.in_style:
            self.styles.append(text)


def read_site(folder: Path) -> dict[Path, Page]:
    """Every page; what lies in _static/ are the theme's templates."""
    paths = sorted(folder.resolve().rglob("*.html"))
    return {path: Page(path) for path in paths if "_static" not in path.relative_to(folder.resolve()).parts}


def is_remote(target: str) -> bool:
    return target.startswith("//") or urlsplit(target).scheme in ("http", "https")


def broken(site: dict[Path, Page]) -> list[str]:
    """References within the site that lead nowhere: a file that is not there, or an anchor that is not on its page."""
    found = []
    for page in site.values():
        for reference in page.references:
            parts = urlsplit(reference.target)
            if parts.scheme or is_remote(reference.target):
                continue
            path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            if not path.is_file():
                found.append(f"{page.path.name}: {reference.target} (no such file)")
            elif parts.fragment and path in site and unquote(parts.fragment) not in site[path].anchors:
                found.append(f"{page.path.name}: {reference.target} (no such anchor)")
    return found


def remote(site: dict[Path, Page], folder: Path) -> list[str]:
    """Everything that a browser would fetch from the network while a page is read: scripts, pictures, styles, fonts."""
    found = [
        f"{page.path.name}: {reference.target}"
        for page in site.values()
        for reference in page.references
        if reference.fetched and is_remote(reference.target)
    ]
    texts = [(path.name, path.read_text(encoding="utf8")) for path in folder.rglob("*.css")]
    texts += [(page.path.name, style) for page in site.values() for style in page.styles]
    return found + [f"{name}: {match}" for name, text in texts for match in CSS_ADDRESS.findall(text)]


def external(site: dict[Path, Page]) -> list[str]:
    """The addresses outside that a reader may follow, each once."""
    references = (one for page in site.values() for one in page.references)
    return sorted({one.target for one in references if is_remote(one.target) and not one.fetched})
