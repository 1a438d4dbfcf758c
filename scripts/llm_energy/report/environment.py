"""Environment and versions: what the results say they were measured with."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from llm_energy.report.numbers import plural
from llm_energy.summary import Summary
from llm_energy.tables import SETTING

_LINES = (
    ("Device", "device_model"),
    ("Device identifiers", "device_uuids"),
    ("Power limit (W)", "power_limit_watts"),
    ("Driver", "driver"),
    ("CPU", "cpu_model"),
    ("Host", "host"),
    ("Kernel", "kernel"),
    ("Session", "session_id"),
)
_LINES_OF_BACKENDS = (
    ("Engine version", "engine_version"),
    ("Runtime", "runtime"),
    ("Python", "python_version"),
    ("Image digest", "image_digest"),
    ("Packages (SHA-256)", "packages_sha256"),
)
_LINES_OF_CODE = (
    ("Commit of the workflow", "git_commit"),
    ("Uncommitted changes", "git_dirty"),
    ("Measuring code (SHA-256)", "code_digest"),
    ("Measuring protocol", "protocol_version"),
)
_YES_NO = {"True": "yes", "False": "no"}


@dataclass(frozen=True)
class Line:
    name: str
    values: Sequence[str]
    """More than one where the measurements differ: each then says how many share it."""


def environment(summary: Summary) -> list[tuple[str, list[Line]]]:
    """(heading, lines) of machine, each backend, each model, and code; unknown lines left out."""
    table = summary.measurements
    sections = [("Machine", _lines(table, _LINES))]
    sections += _by_setting(table, "backend", _LINES_OF_BACKENDS)
    sections += _by_setting(table, "model", (("Files (SHA-256)", "model_sha256"),))
    sections.append(("Workflow", _lines(table, _LINES_OF_CODE)))
    return [(heading, lines) for heading, lines in sections if lines]


def _by_setting(
    table: pd.DataFrame, setting: str, lines: Sequence[tuple[str, str]]
) -> list[tuple[str, list[Line]]]:
    if SETTING + setting not in table:
        return []
    groups = table.groupby(SETTING + setting)
    return [(f"{setting.title()} {name}", _lines(group, lines)) for name, group in groups]


def _lines(table: pd.DataFrame, lines: Sequence[tuple[str, str]]) -> list[Line]:
    found = []
    for name, column in lines:
        told = table[column].dropna().astype("string").replace(_YES_NO)
        counts = told.value_counts(sort=False)
        values = [str(value) for value in counts.index]
        if len(values) > 1:
            values = [f"{value} ({plural(int(counts[value]), 'measurement')})" for value in values]
        if any(values):
            found.append(Line(name, values))
    return found
