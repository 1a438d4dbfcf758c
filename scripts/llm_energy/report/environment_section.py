"""Environment and versions as the results record them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llm_energy.analysis.measurements_table import SETTING
from llm_energy.analysis.summary import Summary
from llm_energy.system.numbers import plural

_MACHINE = {
    "device_model": "Device",
    "device_uuids": "Device identifiers",
    "power_limit_watts": "Power limit (W)",
    "driver": "Driver",
    "cpu_model": "CPU",
    "host": "Host",
    "kernel": "Kernel",
    "session_id": "Session",
}
_BACKEND = {
    "engine_version": "Engine version",
    "runtime": "Runtime",
    "container_engine": "Container engine",
    "python_version": "Python",
    "image_digest": "Image digest",
    "packages_sha256": "Packages (SHA-256)",
    "variables": "Environment variables",
}
_CODE = {
    "git_commit": "Commit of the workflow",
    "git_dirty": "Uncommitted changes",
    "code_digest": "Measuring code (SHA-256)",
    "protocol_version": "Measuring protocol",
}
_WORDS = {
    "git_dirty": {"True": "yes", "False": "no"},
    "runtime": {"process": "process on the host, without an image", "docker": "container"},
}
"""Column -> value -> its words."""

_SHOULD_BE_ONE = {
    "runtime": "runtimes",
    "image_digest": "images",
    "engine_version": "versions of its engine",
    "packages_sha256": "sets of packages",
}
"""Column -> plural noun for the values of one backend."""


@dataclass(frozen=True)
class Line:
    name: str
    values: Sequence[str]
    """More than one if the measurements differ: each then with its number of measurements."""


def environment(summary: Summary) -> list[tuple[str, list[Line]]]:
    """(heading, lines) of machine, each backend, each model, and code, without unknown lines."""
    table = summary.measurements
    sections = [("Machine", _lines(table, _MACHINE))]
    for setting, columns in (("backend", _BACKEND), ("model", {"model_sha256": "Files (SHA-256)"})):
        for name, group in _groups(table, setting):
            sections.append((f"{setting.title()} {name}", _lines(group, columns)))
    sections.append(("Workflow", _lines(table, _CODE)))
    return [(heading, lines) for heading, lines in sections if lines]


def differences(summary: Summary) -> list[str]:
    """A sentence for each property that the measurements should share and do not."""
    table = summary.measurements
    found = []
    for name, group in _groups(table, "backend"):
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


def _groups(table: pd.DataFrame, setting: str) -> Iterable[tuple[Any, pd.DataFrame]]:
    return table.groupby(SETTING + setting) if SETTING + setting in table else ()


def _lines(table: pd.DataFrame, columns: Mapping[str, str]) -> list[Line]:
    found = []
    for column, name in columns.items():
        texts = table[column].dropna().astype("string").replace(_WORDS.get(column, {}))
        counts = texts.value_counts(sort=False)
        values = [str(value) for value in counts.index]
        if len(values) > 1:
            values = [f"{value} ({plural(int(counts[value]), 'measurement')})" for value in values]
        if any(values):
            found.append(Line(name, values))
    return found
