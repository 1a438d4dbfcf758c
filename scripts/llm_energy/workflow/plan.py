"""The plan of a campaign: its experiments, their order in every cycle, and how long it takes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.experiment_settings import flatten
from llm_energy.results.layout import cycles_of
from llm_energy.runs.progress import human_duration
from llm_energy.workflow.decisions import decided, first_cycles, requested

DurationSource = Literal["results", "phases"]
"""`results`: the median of earlier results of the same spec; `phases`: see `phases_s`."""


@dataclass(frozen=True)
class Row:
    """One experiment of the plan."""

    experiment: str
    settings: Mapping[str, Any]
    """The settings that differ between experiments of the campaign."""
    spec_hash: str
    ranks: Sequence[int]
    """Its place in each cycle, from 1; of cycles in two stages, in the first ones."""
    cycles: int
    """Cycles that are requested so far."""
    measured: int
    """Cycles that have a result."""
    expected_s: float
    """Expected time of one measurement."""
    source: DurationSource


@dataclass(frozen=True)
class Plan:
    """A campaign as it will be measured."""

    campaign: str
    cycles: int
    """Cycles of every experiment; in two stages, at most."""
    adaptive: AdaptiveCycles | None
    order: str
    rows: Sequence[Row]
    remaining_s: float
    """Expected time of all measurements that are requested and have no result."""
    at_most_s: float
    """The same where every experiment goes on to the most cycles."""


def make_plan(campaign: Campaign, results: Path) -> Plan:
    """The plan of a campaign whose results lie under `results` (`results/{campaign}`)."""
    varying = varying_settings(campaign.experiments)
    ranks: dict[str, list[int]] = {experiment.name: [] for experiment in campaign.experiments}
    for planned in first_cycles(campaign):
        ranks[planned.experiment.name].append(planned.position % len(campaign.experiments) + 1)
    measured, cycles = dict.fromkeys(ranks, 0), dict.fromkeys(ranks, 0)
    for planned in requested(campaign, decided(campaign, results)):
        cycles[planned.experiment.name] += 1
        measured[planned.experiment.name] += (results / planned.result_path).exists()
    rows = []
    for experiment in campaign.experiments:
        expected_s, source = expected_duration_s(experiment, campaign, results)
        rows.append(
            Row(
                experiment=experiment.name,
                settings=varying[experiment.name],
                spec_hash=experiment.spec_hash,
                ranks=ranks[experiment.name],
                cycles=cycles[experiment.name],
                measured=measured[experiment.name],
                expected_s=expected_s,
                source=source,
            )
        )
    return Plan(
        campaign=campaign.name,
        cycles=campaign.cycles,
        adaptive=campaign.adaptive,
        order=campaign.order,
        rows=rows,
        remaining_s=sum(row.expected_s * (row.cycles - row.measured) for row in rows),
        at_most_s=sum(row.expected_s * (campaign.cycles - row.measured) for row in rows),
    )


def varying_settings(experiments: Sequence[Experiment]) -> dict[str, dict[str, Any]]:
    """By experiment, the settings in which the experiments differ; an option may be absent."""
    flat = {e.name: _named(e.settings.model_dump()) for e in experiments}
    keys = list(dict.fromkeys(key for settings in flat.values() for key in settings))
    varying = [
        key for key in keys if len({repr(settings.get(key)) for settings in flat.values()}) > 1
    ]
    return {
        name: {key: settings[key] for key in varying if key in settings}
        for name, settings in flat.items()
    }


def _named(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings, engine options by their own name."""
    return {key.removeprefix("engine_options."): value for key, value in flatten(settings)}


def expected_duration_s(
    experiment: Experiment, campaign: Campaign, results: Path
) -> tuple[float, DurationSource]:
    """Return the time of one measurement of an experiment, in s, and how it is known.

    The median over the earlier results of the same spec; where there is none, `phases_s`.
    """
    paths = cycles_of(results, experiment.spec_hash)
    seen = [taken for path in paths if (taken := _taken_s(path))]
    return (median(seen), "results") if seen else (phases_s(campaign), "phases")


def phases_s(campaign: Campaign) -> float:
    """Baseline, capped warm-up, least window and tail, in s: without loading and the first wave,
    which nobody knows before they ran."""
    timing = campaign.measurement
    return timing.baseline_s + timing.warmup_cap_s + timing.minimum_duration_s + timing.tail_s


def _taken_s(path: Path) -> float | None:
    """Time from start to finish of a result; None where the file does not say."""
    try:
        result = json.loads(path.read_bytes())
        return taken_s(result["started"], result["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def taken_s(started: str, finished: str) -> float:
    """Time between two ISO 8601 times, in s.

    Raises:
        ValueError: one of them is none.
    """
    began, ended = (datetime.fromisoformat(text) for text in (started, finished))
    return (ended - began).total_seconds()


def as_text(plan: Plan) -> str:
    """The plan as an aligned table, with what it says in words above."""
    total = sum(row.cycles for row in plan.rows)
    done = sum(row.measured for row in plan.rows)
    known = sum(row.source == "results" for row in plan.rows)
    head = [
        f"Campaign {plan.campaign}: {len(plan.rows)} experiments{_cycles(plan)}"
        f"{total} measurements, {done} of them measured, order {plan.order}",
        f"Expected time for the rest: {human_duration(plan.remaining_s)} "
        f"({_how_known(known, len(plan.rows))})",
    ]
    if plan.adaptive:
        target = f"±{100 * plan.adaptive.target_relative_half_width:g} %"
        most = len(plan.rows) * plan.adaptive.maximum
        head.append(
            f"After the first {plan.adaptive.first} cycles each goes on to as many as {target} of "
            f"its mean needs: {most} measurements and {human_duration(plan.at_most_s)} at most"
        )
    head.append("")
    keys = list(dict.fromkeys(key for row in plan.rows for key in row.settings))
    header = ["experiment", *keys, "spec", "expected", "from", "done", "place in each cycle"]
    lines = [header]
    for row in plan.rows:
        lines.append(
            [
                row.experiment,
                *(str(row.settings.get(key, "-")) for key in keys),
                row.spec_hash,
                human_duration(row.expected_s),
                row.source,
                f"{row.measured}/{row.cycles}",
                " ".join(str(rank) for rank in row.ranks),
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return "\n".join(head + table) + "\n"


def _cycles(plan: Plan) -> str:
    cycles = sorted({row.cycles for row in plan.rows})
    if len(cycles) == 1:
        return f" × {cycles[0]} cycles = "
    return f", {cycles[0]} to {cycles[-1]} cycles each: "


def _how_known(measured: int, total: int) -> str:
    """Where the expected times of experiments come from, in words."""
    if measured == total:
        return "from earlier results"
    phases = "the least length of their phases, without loading"
    if measured == 0:
        return f"from {phases}"
    return f"{measured} of {total} experiments from earlier results, the others from {phases}"
