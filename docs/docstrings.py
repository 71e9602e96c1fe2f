"""The package's docstrings are plain text; Sphinx reads reStructuredText. This turns one into the other.

Paragraphs stay paragraphs, with `names` in code letters. A table of arguments becomes a list of definitions, which
fits on a phone. Code, and whatever else was laid out with spaces, stays as it was typed.
"""

import re
import textwrap

LIST_ITEM = re.compile(r"- ")
MARKS = re.compile(r"(\*\w+\*(?!\w))|[*_|\\]")  # an *emphasised* word, or what would be a mark of reStructuredText
ROW = re.compile(r"(\S+(?: \S+)*) {2,}(?!# )(\S+(?: \S+)*)$")  # a name, and what it is; not: code, and a comment


def as_rst(lines: list[str]) -> list[str]:
    """The same docstring as reStructuredText; `lines` without their common indentation."""
    result = []
    for block in blocks(lines):
        rows = table(block)
        if rows:
            for name, text in rows:
                result += [f"``{name.replace('`', '')}``", *(f"    {line}" for line in prose([text]))]
        elif is_laid_out(block):
            result += ["::", "", *(f"    {line}" for line in block)]
        else:
            result += prose(block)
        result.append("")
    return result


def is_laid_out(block: list[str]) -> bool:
    """Whether it is indented, or has spaces within a line that no prose has."""
    return block[0].startswith((" ", ">>>")) or any(re.search(r"\S {2,}\S", line) for line in block)


def blocks(lines: list[str]) -> list[list[str]]:
    """Runs of lines between blank ones, cut where something indented follows prose."""
    found = []
    for text in re.split(r"\n(?:\s*\n)+", "\n".join(lines).strip("\n")):
        block = text.rstrip().split("\n")
        first = next((number for number, line in enumerate(block) if line.startswith(" ")), len(block))
        if is_laid_out(block[:first] or block) or LIST_ITEM.match(block[0]):
            first = 0
        for part in (block[:first], block[first:]):
            if part and found and part[0].startswith(" ") and found[-1][0].startswith(" "):
                found[-1] += ["", *part]
            elif part:
                found.append(part)
    return found


def table(block: list[str]) -> list[tuple[str, str]]:
    """The rows (name, description) of a table of arguments; none if the block is something else."""
    rows = []
    for line in textwrap.dedent("\n".join(block)).splitlines():
        row = ROW.match(line)
        if row:
            rows.append(row.groups())
        elif rows and re.match(r" +\S+(?: \S+)*$", line):  # the description goes on
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}")
        else:
            return []
    return rows


def prose(block: list[str]) -> list[str]:
    """Inline code from `x` to ``x``; what reStructuredText would read as its own marks is escaped.

    (A backslash and a space are nothing, and let code stand next to a letter.)
    """
    pieces = re.split(r"`+([^`]+)`+", "\n".join(block))
    texts = [MARKS.sub(lambda mark: mark[1] or f"\\{mark[0]}", text) for text in pieces[0::2]]
    codes = [rf"\ ``{code}``\ " for code in pieces[1::2]]
    return "".join(a + b for a, b in zip(texts, [*codes, ""])).splitlines()
