"""The files of a summary: how it is kept between jobs, and found by readers."""

from pathlib import Path

import pandas as pd

from llm_energy.analysis.summary import Findings, Summary
from llm_energy.system.files import write_atomically

TABLES = ("measurements", "experiments", "power", "latencies")
"""Tables of a summary; each is a Parquet file of that name."""

FLAT_TABLES = ("measurements", "experiments")
"""Those without lists in their cells, which are CSV files as well."""


def write_summary(folder: Path, summary: Summary) -> None:
    """Write the tables (CSV for people, Parquet for programs) and `summary.json` to `folder`."""
    for name in TABLES:
        table: pd.DataFrame = getattr(summary, name)
        if name in FLAT_TABLES:
            write_atomically(folder / f"{name}.csv", table.to_csv(index=False).encode())
        write_atomically(folder / f"{name}.parquet", table.to_parquet(index=False))
    findings = summary.findings.model_dump_json(indent=1)
    write_atomically(folder / "summary.json", f"{findings}\n".encode())


def read_summary(folder: Path) -> Summary:
    """What `write_summary` wrote."""
    return Summary(
        Findings.model_validate_json((folder / "summary.json").read_bytes()),
        **{name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES},
    )
