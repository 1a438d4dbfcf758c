"""The tables for papers as files: CSV and Parquet for programs, Markdown and LaTeX for people."""

import io
from collections.abc import Mapping
from pathlib import Path

from llm_energy.analysis.summary import Summary
from llm_energy.report.paper_tables import PaperTable, tables
from llm_energy.system.files import write_atomically

Files = Mapping[str, Mapping[str, bytes]]
"""Text files of the tables, by the table's name and the file's suffix."""

NAMES = ("results", "comparisons", "dictionary")
"""Of the tables, in order."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "×": r"$\times$",
    "–": "--",
    "±": r"$\pm$",
}


def text_files(table: PaperTable) -> dict[str, bytes]:
    """Content by suffix: CSV, Markdown and LaTeX."""
    return {
        "csv": table.data.to_csv(index=False).encode(),
        "md": markdown(table).encode(),
        "tex": latex(table).encode(),
    }


def write_tables(folder: Path, summary: Summary) -> None:
    """Write each table to `folder` as CSV, Parquet, Markdown and LaTeX."""
    for table in tables(summary):
        parquet = io.BytesIO()
        table.data.to_parquet(parquet, index=False)
        files = text_files(table) | {"parquet": parquet.getvalue()}
        for kind, content in files.items():
            write_atomically(folder / f"{table.name}.{kind}", content)


def read_tables(folder: Path) -> Files:
    """The text files that `write_tables` wrote."""
    return {
        name: {kind: (folder / f"{name}.{kind}").read_bytes() for kind in ("csv", "md", "tex")}
        for name in NAMES
        if (folder / f"{name}.csv").exists()
    }


def markdown(table: PaperTable) -> str:
    align = ["---", *["---:" if _numeric(table, i) else "---" for i in range(1, len(table.head))]]
    lines = [table.head, align, *table.rows]
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    text = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    return f"{text}\n\n{table.caption}\n"


def latex(table: PaperTable) -> str:
    """A `table` environment that needs the package booktabs and no other."""
    columns = "".join("r" if _numeric(table, i) else "l" for i in range(len(table.head)))
    body = [" & ".join(map(_escaped, row)) + r" \\" for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{_escaped(table.caption)}}}",
            f"  \\label{{tab:{table.name}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            "    " + " & ".join(map(_escaped, table.head)) + r" \\",
            r"    \midrule",
            *(f"    {line}" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _numeric(table: PaperTable, column: int) -> bool:
    return all(row[column][:1].isdigit() or row[column] in ("–", "") for row in table.rows) and any(
        row[column][:1].isdigit() for row in table.rows
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text).replace("`", "")
