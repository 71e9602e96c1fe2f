"""Tables of figures as text: for the terminal, for Markdown pages, for notebooks."""

import json
from collections.abc import Mapping

from tabulate import tabulate

Rows = Mapping[str, Mapping[str, object]]  # {row: {column: value}}


def format_number(value: object, digits: str = ".4g") -> str:
    """Write a float with few digits, and anything else as it is."""
    return format(value, digits) if isinstance(value, float) else str(value)


def format_table(title: str, rows: Rows, style: str = "plain", digits: str = ".4g", missing: str = "-") -> str:
    """Write rows of named figures as one table, in a style of tabulate such as "plain", "github" or "unsafehtml".

    `title` heads the column of the rows' names; `digits` formats floats; `missing` fills cells without a value.
    """
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    cells = [
        [name, *(format_number(row[column], digits) if column in row else missing for column in columns)]
        for name, row in rows.items()
    ]
    align = ["left", *["right"] * len(columns)] if style == "plain" else None
    headers = [title, *(column.replace("_", " ") for column in columns)]
    return tabulate(cells, headers, style, disable_numparse=True, colalign=align if cells else None)


def format_results(result: dict) -> str:
    """Write a command's results as lines, and each dict of dicts among them as a table."""
    lines = []
    for name, value in result.items():
        title = name.replace("_", " ")
        if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
            lines += ["", format_table(title, value), ""]
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{key} {format_number(item)}" for key, item in value.items())
        lines.append(f"{title}: {format_number(value)}")
    return "\n".join(lines).strip("\n")


def to_json(result: dict) -> str:
    """Write a result as JSON, with null for nan and infinity, which JSON does not have."""
    return json.dumps(json.loads(json.dumps(result), parse_constant=lambda name: None), indent=1)
