"""Environment and versions: what the results say they were measured with."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from llm_energy.analysis.measurements_table import SETTING
from llm_energy.analysis.summary import Summary
from llm_energy.system.numbers import plural

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
_WORDS = {
    "git_dirty": {"True": "yes", "False": "no"},
    "runtime": {"process": "process on the host, without an image", "docker": "container (Docker)"},
}
"""Column -> value -> how people read it."""

_SHOULD_BE_ONE = {
    "runtime": "runtimes",
    "image_digest": "images",
    "engine_version": "versions of its engine",
    "packages_sha256": "sets of packages",
}
"""Column -> what is told of a backend whose measurements differ in it."""

_BACKEND = f"{SETTING}backend"


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


def differences(summary: Summary) -> list[str]:
    """What the measurements should have in common and have not, a sentence each."""
    table = summary.measurements
    found = []
    for name, group in table.groupby(_BACKEND) if _BACKEND in table else ():
        several = {what: group[column].nunique() for column, what in _SHOULD_BE_ONE.items()}
        counts = [f"{count} {what}" for what, count in several.items() if count > 1]
        if counts:
            found.append(
                f"Backend {name} was measured with {' and '.join(counts)}: its measurements are "
                "not all of the same build, and may differ for that reason."
            )
    digests = table["code_digest"].nunique()
    if digests > 1:
        found.append(
            f"The measuring code changed within the campaign ({digests} digests): measurements "
            "of different digests may differ for that reason."
        )
    return found


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
        told = table[column].dropna().astype("string").replace(_WORDS.get(column, {}))
        counts = told.value_counts(sort=False)
        values = [str(value) for value in counts.index]
        if len(values) > 1:
            values = [f"{value} ({plural(int(counts[value]), 'measurement')})" for value in values]
        if any(values):
            found.append(Line(name, values))
    return found
