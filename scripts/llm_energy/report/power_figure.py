"""The course of power in the measurements, with its phases."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from llm_energy.analysis.summary import Summary
from llm_energy.report import style
from llm_energy.report.estimates import short_names
from llm_energy.report.style import INK, MOST_PANELS, SERIES, Drawing

PHASES = {
    "cool_down": "cooling down",
    "host_idle": "idle, no engine",
    "load": "loading",
    "settle": "settling",
    "idle": "idle, model loaded",
    "warmup": "warm-up",
    "window": "window",
    "tail": "tail",
}
"""Phase of a measurement -> its name on the page."""


def power(summary: Summary) -> Drawing | None:
    """Power of one device of each experiment over time, all cycles; None without a meter."""
    table = summary.power
    if table.empty:
        return None
    first = table.drop_duplicates(["experiment", "spec_hash", "cycle"])
    names = list(first["experiment"].unique())
    shown = names[:MOST_PANELS]
    short = short_names(summary)
    figure, axes = style.panels([short[name] for name in shown], head_inches=0.8, row_inches=1.45)
    for panel, name in zip(axes, shown, strict=True):
        mine = first[first["experiment"] == name]
        for number, row in enumerate(mine.to_dict("records")):
            for phase, start, end in _phases(row) if number == 0 else ():
                if phase == "window":
                    panel.axvspan(start, end, color=SERIES[0], alpha=0.12, lw=0)
                panel.axvline(start, color=INK, lw=0.4, ls=(0, (2, 2)))
            panel.plot(*_outline(row), color=SERIES[number % len(SERIES)], lw=0.8)
    axes[0].set_ylim(bottom=0)
    figure.supxlabel("s from the start of the window", fontsize=8.5)
    figure.supylabel("power (W)", fontsize=8.5)
    return Drawing(
        "power",
        "Power over the measurements",
        "Power of the first metered device, one line for each cycle: least and greatest value of "
        "each short stretch of time. Shaded: the window of the first cycle, whose energy counts; "
        "dashed: where its phases (loading, idle with the model loaded, warm-up, window, tail) "
        f"begin.{style.left_out(len(names) - len(shown))}",
        figure,
        _data(first[first["experiment"].isin(shown)]),
    )


def page_data(summary: Summary) -> str:
    """The data of the page's own chart of each measurement, as JSON; W to 4 digits."""
    short = short_names(summary)
    courses: list[dict[str, Any]] = [
        {
            "experiment": short[row["experiment"]],
            "cycle": int(row["cycle"]),
            "device": row["device"],
            "quantity": row["quantity"],
            "start": round(float(row["start_s"]), 3),
            "step": round(float(row["step_s"]), 4),
            "low": _digits(row["least_watts"]),
            "high": _digits(row["greatest_watts"]),
            "phases": [
                [PHASES.get(name, name), round(float(start), 3), round(float(end), 3)]
                for name, start, end in _phases(row)
            ],
        }
        for row in summary.power.to_dict("records")
    ]
    return json.dumps(courses, separators=(",", ":"))


def _phases(row: dict[Any, Any]) -> Iterator[tuple[str, float, float]]:
    """Name, start and end of each phase of a measurement."""
    return zip(row["phases"], row["phase_starts_s"], row["phase_ends_s"], strict=True)


def _digits(values: Any) -> list[float | None]:
    return [None if pd.isna(value) else float(f"{value:.4g}") for value in values]


def _outline(row: dict[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Each stretch from its least to its greatest value, as one line."""
    low = np.asarray(row["least_watts"], dtype=float)
    high = np.asarray(row["greatest_watts"], dtype=float)
    middles = row["start_s"] + row["step_s"] * (np.arange(len(low)) + 0.5)
    values = np.column_stack([low, high]).ravel()
    kept = ~np.isnan(values)
    return np.repeat(middles, 2)[kept], values[kept]


def _data(table: pd.DataFrame) -> pd.DataFrame:
    lists = table[["experiment", "cycle", "device", "start_s", "step_s"]].copy()
    lists["step"] = [list(range(len(values))) for values in table["least_watts"]]
    lists["least_watts"], lists["greatest_watts"] = table["least_watts"], table["greatest_watts"]
    flat = lists.explode(["step", "least_watts", "greatest_watts"])
    times = flat["start_s"] + flat["step_s"] * (flat["step"] + 0.5)
    flat["time_s"] = times.astype(float).round(3)
    for name in ("least_watts", "greatest_watts"):
        flat[name] = _digits(flat[name])
    return flat[["experiment", "cycle", "device", "time_s", "least_watts", "greatest_watts"]]
