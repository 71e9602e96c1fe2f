"""Give every notebook the same head, every picture in it an alt text, and README's table of notebooks their times.

    python notebooks/tools/heads.py --write          # all notebooks; in the solutions the alt texts only
    python notebooks/tools/heads.py --write 02 05    # some, and their solutions
    python notebooks/tools/heads.py --check          # are they as --write leaves them? exit 1 if not

A head, the first cell, has the title, a Colab badge, a picture of where the notebook goes, the author's words, and a
line that says what its last run took. Title and words are the author's; the rest is made here, and made again whenever
execute_notebooks.py has run.

The picture is the one that the cell tagged `goal` drew, made smaller. It stands at the end of the first cell, as a data
URI: of the ways to show a picture without a file or a network, most viewers know this one. Attachments of a cell
(`attachment:goal.png`) are shown neither by Colab (googlecolab/colabtools#3836) nor by myst-nb 1.4, and a file beside
the notebook is not there on Colab. Seen to work in JupyterLab, nbconvert (nbviewer's engine) and myst-nb; Colab writes
such pictures itself; on GitHub others report it to work (activeviam/atoti-notebooks#425, ajwdewit/pcse_notebooks#8).

The alt text is the caption in the cell below: "*Figure: what it shows.*", or else the first paragraph, as many whole
sentences as fit. Where the text below describes nothing, the author begins it with a line that readers do not see:

    <!-- alt: Two curves: the loss falls from 0.4 to 0.1, the IoU rises from 0.4 to 0.6. -->

It is stored in the output's metadata, `{"image/png": {"alt": ...}}`, as IPython's `Image(alt=...)` does. nbconvert's
classic template reads it from there (its lab template and JupyterLab 4.6 show no alt text of outputs at all), and the
site gets it by docs/gather.py.
"""

import argparse
import base64
import copy
import datetime
import hashlib
import io
import re
import sys

import nbformat
from notebook_files import NOTEBOOKS, find_notebooks, label, read, write
from PIL import Image
from write_address import address

from maskdepth_utils.files import write_file

README = NOTEBOOKS.parent / "README.md"
WIDTH, BYTES = 700, 60_000  # of the head's picture, at most
LONGEST_ALT, FEWEST_WORDS = 300, 3
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
DATA = "[goal]: data:image/jpeg;base64,"
MADE = re.compile(r"\[!?\[?Open (?:this notebook )?in Colab\]|!\[[^]]*\]\[goal\]|\*Run for these pages on |\[goal\]: ")
COMMENT = re.compile(r"<!-- alt: (.+?) -->", re.DOTALL)
EMPHASIS = re.compile(r"\*(?![*\s])(.+?)(?<![*\s])\*(?!\*)", re.DOTALL)
LINK, MARKS = re.compile(r"\[([^]]*)\]\([^)]*\)"), re.compile(r"[`*]")
ROW = re.compile(r"(?m)^(?P<before>\| \[[^]]+\]\(notebooks/(?P<name>[^)]+)\) \|[^|]+\|)[^|]*(?P<after>\| \[Colab\])")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def finish(nb, path):
    """Write the alt texts into `nb`, and its head if `path` is one of the course's notebooks; returns `nb`."""
    for number, cell in enumerate(nb.cells):
        for output, kind in pictures(cell):
            output.metadata.setdefault(kind, {})["alt"] = caption(nb, number)
    if path.parent == NOTEBOOKS:
        first, (title, words) = nb.cells[0], own_words(nb)
        first.source = head(nb, path.name, title, words)
        # As the line about the run changes with each run, the id is made of what the author wrote.
        first.id = hashlib.sha256("\n\n".join([title, *words]).encode()).hexdigest()[:8]
    return nb


def problems(nb, path):
    """Where a notebook differs from what --write makes of it, and what it lacks: a list of sentences."""
    wanted, found = finish(copy.deepcopy(nb), path), []
    if path.parent == NOTEBOOKS:
        if goal_picture(nb) is None:
            found.append(f"no cell tagged `goal` has a picture for its head: tag one of its cells {with_pictures(nb)}")
        if wanted.cells[0].source != nb.cells[0].source:
            found.append("its head is not as heads.py --write makes it")
    for number in with_pictures(nb):
        if len(caption(nb, number).split()) < FEWEST_WORDS:
            how = "begin that cell with *Figure: what it shows.* or <!-- alt: what it shows -->"
            found.append(f"cell {number} has a picture that the cell below does not describe: {how}")
        elif alt_texts(nb.cells[number]) != {caption(nb, number)}:
            found.append(f"cell {number} has a picture whose alt text is not its caption: heads.py --write")
    return found


def pictures(cell):
    """The pictures among a cell's outputs: pairs (output, MIME type)."""
    return [(out, kind) for out in cell.get("outputs", []) for kind in out.get("data", {}) if kind.startswith("image/")]


def with_pictures(nb):
    """The numbers of the cells that have pictures."""
    return [number for number, cell in enumerate(nb.cells) if pictures(cell)]


# ------------------------------------------------------------------------------------------------------- alt texts
def alt_texts(cell):
    """The set of the alt texts that are stored with a cell's pictures, "" for none."""
    return {output.metadata.get(kind, {}).get("alt", "") for output, kind in pictures(cell)}


def caption(nb, number):
    """What the cell below cell `number` says of its picture, as plain text; "" if it says nothing."""
    below = nb.cells[number + 1] if number + 1 < len(nb.cells) else None
    if below is None or below.cell_type != "markdown":
        return ""
    written = COMMENT.match(below.source)
    if written:
        return " ".join(written[1].split())
    paragraph = re.split(r"\n\s*\n", below.source.strip())[0]
    if paragraph.startswith(("<", "#", "|", "- ", "```")):
        return ""
    emphasis = EMPHASIS.match(paragraph)
    text = plain(emphasis[1] if emphasis else paragraph).removeprefix("Figure: ")
    return shortened(text[:1].upper() + text[1:])


def plain(markdown):
    """Markdown within a paragraph, without its marks."""
    return " ".join(MARKS.sub("", LINK.sub(r"\1", markdown)).split())


def shortened(text, longest=LONGEST_ALT):
    """The first sentence, and as many more as fit into `longest` characters; none that leads over to a list."""
    sentences = SENTENCE_END.split(text)
    short = sentences[0]
    for sentence in sentences[1:]:
        if len(short) + 1 + len(sentence) > longest or not sentence.endswith((".", "?", "!", ")")):
            break
        short += f" {sentence}"
    return short


# ------------------------------------------------------------------------------------------------------------ heads
def own_words(nb):
    """The first cell's title, and the paragraphs that its author wrote."""
    title, *paragraphs = re.split(r"\n\s*\n", nb.cells[0].source.strip())
    if nb.cells[0].cell_type != "markdown" or not title.startswith("# "):
        raise ValueError(f"the first cell has to begin with a title (# ...), found: {title[:60]!r}")
    return title, [text for text in paragraphs if not MADE.match(text)]


def head(nb, name, title, words):
    """The text of the first cell of notebook `name`."""
    badge = f"{BADGE}(https://colab.research.google.com/github/{slug()}/blob/main/notebooks/{name})"
    parts = [title, badge, *words]
    goal = goal_picture(nb)
    if goal:
        alt = caption(nb, goal[0]).replace("[", "(").replace("]", ")")
        parts.insert(2, f"![{alt}][goal]")
    executed = nb.metadata.get("maskdepth", {}).get("executed")
    if executed:
        parts.append(about_the_run(executed))
    if goal:
        parts.append(DATA + small_picture(nb, goal[1]))
    return "\n\n".join(parts)


def slug():
    return address().removeprefix("https://github.com/")


def goal_picture(nb):
    """(number of the cell tagged `goal`, the bytes of its last picture); None if there is none."""
    for number, cell in enumerate(nb.cells):
        found = [out.data[kind] for out, kind in pictures(cell) if kind in ("image/png", "image/jpeg")]
        if "goal" in cell.metadata.get("tags", []) and found:
            return number, base64.b64decode(found[-1])
    return None


def stored_picture(nb):
    """The base64 text of the picture that the head has now; "" if it has none."""
    lines = [line for line in nb.cells[0].source.splitlines() if line.startswith(DATA)]
    return lines[0].removeprefix(DATA) if lines else ""


def small_picture(nb, picture):
    """The base64 text of a JPEG for the head. The stored one stays as long as `picture`, which it was made of, does:

    made again by another version of the JPEG library, it would differ in some bits.
    """
    about, digest = nb.metadata.setdefault("maskdepth", {}), hashlib.sha256(picture).hexdigest()[:16]
    if about.get("goal") == digest and stored_picture(nb):
        return stored_picture(nb)
    about["goal"] = digest
    return base64.b64encode(shrunk(picture)).decode()


def shrunk(picture):
    """The bytes of a JPEG that is no wider than WIDTH and no larger than BYTES."""
    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    card = Image.new("RGBA", image.size, "white")  # opaque: it has to be readable on dark pages, too
    card.alpha_composite(image)
    card.thumbnail((WIDTH, 2 * WIDTH), Image.Resampling.LANCZOS)
    for quality in range(92, 40, -4):
        file = io.BytesIO()
        card.convert("RGB").save(file, "JPEG", quality=quality, subsampling=0)
        if file.tell() <= BYTES:
            return file.getvalue()
    raise ValueError(f"the cell tagged `goal`: {card.width} x {card.height} pixels do not fit into {BYTES} bytes")


def about_the_run(executed):
    """A line of Markdown about the run that made the outputs; `executed`: what execute_notebooks.py stores."""
    day = datetime.date.fromisoformat(executed["date"])
    python, torch = (".".join(executed[name].split(".")[:2]) for name in ("python", "torch"))
    gpu = f"{executed['gpu']} and " if "gpu" in executed else ""
    processor = re.sub(r"\((R|TM)\)|( \d+-Core)? Processor| CPU @.*", "", executed["processor"])
    return (
        f"*Run for these pages on {day.day} {day:%B %Y}: {duration(executed['seconds'])}, "
        f"{memory(executed['peak_mb'])} of memory at its peak, on {gpu}{executed['cores']} CPU cores ({processor}); "
        f"Python {python}, PyTorch {torch}.{'' if gpu else ' Not timed on a GPU yet.'}*"
    )


def duration(seconds):
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def memory(mebibytes):
    gigabytes = mebibytes * 2**20 / 1e9
    return f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{1000 * gigabytes:.0f} MB"


def with_times(readme):
    """README's text, its table's rows with the time that their notebook's last run took."""

    def row(found):
        executed = read(NOTEBOOKS / found["name"]).metadata.get("maskdepth", {}).get("executed")
        return f"{found['before']} {duration(executed['seconds'])} {found['after']}" if executed else found[0]

    return ROW.sub(row, readme)


def write_times():
    """The same, into README.md."""
    write_file(README, with_times(README.read_text(encoding="utf8")).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="write heads and alt texts")
    what.add_argument("--check", action="store_true", help="say what is not as --write leaves it, or missing")
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="how its name begins, or its path")
    args = parser.parse_args()
    bad = False
    for path in find_notebooks(args.names, solutions=True):
        nb = read(path)
        before = nbformat.writes(nb)
        if args.write and nbformat.writes(finish(nb, path)) != before:
            write(nb, path)
            print(f"{label(path)}: written")
        for problem in problems(nb, path):
            bad = True
            print(f"{label(path)}: {problem}")
        if path.parent == NOTEBOOKS and "executed" not in nb.metadata.get("maskdepth", {}):
            print(f"{label(path)}: its head does not say what a run takes: execute_notebooks.py has to store it first")
    if args.write:
        write_times()
    elif with_times(readme := README.read_text(encoding="utf8")) != readme:
        bad = True
        print("README.md: its table does not say what the notebooks' last runs took")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
