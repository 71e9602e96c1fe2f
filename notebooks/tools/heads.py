"""Give every notebook the same head, every picture in it an alt text, and README's table of notebooks their times.

    python notebooks/tools/heads.py          # all notebooks; in the solutions the alt texts only
    python notebooks/tools/heads.py 02 05    # some, and their solutions

The head, the first cell, has the title, a Colab badge, the picture that the cell tagged `goal` drew, the author's
words, how long it takes to read and to run, and a line about the last run. Title and words are the author's;
execute_notebooks.py updates the rest. The picture is at the end of the cell as a data URI, because Colab and myst-nb
show no attachments of cells.

Cells tagged `hide-output` or `hide-input` are folded in JupyterLab; the web site folds them by the tag. A stored quiz
is written anew from its file.

The alt text of a picture is the caption in the cell below: a hidden line, <!-- alt: what it shows -->, or "*Figure:
what it shows.*", or else the first paragraph, as many whole sentences as fit.
"""

import base64
import copy
import datetime
import hashlib
import io
import re

import notebook_files as files
from notebook_files import NOTEBOOKS, find_notebooks, is_lesson, read, tool_parser, write
from PIL import Image
from write_address import slug

from maskdepth_utils.course import quiz
from maskdepth_utils.files import write_file

README = NOTEBOOKS.parent / "README.md"
WIDTH = 700  # pixels of the head's picture, at most
LONGEST_ALT = 300  # characters
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
DATA = "[goal]: data:image/jpeg;base64,"
MADE = re.compile(r"\[!\[Open in Colab\]|!\[[^]]*\]\[goal\]|\*\*Time\*\*: |\*Run for these pages on |\[goal\]: ")
COMMENT = re.compile(r"<!-- alt: (.+?) -->", re.DOTALL)
EMPHASIS = re.compile(r"\*(?![*\s])(.+?)(?<![*\s])\*(?!\*)", re.DOTALL)
FOLDED = {"hide-output": "outputs_hidden", "hide-input": "source_hidden"}  # tag: JupyterLab's name
QUIZ = re.compile(r'quiz\.show\("(\w+)"\)')
ROW = re.compile(r"(?m)^(?P<before>\| \[[^]]+\]\(notebooks/(?P<name>[^)]+)\) \|[^|]+)(\|[^|]*){2}(?=\| \[Colab\])")


def finish(nb, path):
    """Write alt texts and quizzes into a notebook, fold outputs, write the head of a lesson; return the notebook."""
    for number, cell in enumerate(nb.cells):
        for output, kind in pictures(cell):
            output.metadata.setdefault(kind, {})["alt"] = caption(nb, number)
        for output in cell.get("outputs", []):
            if (shown := QUIZ.search(cell.source)) and "text/html" in output.get("data", {}):
                output.data = quiz.to_output(shown[1])
        cell.metadata.pop("jupyter", None)
        if folded := {FOLDED[tag]: True for tag in cell.metadata.get("tags", []) if tag in FOLDED}:
            cell.metadata["jupyter"] = folded
    if is_lesson(path):
        title, *paragraphs = re.split(r"\n\s*\n", nb.cells[0].source.strip())
        if nb.cells[0].cell_type != "markdown" or not title.startswith("# "):
            raise ValueError(f"expected a title (# ...) at the top of the first cell, found {title[:60]!r}")
        words = [text for text in paragraphs if not MADE.match(text)]
        nb.cells[0].source = head(nb, path.relative_to(NOTEBOOKS).as_posix(), title, words)
        # The lines about the run change with each run, so the id is made from what the author wrote.
        nb.cells[0].id = hashlib.sha256("\n\n".join([title, *words]).encode()).hexdigest()[:8]
    return nb


def problems(nb, path):
    """List, in sentences, where a notebook differs from what `finish` makes of it, and what it lacks."""
    found = []
    if is_lesson(path) and goal_picture(nb) is None:
        found.append("no cell tagged `goal` has a picture for its head")
    pairs = zip(nb.cells, finish(copy.deepcopy(nb), path).cells)
    if any((a.source, a.get("outputs"), a.metadata) != (b.source, b.get("outputs"), b.metadata) for a, b in pairs):
        found.append("run heads.py: its head, an alt text, a folded cell or its quiz is out of date")
    for number, cell in enumerate(nb.cells):
        if pictures(cell) and len(caption(nb, number).split()) < 3:
            how = "begin that cell with *Figure: what it shows.* or <!-- alt: what it shows -->"
            found.append(f"cell {number} has a picture that the cell below does not describe: {how}")
    return found


def pictures(cell):
    """Return the pictures among a cell's outputs: pairs (output, MIME type)."""
    return [(out, kind) for out in cell.get("outputs", []) for kind in out.get("data", {}) if kind.startswith("image/")]


def alt_texts(cell):
    """Return the alt texts that are stored with a cell's pictures, "" for none."""
    return {output.metadata.get(kind, {}).get("alt", "") for output, kind in pictures(cell)}


def caption(nb, number):
    """Return what the cell below cell `number` says of its picture, as plain text; "" if it says nothing."""
    below = next(iter(nb.cells[number + 1 :]), None)
    if below is None or below.cell_type != "markdown":
        return ""
    if written := COMMENT.match(below.source):
        return " ".join(written[1].split())
    paragraph = re.split(r"\n\s*\n", below.source.strip())[0]
    if paragraph.startswith(("<", "#", "|", "- ", "```")):
        return ""
    emphasis = EMPHASIS.match(paragraph)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", emphasis[1] if emphasis else paragraph)
    text = " ".join(re.sub("[`*]", "", text).split()).removeprefix("Figure: ")
    short, *others = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text[:1].upper() + text[1:])
    for sentence in others:
        if len(short) + 1 + len(sentence) > LONGEST_ALT or not sentence.endswith((".", "?", "!", ")")):
            break  # too long, or it introduces a list
        short += f" {sentence}"
    return short


def head(nb, name, title, words):
    """Write the text of the first cell of notebook `name`, a path within notebooks/."""
    parts = [title, f"{BADGE}(https://colab.research.google.com/github/{slug()}/blob/main/notebooks/{name})", *words]
    executed = nb.metadata.get("maskdepth", {}).get("executed")
    included = ", exercises included" if files.exercise_minutes(nb) else ""
    to_run = f", and {duration(executed['seconds'])} to run" if executed else ""
    parts.append(f"**Time**: about {files.reading_minutes(nb):.0f} minutes to read{included}{to_run}.")
    if executed:
        parts.append(about_the_run(executed))
    if goal := goal_picture(nb):
        number, picture = goal
        alt = caption(nb, number).replace("[", "(").replace("]", ")")
        parts = [*parts[:2], f"![{alt}][goal]", *parts[2:], DATA + small_picture(nb, picture)]
    return "\n\n".join(parts)


def goal_picture(nb):
    """Return (number of the cell tagged `goal`, the bytes of its last picture); None if there is none."""
    for number, cell in enumerate(nb.cells):
        found = [out.data[kind] for out, kind in pictures(cell) if kind in ("image/png", "image/jpeg")]
        if "goal" in cell.metadata.get("tags", []) and found:
            return number, base64.b64decode(found[-1])
    return None


def small_picture(nb, picture):
    """Return the base64 text of a JPEG on white for the head, no wider than WIDTH."""
    about = nb.metadata.setdefault("maskdepth", {})
    digest = hashlib.sha256(picture).hexdigest()[:16]
    stored = nb.cells[0].source.partition(DATA)[2].partition("\n")[0]
    if about.get("goal") == digest and stored:
        return stored  # another version of the JPEG library would make other bytes
    about["goal"] = digest
    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    card = Image.new("RGBA", image.size, "white")  # opaque, so that it can be read on dark pages, too
    card.alpha_composite(image)
    card.thumbnail((WIDTH, 2 * WIDTH), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    card.convert("RGB").save(file, "JPEG", quality=80, subsampling=0)
    return base64.b64encode(file.getvalue()).decode()


def about_the_run(executed):
    """Write a line of Markdown about the run that made the outputs, from what execute_notebooks.py stores."""
    day = datetime.date.fromisoformat(executed["date"])
    python, torch = (".".join(executed[name].split(".")[:2]) for name in ("python", "torch"))
    gpu = f"{executed['gpu']} and " if "gpu" in executed else ""
    processor = re.sub(r"\((R|TM)\)|( \d+-Core)? Processor| CPU @.*", "", executed["processor"])
    gigabytes = executed["peak_mb"] * 2**20 / 1e9
    memory = f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{1000 * gigabytes:.0f} MB"
    gpu_note = "" if gpu else " Not timed on a GPU yet."
    return (
        f"*Run for these pages on {day.day} {day:%B %Y} on {gpu}{executed['cores']} CPU cores ({processor}), "
        f"with {memory} of memory at its peak; Python {python}, PyTorch {torch}.{gpu_note}*"
    )


def duration(seconds):
    """Write a time in words."""
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def with_times(readme):
    """Return README's text with the times to read and to run the notebooks in its table."""

    def row(found):
        nb = read(NOTEBOOKS / found["name"])
        to_run = duration(nb.metadata.maskdepth.executed["seconds"])
        return f"{found['before']}| {files.reading_minutes(nb):.0f} minutes | {to_run} "

    return ROW.sub(row, readme)


def write_times():
    """Write the times to read and to run the notebooks into README's table."""
    write_file(README, with_times(README.read_text(encoding="utf8")).encode())


def main():
    for path in find_notebooks(tool_parser(__doc__, names=True).parse_args().names, solutions=True):
        write(finish(read(path), path), path)
    write_times()


if __name__ == "__main__":
    main()
