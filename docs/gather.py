"""Bring the site's sources together in one folder, at the same places as in the repository.

Notebooks, cards and README stay where they are; what Sphinx reads is a copy. A link from one of them to another page,
or to a picture, works unchanged. A link to any other file of the repository becomes one to the course's address,
which is in pyproject.toml and nowhere else. A notebook's badge, a picture on the network, becomes a link in words.
"""

import re
from pathlib import Path

import nbformat
from heads import alt_texts
from notebook_files import NOTEBOOKS, find_notebooks, is_lesson, label, read
from write_address import address

ROOT = NOTEBOOKS.parent
DOCS = ROOT / "docs"
TEACHING = NOTEBOOKS / "TEACHING.md"
CARDS = {"README.md": "Read me", "data/README.md": "Data card", "data/checkpoints/README.md": "Model card"}
PICTURES = {".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"}
FENCED = re.compile(r"(^ *(`{3,}|~{3,}).*?^ *\2[`~]*[ \t]*$)", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"(?<=\]\()[^)\s]+")
BADGE = re.compile(r"\[!\[(Open in Colab)\]\([^)]*\)\]")


def page_sources() -> list[Path]:
    """Every file outside docs/ that becomes a page as it is."""
    return [*find_notebooks(solutions=True), *(ROOT / name for name in CARDS), TEACHING]


def source_of(page: str) -> Path | None:
    """The file that a page (by Sphinx's name) is made from; None for an index or the search."""
    module = page.removeprefix("api/").removeprefix("_modules/").replace(".", "/")
    names = [f"docs/{page}.md", f"{page}.ipynb", f"{page}.md", f"{module}.py", f"{module}/__init__.py"]
    return next((ROOT / name for name in names if (ROOT / name).is_file()), None)


def with_links(text: str, source: Path, pages: set[Path]) -> tuple[str, set[Path]]:
    """Markdown whose links work on the site, and the pictures that it shows.

    source: the file that the text comes from; pages: the files that become pages. A target that does not exist is left
    as it is, for Sphinx to complain about.
    """
    pictures = set()

    def rewrite(match):
        target, mark, fragment = match[0].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = (source.parent / target).resolve()
        if path in pages or not path.exists() or not path.is_relative_to(ROOT):
            return match[0]
        if path.suffix in PICTURES:
            pictures.add(path)
            return match[0]
        kind = "tree" if path.is_dir() else "blob"
        return f"{address()}/{kind}/main/{path.relative_to(ROOT).as_posix()}{mark}{fragment}"

    pieces = FENCED.split(text)  # prose, a block, its fence, prose, ...
    prose = [TARGET.sub(rewrite, piece) for piece in pieces[0::3]]
    return "".join(a + b for a, b in zip(prose, [*pieces[1::3], ""])), pictures


def for_the_site(cell) -> None:
    """Change a notebook's cell where the site needs it otherwise: the badge in words, alt texts where myst-nb looks."""
    if cell.cell_type == "markdown":
        cell.source = BADGE.sub(r"[\1]", cell.source)
    for alt in filter(None, alt_texts(cell)):  # one for all of the cell's pictures, or none
        cell.metadata["mystnb"] = {"image": {"alt": alt}}


def opening(path: Path) -> dict:
    """What a notebook's first cell says: `title`, `learn` (a list), `time`. Raises ValueError where one is missing."""
    text = read(path).cells[0].source
    patterns = {
        "title": r"^# (?:Going deeper · )?(.+)$",
        "learn": r"^\*\*You will learn\*\*\s*\n((?:[-* ] .*\n?)+)",
        "time": r"^\*\*Time\*\*: *(.+)$",
    }
    found = {name: re.search(pattern, text, re.MULTILINE) for name, pattern in patterns.items()}
    for name, match in found.items():
        if not match:
            raise ValueError(f"{path.name}: found no {name} in its first cell, expected {patterns[name]}")
    bullets = re.split(r"^- ", found["learn"][1], flags=re.MULTILINE)[1:]
    learn = [" ".join(bullet.split()).rstrip(";.") for bullet in bullets]
    time = found["time"][1]
    return {"title": found["title"][1], "learn": learn, "time": time[0].upper() + time[1:]}


def notebook_table(paths: list[Path]) -> str:
    """A table for the landing page: a row for each notebook, from what its first cell says."""
    rows = []
    for path in paths:
        facts = opening(path)
        bullets = [f"{'  - ' if number == 0 else '    '}- {line}" for number, line in enumerate(facts["learn"])]
        rows += [f"* - [{facts['title']}]({path.relative_to(ROOT).as_posix()})", *bullets, f"  - {facts['time']}"]
    head = ["```{list-table}", ":header-rows: 1", ":class: notebooks", ":widths: 24 52 24", ""]
    return "\n".join([*head, "* - Notebook", "  - You will learn", "  - Time", *rows, "```"])


def extras() -> list[Path]:
    """The optional notebooks that go deeper."""
    return [path for path in find_notebooks() if path.parent != NOTEBOOKS]


def toctrees() -> str:
    """The contents in the sidebar: every page, under captions."""

    def pages(paths):
        first_lines = [read(path).cells[0].source.split("\n")[0] for path in paths]
        titles = [re.sub("^# |Solutions to |Going deeper · ", "", line) for line in first_lines]
        return [f"{title} <notebooks/{label(path)}>" for title, path in zip(titles, paths)]

    parts = {
        "Course": pages(find_notebooks(extras=False)),
        "Extras": pages(extras()),
        "Solutions": pages([path for path in find_notebooks(solutions=True) if not is_lesson(path)]),
        "For teachers": ["Teacher's guide <notebooks/TEACHING>"],
        "Reference": [*(f"{title} <{Path(name).with_suffix('')}>" for name, title in CARDS.items()), "api"],
    }
    blocks = [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"])
        for caption, entries in parts.items()
        if entries
    ]
    return "\n\n".join(blocks)


def fill(text: str, has_demo: bool) -> str:
    """A page of docs/ with its places, such as {{ address }}, filled in."""
    places = {
        "address": address(),
        "folder": address().rsplit("/", 1)[1],
        "notebook_table": notebook_table(find_notebooks(extras=False)),
        "extras": f"### Extras: going deeper\n\n{notebook_table(extras())}" if extras() else "",
        "try_it": (DOCS / "try_it.html").read_text(encoding="utf8") if has_demo else "",
        "toctrees": toctrees(),
    }
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: places[match[1]], text)


def gather(folder: Path, has_demo: bool = False) -> None:
    """Write every source into `folder`, which is empty. The landing page shows the page "Try it" if there is one."""
    pages, pictures = set(page_sources()), set()

    def take(text, source):
        text, shown = with_links(text, source, pages)
        pictures.update(shown)
        return text

    def write(name, content: bytes):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    for path in pages:
        if path.suffix == ".ipynb":
            nb = read(path)
            nb.metadata.language_info["pygments_lexer"] = "ipython3"  # which knows lines that begin with !
            for cell in nb.cells:
                for_the_site(cell)
                if cell.cell_type == "markdown":
                    cell.source = take(cell.source, path)
            write(path.relative_to(ROOT), nbformat.writes(nb).encode())
        else:
            write(path.relative_to(ROOT), take(path.read_text(encoding="utf8"), path).encode())
    for path in DOCS.glob("*.md"):  # their links are written as seen from the site's top, which is the repository's
        write(path.name, take(fill(path.read_text(encoding="utf8"), has_demo), ROOT / path.name).encode())
    for path in pictures:
        write(path.relative_to(ROOT), path.read_bytes())
