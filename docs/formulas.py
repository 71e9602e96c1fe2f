"""Formulas as MathML, which browsers draw by themselves: no script and no fonts to fetch, and it can be read aloud."""

import re

from docutils import nodes
from latex2mathml.converter import convert

NAME = r"<mi>(?:arctan|cos|exp|ln|log|sin|tan)</mi>"
FUNCTION = re.compile(
    rf"(?P<before></m[in]>|\)</mo>)?(?P<name><msu[bp]>{NAME}.*?</msu[bp]>|{NAME})(?P<bracket><mo[^>]*>&#x00028;)?"
)
THIN = '<mspace width="0.167em"/>'


def mathml(latex: str, display: str = "inline") -> str:
    """latex: what stands between the dollars; display: "inline" or "block". ValueError for a command it cannot draw."""
    result = FUNCTION.sub(set_off, convert(latex, display=display))
    unknown = re.search(r">(\\\w+)<", result)
    if unknown:
        raise ValueError(f"the formula {latex!r} has the command {unknown[1]}, which latex2mathml does not know")
    return result


def set_off(match) -> str:
    """A function's name with the thin spaces that TeX puts beside it: none before a bracket."""
    before, bracket = match["before"] or "", match["bracket"] or ""
    return f"{before}{THIN if before else ''}{match['name']}{bracket or THIN}"


def write_inline(writer, node) -> None:
    """Sphinx's writer meets a formula within a line."""
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def write_block(writer, node) -> None:
    """Sphinx's writer meets a formula on a line of its own; wider than a phone, it scrolls by itself."""
    writer.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode
