"""The engines' options as Markdown, from their own tables; kept in docs/backends.md.

PYTHONPATH=scripts python -m docs.generate.options_page
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_energy.campaign.engine_options import TYPE_WORDS, available_backends, read_engine

PAGE = Path("docs/backends.md")
BEGIN = "<!-- options of {}, generated: begin -->\n"
END = "<!-- options of {}, generated: end -->\n"


def with_options(page: str, root: Path) -> str:
    """`page` with the options of every backend between its marks.

    Raises:
        ValueError: a backend has no marks in the page.
    """
    for backend in available_backends(root):
        begin, end = BEGIN.format(backend), END.format(backend)
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{PAGE} has no place for the options of {backend}")
        page = before + begin + _table(read_engine(root, backend).options) + end + after
    return page


def _table(options: Mapping[str, Any]) -> str:
    rows = ["| Option | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, option in options.items():
        cells = (f"`{name}`", _type(option), f"`{_shown(option.default)}`", option.doc)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _type(option: Any) -> str:
    if option.choices:
        return " or ".join(f"`{_shown(choice)}`" for choice in option.choices)
    least = "" if option.minimum is None else f" ≥ {option.minimum:g}"
    return TYPE_WORDS[option.type].removeprefix("a ") + least


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def main() -> None:
    root = Path(__file__).parents[2]
    page = root / PAGE
    page.write_text(with_options(page.read_text(encoding="utf-8"), root), encoding="utf-8")
    print(page, file=sys.stderr)


if __name__ == "__main__":
    main()
