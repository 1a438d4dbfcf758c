"""The uncertainty budget: the parts of the total uncertainty of each energy."""

import math

import pandas as pd

from llm_energy.analysis.summary import Summary
from llm_energy.report import style
from llm_energy.report.estimates import Estimate, estimates
from llm_energy.report.style import MOST_ROWS, SERIES, Drawing
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN
from llm_energy.system.numbers import fixed

PARTS = {
    "repeatability": "spread over cycles (s/√n)",
    "gain": "gain of the sensor",
    "offset": "offset of the sensor",
}
_GROUP = ("experiment", "device_model", "power_limit_watts")
_SENSOR = ("sensor_gain_limit_relative", "sensor_offset_limit_watts", "mean_power_watts")


def budget_table(summary: Summary) -> pd.DataFrame:
    """One row for each experiment and device with an energy and an interval: relative standard
    uncertainties of its mean energy per output token, part by part and combined.

    Gain and offset are limits ±a, rectangular: u = a/√3 (GUM 4.3.7); they are common to all
    cycles and are not divided by √n. What no reading shows (edges, sampling, gaps) differs between
    cycles, and so is part of their spread.
    """
    rows = []
    measured = summary.measurements[[*_GROUP, *_SENSOR, "joules_per_output_token"]]
    measured = measured.dropna(subset=["joules_per_output_token"])
    for estimate in estimates(summary, JOULES_PER_OUTPUT_TOKEN):
        gain, offset, power = measured[_of_group(measured, estimate)][list(_SENSOR)].mean()
        if estimate.standard_uncertainty is None or pd.isna(gain):
            continue
        parts = {
            "repeatability": estimate.standard_uncertainty / estimate.mean,
            "gain": gain / math.sqrt(3),
            "offset": 0.0 if pd.isna(offset) else offset / power / math.sqrt(3),
        }
        rows.append(
            {"experiment": estimate.experiment, "label": estimate.label, "n": estimate.n}
            | {f"{name}_relative": value for name, value in parts.items()}
            | {"combined_relative": math.hypot(*parts.values())}
        )
    return pd.DataFrame(rows)


def _of_group(measured: pd.DataFrame, estimate: Estimate) -> "pd.Series[bool]":
    """Return which rows are of the estimate's experiment, device and power limit."""
    limit_watts = estimate.power_limit_watts
    limits = measured["power_limit_watts"]
    return (
        (measured["experiment"] == estimate.experiment)
        & (measured["device_model"] == estimate.device_model)
        & (limits.isna() if limit_watts is None else limits == limit_watts)
    )


def budget(summary: Summary) -> Drawing | None:
    """Shares of the variance as stacked bars; None where no energy has an interval."""
    table = budget_table(summary)
    if table.empty:
        return None
    shown = table.head(MOST_ROWS)
    figure, axes = style.canvas(0.95 + 0.3 * len(shown))
    start = [0.0] * len(shown)
    for (name, words), colour in zip(PARTS.items(), SERIES, strict=False):
        share = 100 * shown[f"{name}_relative"] ** 2 / shown["combined_relative"] ** 2
        axes.barh(range(len(shown)), share, left=start, height=0.55, color=colour, label=words)
        start = [a + b for a, b in zip(start, share, strict=True)]
    for row, combined in enumerate(shown["combined_relative"]):
        style.value_beside(axes, row, f"u = {fixed(100 * combined, 1)} %")
    style.label_rows(axes, list(shown["label"]))
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the variance (%)")
    style.legend_below(figure, 1 if style.narrow() else 3)
    return Drawing(
        "uncertainty-budget",
        "Uncertainty budget of the energy per output token",
        "Parts of the variance of the mean energy per output token; u is the combined "
        "relative standard uncertainty. Gain and offset of the sensor are common to all cycles of "
        "a device: more cycles do not reduce them, and the gain cancels in ratios on the same "
        "device. The total interval holds their full limits, and is no multiple of u."
        + style.left_out(len(table) - len(shown)),
        figure,
        table,
    )
