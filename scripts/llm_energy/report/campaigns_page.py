"""Two or more finished campaigns on one page: another machine, another version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from llm_energy.analysis.comparisons import compare_all
from llm_energy.analysis.summary import Comparison, Refusal, Summary, read_summary
from llm_energy.campaign.contrasts import Contrast
from llm_energy.report.comparison_section import CONTEXT, by_reason, rows_of
from llm_energy.report.environment_section import environment
from llm_energy.report.estimates import shortened
from llm_energy.report.figures import render_files
from llm_energy.report.page import panels, template
from llm_energy.report.page_tables import NAME, Cell, Table, words
from llm_energy.report.ratio_figure import ratio_drawings
from llm_energy.report.style import Figure

SEPARATOR = ": "
"""Between campaign and experiment, in the names under which both are compared."""


@dataclass(frozen=True)
class Together:
    """The outcome of a comparison of campaigns."""

    common: Sequence[str]
    """Experiments that every campaign has measured, by their names in the first."""
    only_in: Mapping[str, Sequence[str]]
    """Campaign -> experiments that another one lacks."""
    other_spec: Sequence[str]
    """Common experiments that share their name alone: no campaign has the other's specification."""
    comparisons: Sequence[Comparison]
    refused: Sequence[Refusal]


def read_campaigns(folders: Sequence[Path]) -> dict[str, Summary]:
    """Name -> summary of each campaign, from their folders `summary/`.

    The name is that of the folder of results, for a campaign that was measured on two machines
    has the same name on both.
    """
    return {folder.parent.name: read_summary(folder) for folder in folders}


def compare_campaigns(campaigns: Mapping[str, Summary]) -> Together:
    """Every campaign after the first against the first, experiment by experiment.

    Sides that were measured in different sessions share no block, so they are compared without
    pairs; between different devices the interval holds the gain of both sensors.
    """
    first, *others = campaigns
    base = campaigns[first].measurements
    tables = {
        name: summary.measurements.replace(
            {"experiment": names_in_common(base, summary.measurements)}
        )
        for name, summary in campaigns.items()
    }
    has = {name: list(dict.fromkeys(table["experiment"])) for name, table in tables.items()}
    common = [name for name in has[first] if all(name in has[other] for other in others)]
    renamed = [
        table.assign(experiment=name + SEPARATOR + table["experiment"])
        for name, table in tables.items()
    ]
    contrasts = [
        Contrast(
            factor="campaign",
            experiment=other + SEPARATOR + name,
            base=first + SEPARATOR + name,
            level=other,
            base_level=first,
        )
        for other in others
        for name in common
    ]
    _, comparisons, refused = compare_all(
        pd.concat(renamed, ignore_index=True),
        reference=None,
        contrasts=contrasts,
        margin=campaigns[first].findings.design.equivalence_margin,
        first_cycles={
            name + SEPARATOR + experiment: adaptive.first
            for name, experiments in has.items()
            if (adaptive := campaigns[name].findings.design.adaptive)
            for experiment in experiments
        },
    )
    specs = pd.concat(tables.values()).groupby("experiment")["spec_hash"].nunique()
    return Together(
        common=common,
        only_in={
            name: [e for e in experiments if e not in common] for name, experiments in has.items()
        },
        other_spec=[name for name in common if specs[name] > 1],
        comparisons=comparisons,
        refused=refused,
    )


def names_in_common(base: pd.DataFrame, other: pd.DataFrame) -> dict[str, str]:
    """Return the experiments of `other` that `base` has under another name: name -> name in `base`.

    What has the same specification is the same experiment. What has no counterpart by that has one
    by its name, if the experiment of this name has none either.
    """
    by_spec = dict(zip(base["spec_hash"], base["experiment"], strict=True))
    own = dict(zip(other["experiment"], other["spec_hash"], strict=True))
    found = {name: by_spec[spec] for name, spec in own.items() if spec in by_spec}
    taken = {*found.values()}
    # A name that means another experiment here is distinguished from it.
    apart = {name: f"{name} ({own[name]})" for name in own.keys() & taken if name not in found}
    return {name: common for name, common in found.items() if name != common} | apart


def environment_table(campaigns: Mapping[str, Summary]) -> Table | None:
    """The differences between the campaigns' environments; None where there are none."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for name, summary in campaigns.items():
        for heading, found in environment(summary):
            for line in found:
                lines.setdefault((heading, line.name), {})[name] = "; ".join(line.values)
    rows = [
        [Cell(heading), Cell(what), *(Cell(values.get(name, "–")) for name in campaigns)]
        for (heading, what), values in lines.items()
        if len({values.get(name) for name in campaigns}) > 1
    ]
    return Table(words("Of", "What", *campaigns), rows) if rows else None


def ratios_table(together: Together) -> Table | None:
    """One row for each common experiment, campaign and metric."""
    if not together.comparisons:
        return None
    rows = [
        [Cell(name := _experiment(one), sort=name), Cell(one.level or "", sort=one.level)]
        for one in together.comparisons
    ]
    return rows_of([NAME, *words("Campaign")], rows, together.comparisons)


def ratio_figures(together: Together, base: str) -> list[Figure]:
    """Figures of the ratios to the campaign `base`, with all their files."""
    short = shortened(together.common)
    names = {c.experiment: short[_experiment(c)] for c in together.comparisons}
    return render_files(lambda: ratio_drawings(together.comparisons, base, names))


def _experiment(comparison: Comparison) -> str:
    return comparison.experiment.partition(SEPARATOR)[2]


def render_campaigns(campaigns: Mapping[str, Summary]) -> str:
    """The HTML of the comparison; equal campaigns give equal pages."""
    together = compare_campaigns(campaigns)
    figures = ratio_figures(together, next(iter(campaigns)))
    simulated = any(s.measurements["energy_simulated"].any() for s in campaigns.values())
    return template("campaigns.html.jinja").render(
        campaigns=[
            {
                "name": name,
                "findings": summary.findings,
                "devices": sorted(summary.measurements["device_model"].dropna().unique()),
                "hosts": sorted(summary.measurements["host"].dropna().unique()),
                "started": summary.measurements["started"].min(),
            }
            for name, summary in campaigns.items()
        ],
        together=together,
        ratios=ratios_table(together),
        panels=panels(figures),
        context=CONTEXT,
        refusals=by_reason((refused.reason, refused.experiment) for refused in together.refused),
        environment=environment_table(campaigns),
        simulated=simulated,
    )
