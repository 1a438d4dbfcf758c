"""The report: one page that holds everything it shows and needs no network."""

import base64
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from llm_energy.aggregate import aggregate
from llm_energy.report.cycles import cycles_table
from llm_energy.report.environment import differences, environment
from llm_energy.report.estimates import planned_experiment
from llm_energy.report.figures import draw
from llm_energy.report.headline import energy_notice, key_figures
from llm_energy.report.memory import out_of_memory_table
from llm_energy.report.methods import methods
from llm_energy.report.style import Figure, themed
from llm_energy.report.tables import (
    common_settings,
    measurements_table,
    results_table,
    settings_table,
)
from llm_energy.results import write_atomically
from llm_energy.summary import Design, Summary

COMPLETE, PARTIAL = "report.html", "report-partial.html"


@dataclass(frozen=True)
class Panel:
    """A figure as the page shows it."""

    number: int
    figure: Figure

    @property
    def inline(self) -> Markup:
        return Markup(themed(self.figure.svg, self.figure.name))

    @property
    def download(self) -> str:
        """The figure's file as a data URI: it travels with the page."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.figure.svg.encode()).decode()}"


def render_page(summary: Summary, figures: Sequence[Figure], *, partial: bool) -> str:
    """The HTML of the report; equal summaries give equal pages."""
    files = importlib.resources.files("llm_energy.report")
    loader = jinja2.FunctionLoader(lambda name: files.joinpath(name).read_text("utf-8"))
    surroundings = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    surroundings.filters |= {"breakable": breakable, "marked": marked}
    return surroundings.get_template("page.html.jinja").render(
        _content(summary, figures),
        partial=partial,
        css=Markup(files.joinpath("page.css").read_text("utf-8")),
        script=Markup(files.joinpath("page.js").read_text("utf-8")),
    )


def breakable(text: str) -> Markup:
    """Text in which codes may be broken at their underscores, so that no column is cut for one."""
    return escape(text).replace("_", Markup("_<wbr>"))


def marked(text: str) -> Markup:
    """Text in which what stands between backticks is set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def write_report(
    campaign_folder: Path, *, planned: Sequence[str], design: Design, partial: bool
) -> Path:
    """Make the report from the result files alone, and return where it is.

    A partial report says what is missing. A complete one replaces an earlier partial one.

    Args:
        campaign_folder: `results/{campaign}`.
        planned: every planned result, as its path relative to `campaign_folder`.
    """
    summary = aggregate(campaign_folder, planned=planned, design=design)
    page = render_page(summary, draw(summary), partial=partial)
    return write_page(campaign_folder, page, partial=partial)


def write_page(campaign_folder: Path, page: str, *, partial: bool) -> Path:
    """Put the page in its place; see `write_report`."""
    path = campaign_folder / (PARTIAL if partial else COMPLETE)
    write_atomically(path, page.encode())
    if not partial:
        (campaign_folder / PARTIAL).unlink(missing_ok=True)
    return path


def _content(summary: Summary, figures: Sequence[Figure]) -> Mapping[str, Any]:
    table = summary.measurements
    return {
        "facts": summary.facts,
        "started": table["started"].min() if len(table) else None,
        "finished": table["finished"].max() if len(table) else None,
        "devices": sorted(table["device_model"].dropna().unique()),
        "models": sorted(table["setting.model"].dropna().unique()) if len(table) else [],
        "backends": sorted(table["setting.backend"].dropna().unique()) if len(table) else [],
        "key_figures": key_figures(summary),
        "energy_notice": energy_notice(summary),
        "results_with_energy": bool(table["energy_joules"].notna().any()),
        "panels": [Panel(number, figure) for number, figure in enumerate(figures, start=1)],
        "results": results_table(summary),
        "settings": settings_table(summary),
        "cycles": cycles_table(summary),
        "out_of_memory": out_of_memory_table(summary),
        "common": common_settings(summary),
        "measurements": measurements_table(summary),
        "methods": methods(summary),
        "environment": environment(summary),
        "differences": differences(summary),
        "planned_experiment": planned_experiment,
    }
