"""The report: one page that holds everything it shows and needs no network."""

import base64
import gzip
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.summary import Design, Summary
from llm_energy.report import paper_files, paper_tables, power_figure
from llm_energy.report.comparison_section import (
    comparison_tables,
    decode_table,
    outputs_table,
    refusals,
)
from llm_energy.report.control_section import CAPTION as CONTROLS
from llm_energy.report.control_section import controls_table, failed_controls
from llm_energy.report.cycles_section import cycles_table
from llm_energy.report.environment_section import differences, environment
from llm_energy.report.estimates import planned_experiment
from llm_energy.report.failed_attempts import failure_groups
from llm_energy.report.figures import draw
from llm_energy.report.headline import key_figures, notices
from llm_energy.report.methods import methods
from llm_energy.report.out_of_memory import out_of_memory_table
from llm_energy.report.page_tables import (
    common_settings,
    dictionary_table,
    measurements_table,
    results_table,
    settings_table,
)
from llm_energy.report.style import THEME, Figure
from llm_energy.report.svg import themed
from llm_energy.system.files import write_atomically

COMPLETE, PARTIAL = "report.html", "report-partial.html"


MEDIA_TYPES = {
    "csv": "text/csv",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tex": "text/x-tex",
}


@dataclass(frozen=True)
class Download:
    """A file inside the page. Text is packed, for it then takes a fifth of the room: the page's
    script unpacks it, and without scripts the packed file is what one gets."""

    name: str
    title: str
    kind: str
    content: bytes

    @property
    def packed(self) -> bool:
        return self.kind not in ("pdf", "png")

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.kind]

    @property
    def file_name(self) -> str:
        return f"{self.name}.gz" if self.packed else self.name

    @property
    def address(self) -> str:
        if self.packed:
            return packed(self.content)
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"


def packed(content: bytes) -> str:
    """An address that holds the content, packed; equal contents give equal ones."""
    inside = base64.b64encode(gzip.compress(content, mtime=0)).decode()
    return f"data:application/gzip;base64,{inside}"


@dataclass(frozen=True)
class Panel:
    """A figure as the page shows it."""

    number: int
    figure: Figure

    @property
    def inline(self) -> Markup:
        return Markup(themed(self.figure.svg, f"f{self.number}", colours=THEME))

    @property
    def downloads(self) -> list[Download]:
        """The figure's files, which travel with the page."""
        figure = self.figure
        return [
            Download(f"{figure.name}.{kind}", kind.upper(), kind, content)
            for kind, content in (
                ("svg", figure.svg.encode()),
                ("pdf", figure.pdf),
                ("png", figure.png),
                ("csv", figure.csv.encode()),
            )
            if content
        ]


def render_page(
    summary: Summary,
    figures: Sequence[Figure],
    *,
    partial: bool,
    files: paper_files.Files | None = None,
) -> str:
    """The HTML of the report; equal summaries give equal pages.

    Args:
        files: of the tables for papers, where they are made already.
    """
    if files is None:
        files = {
            table.name: paper_files.text_files(table) for table in paper_tables.tables(summary)
        }
    return template("page.html.jinja").render(_content(summary, figures, files), partial=partial)


def template(name: str) -> jinja2.Template:
    """A page's template, which already holds the style and the script of all pages."""
    files = importlib.resources.files("llm_energy.report")
    loader = jinja2.FunctionLoader(lambda name: files.joinpath(name).read_text("utf-8"))
    surroundings = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    surroundings.filters |= {"breakable": breakable, "marked": marked, "brief": brief}
    surroundings.globals |= {
        "css": Markup(files.joinpath("page.css").read_text("utf-8")),
        "script": Markup(files.joinpath("page.js").read_text("utf-8")),
    }
    return surroundings.get_template(name)


def breakable(text: str) -> Markup:
    """Text in which codes may be broken at their underscores, so that no column is cut for one."""
    return escape(text).replace("_", Markup("_<wbr>"))


def brief(value: float | str) -> str:
    """What a table is sorted by: nine digits are more than any interval supports."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


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


def paper_downloads(tables: paper_files.Files) -> list[tuple[str, list[Download]]]:
    """(what it is, files) of the tables for papers; their Parquet lies beside the page only."""
    titles = {"csv": "CSV", "md": "Markdown", "tex": "LaTeX"}
    return [
        (name, [Download(f"{name}.{kind}", titles[kind], kind, files[kind]) for kind in titles])
        for name, files in tables.items()
    ]


def _content(
    summary: Summary, figures: Sequence[Figure], files: paper_files.Files
) -> Mapping[str, Any]:
    table = summary.measurements
    return {
        "findings": summary.findings,
        "started": table["started"].min() if len(table) else None,
        "finished": table["finished"].max() if len(table) else None,
        "devices": sorted(table["device_model"].dropna().unique()),
        "models": sorted(table["setting.model"].dropna().unique()) if len(table) else [],
        "backends": sorted(table["setting.backend"].dropna().unique()) if len(table) else [],
        "key_figures": key_figures(summary),
        "notices": notices(summary),
        "results_with_energy": bool(table["energy_joules"].notna().any()),
        "courses": packed(power_figure.page_data(summary).encode()) if len(summary.power) else None,
        "failures": failure_groups(summary.findings.failures),
        "comparisons": comparison_tables(summary),
        "refusals": refusals(summary),
        "decode": decode_table(summary),
        "outputs": outputs_table(summary),
        "controls": controls_table(summary),
        "controls_caption": CONTROLS,
        "failed_controls": failed_controls(summary),
        "dictionary": dictionary_table(summary),
        "papers": paper_downloads(files),
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
