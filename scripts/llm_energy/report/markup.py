"""Texts, rows of tables and files as parts of a page."""

import base64
import gzip
import re
from collections.abc import Iterable

from markupsafe import Markup, escape

from llm_energy.report.page_tables import Cell, Column, Table

PAGE_ROWS = 500
"""Rows of a table that stand in the page; the page's script has those of longer ones by pages."""

LEVEL = 6
"""Level of compression; the highest takes three times as long for a hundredth of the size."""


def packed(content: bytes) -> str:
    """An address that holds the compressed content; equal contents give equal addresses."""
    inside = base64.b64encode(gzip.compress(content, LEVEL, mtime=0)).decode()
    return f"data:application/gzip;base64,{inside}"


def breakable(text: str) -> Markup:
    """Text with a possible line break after each underscore, so that codes fit into columns."""
    return Markup(_broken(text))


def _broken(text: str) -> str:
    return str(escape(text)).replace("_", "_<wbr>")


def marked(text: str) -> Markup:
    """Text whose parts between backticks are marked as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def first_rows(table: Table) -> Markup:
    """The rows of a table that stand in the page."""
    return Markup(_rows(table, table.rows[:PAGE_ROWS]))


def further_rows(table: Table) -> str | None:
    """An address that holds all other rows; None where there are none."""
    further = table.rows[PAGE_ROWS:]
    return packed(_rows(table, further).encode()) if further else None


def _rows(table: Table, rows: Iterable[Iterable[Cell]]) -> str:
    return "".join(f"<tr>\n{''.join(map(_cell, table.columns, row))}</tr>\n" for row in rows)


def _cell(column: Column, cell: Cell) -> str:
    tag, attributes = "td", ' class="number"' if column.numeric else ""
    if column.title == "Experiment":
        tag, attributes = "th", ' scope="row"'
    if cell.sort is not None:
        # Nine digits are more than any interval supports.
        key = f"{cell.sort:.9g}" if isinstance(cell.sort, float) else escape(str(cell.sort))
        attributes += f' data-sort="{key}"'
    detail = f"<small>{_broken(cell.detail)}</small>" if cell.detail else ""
    return f"<{tag}{attributes}>{_broken(cell.text)}{detail}</{tag}>\n"
