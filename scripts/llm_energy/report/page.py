"""The report: one self-contained page that needs no network."""

import base64
import importlib.resources
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.design import Design
from llm_energy.analysis.summary import Failure, Summary
from llm_energy.report import power_figure
from llm_energy.report.carry_over_section import CAPTION as CARRY_OVER
from llm_energy.report.carry_over_section import carry_over_notices, carry_over_table
from llm_energy.report.comparison_section import (
    comparison_tables,
    decode_table,
    outputs_table,
    refusals,
)
from llm_energy.report.control_section import CAPTION as CONTROLS
from llm_energy.report.control_section import controls_table, failed_controls
from llm_energy.report.device_section import CAPTION as DEVICES
from llm_energy.report.device_section import device_notices, devices_table
from llm_energy.report.environment_section import differences, environment
from llm_energy.report.figures import draw
from llm_energy.report.headline import energy_notice, key_figures, notices
from llm_energy.report.host_headline import ranking_notices
from llm_energy.report.limit_section import CAPTION as GPU_LIMITS
from llm_energy.report.limit_section import limit_sentences, limits_table
from llm_energy.report.limits import limit_data
from llm_energy.report.markup import breakable, first_rows, further_rows, marked, packed
from llm_energy.report.methods import methods
from llm_energy.report.page_tables import (
    cycles_table,
    dictionary_table,
    measurements_table,
    out_of_memory_table,
    results_table,
)
from llm_energy.report.paper_tables import Files, text_files
from llm_energy.report.paper_tables import tables as paper_tables
from llm_energy.report.serving_layer import serving_layer_costs
from llm_energy.report.serving_limits import serving_data
from llm_energy.report.serving_section import CAPTION as SERVING
from llm_energy.report.serving_section import serving_table
from llm_energy.report.setting_tables import common_settings, settings_table
from llm_energy.report.style import THEME, Figure
from llm_energy.report.svg import themed
from llm_energy.report.verdict import PAIRED, unranked_notice, verdicts
from llm_energy.system.files import write_atomically

COMPLETE, PARTIAL = "report.html", "report-partial.html"

KINDS = {
    "svg": ("SVG", "image/svg+xml"),
    "pdf": ("PDF", "application/pdf"),
    "png": ("PNG", "image/png"),
    "csv": ("CSV", "text/csv"),
    "md": ("Markdown", "text/markdown"),
    "tex": ("LaTeX", "text/x-tex"),
}
"""Suffix of a file inside the page -> title of its link, media type."""

SCRIPTS = ("page.js", "serving.js")
"""Scripts of the page, which are one."""

_VOLATILE = re.compile(r"\d+(?:\.\d+)?|/\S+|\b[0-9a-f]{12,}\b")
"""Parts in which messages of one cause differ: numbers, paths, identifiers."""


class Download(NamedTuple):
    """A file inside the page. Text is compressed to a fifth of its size: the page's script
    decompresses it, and without scripts the reader gets the compressed file."""

    file_name: str
    title: str
    media_type: str
    packed: bool
    address: str


def downloads(name: str, files: Mapping[str, bytes]) -> list[Download]:
    """The files of a figure or table, by suffix; empty ones are left out."""
    found = []
    for kind, (title, media_type) in KINDS.items():
        if not (content := files.get(kind)):
            continue
        if kind in ("pdf", "png"):
            address = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
            found.append(Download(f"{name}.{kind}", title, media_type, False, address))
        else:
            found.append(Download(f"{name}.{kind}.gz", title, media_type, True, packed(content)))
    return found


@dataclass(frozen=True)
class Panel:
    """A figure on the page."""

    number: int
    figure: Figure

    @property
    def inline(self) -> Markup:
        return Markup(themed(self.figure.svg, f"f{self.number}", colours=THEME))

    @property
    def downloads(self) -> list[Download]:
        return downloads(self.figure.name, self.figure.files)


def panels(figures: Sequence[Figure]) -> list[Panel]:
    return [Panel(number, figure) for number, figure in enumerate(figures, start=1)]


@dataclass(frozen=True)
class FailureGroup:
    reason: str
    message: str
    """Message of the first one."""
    failures: Sequence[Failure]


def failure_groups(failures: Sequence[Failure]) -> list[FailureGroup]:
    """Failures of one reason whose messages differ at most in numbers and paths, the most frequent
    first."""
    found: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    for failure in failures:
        found[failure.reason, _VOLATILE.sub("#", failure.message)].append(failure)
    groups = [FailureGroup(reason, alike[0].message, alike) for (reason, _), alike in found.items()]
    return sorted(groups, key=lambda group: -len(group.failures))


def render_page(
    summary: Summary, figures: Sequence[Figure], *, partial: bool, papers: Files | None = None
) -> str:
    """The HTML of the report; equal summaries give equal pages.

    Args:
        papers: files of the tables for papers, if they exist already.
    """
    if papers is None:
        papers = {table.name: text_files(table) for table in paper_tables(summary)}
    return template("page.html.jinja").render(_content(summary, figures, papers), partial=partial)


def template(name: str) -> jinja2.Template:
    """A page's template, with the style and the script of all pages."""
    files = importlib.resources.files("llm_energy.report")
    loader = jinja2.FunctionLoader(lambda name: files.joinpath(name).read_text("utf-8"))
    surroundings = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    surroundings.filters |= {
        "breakable": breakable,
        "marked": marked,
        "first_rows": first_rows,
        "further_rows": further_rows,
    }
    surroundings.globals |= {
        "css": Markup(files.joinpath("page.css").read_text("utf-8")),
        "script": Markup("\n".join(files.joinpath(n).read_text("utf-8") for n in SCRIPTS)),
    }
    return surroundings.get_template(name)


def write_report(
    campaign_folder: Path, *, planned: Sequence[str], design: Design, partial: bool
) -> Path:
    """Make the report from the result files alone, and return its path.

    A partial report lists what is missing. A complete one replaces an earlier partial one.

    Args:
        campaign_folder: `results/{campaign}`.
        planned: every planned result, as its path relative to `campaign_folder`.
    """
    summary = aggregate(campaign_folder, planned=planned, design=design)
    page = render_page(summary, draw(summary), partial=partial)
    return write_page(campaign_folder, page, partial=partial)


def write_page(campaign_folder: Path, page: str, *, partial: bool) -> Path:
    """Write the page to its place; see `write_report`."""
    path = campaign_folder / (PARTIAL if partial else COMPLETE)
    write_atomically(path, page.encode())
    if not partial:
        (campaign_folder / PARTIAL).unlink(missing_ok=True)
    return path


def _content(summary: Summary, figures: Sequence[Figure], papers: Files) -> Mapping[str, Any]:
    table, found = summary.measurements, verdicts(summary)
    in_verdicts = {verdict.metric for verdict in found}
    return {
        "findings": summary.findings,
        "started": table["started"].min() if len(table) else None,
        "finished": table["finished"].max() if len(table) else None,
        "devices": sorted(table["device_model"].dropna().unique()),
        "models": sorted(table["setting.model"].dropna().unique()) if len(table) else [],
        "backends": sorted(table["setting.backend"].dropna().unique()) if len(table) else [],
        "energy_notice": energy_notice(summary),
        "simulated": bool(table["energy_simulated"].eq(True).any()),
        "ranking_notices": ranking_notices(summary),
        "verdicts": found,
        "unranked": unranked_notice(summary),
        "paired": PAIRED,
        "limits": None if (data := limit_data(summary)) is None else packed(data.encode()),
        "serving_limits": None if (own := serving_data(summary)) is None else packed(own.encode()),
        "key_figures": [f for f in key_figures(summary) if f.metric not in in_verdicts],
        "notices": [
            *notices(summary),
            *(d.warning for d in summary.findings.devices if d.warning),
            *carry_over_notices(summary),
            *device_notices(summary),
        ],
        "failed_controls": failed_controls(summary),
        "results": results_table(summary),
        "serving": serving_table(summary),
        "serving_caption": SERVING,
        "settings": settings_table(summary),
        "cycles": cycles_table(summary),
        "out_of_memory": out_of_memory_table(summary),
        "common": common_settings(summary),
        "comparisons": comparison_tables(summary),
        "serving_layer": serving_layer_costs(summary),
        "gpu_limits": limits_table(summary),
        "gpu_limits_caption": GPU_LIMITS,
        "gpu_limit_sentences": limit_sentences(summary),
        "refusals": refusals(summary),
        "decode": decode_table(summary),
        "panels": panels(figures),
        "courses": packed(power_figure.page_data(summary).encode()) if len(summary.power) else None,
        "measurements": measurements_table(summary),
        "controls": controls_table(summary),
        "controls_caption": CONTROLS,
        "carry_over": carry_over_table(summary),
        "carry_over_caption": CARRY_OVER,
        "device_table": devices_table(summary),
        "device_caption": DEVICES,
        "outputs": outputs_table(summary),
        "results_with_energy": bool(table["energy_joules"].notna().any()),
        "failures": failure_groups(summary.findings.failures),
        "methods": methods(summary),
        "environment": environment(summary),
        "differences": differences(summary),
        "papers": {name: downloads(name, files) for name, files in papers.items()},
        "dictionary": dictionary_table(summary),
    }
