"""The plan of a campaign: its experiments, their order in every cycle, and how long it takes."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.campaign.experiment import Experiment, PlannedMeasurement
from llm_energy.campaign.experiment_settings import flatten
from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.results.layout import cycles_of
from llm_energy.runs.concurrency import SERIAL, Concurrency, Expected
from llm_energy.workflow.anchors import Anchor, anchors
from llm_energy.workflow.decisions import decided, first_cycles, most_that_follow, requested
from llm_energy.workflow.rate_searches import lines

DurationSource = Literal["results", "phases"]
"""`results`: the median of earlier results of the same spec; `phases`: see `phases_s`."""


@dataclass(frozen=True)
class Row:
    """One experiment of the plan."""

    experiment: str
    settings: Mapping[str, Any]
    """The settings that differ between the experiments that have them."""
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
    constant: Mapping[str, Mapping[str, Any]]
    """Settings with one value: in all experiments under "", in those of a backend by its name."""
    rows: Sequence[Row]
    anchor: Anchor | None
    """The reference once more, where the rest is measured without it."""
    remaining_s: float
    """Expected time of all measurements that are requested and have no result, and the anchor."""
    at_most_s: float
    """The same where every experiment goes on to the most cycles, and every search to the most
    rates."""
    searches: Sequence[str]
    """One line for each search for a rate: how far it is."""
    at_most: int
    """Measurements in that case, those included that are there."""
    parallel: Parallel | None
    concurrency: Concurrency
    """Places that measure at the same time."""
    allocations: int
    """Allocations of a cluster that measure the rest at the same time; 0 on one host."""
    in_turn_s: float
    """Expected time of the rest with one allocation after another."""


def make_plan(campaign: Campaign, results: Path, *, concurrency: Concurrency = SERIAL) -> Plan:
    """The plan of a campaign whose results lie under `results` (`results/{campaign}`).

    Args:
        concurrency: what is measured at the same time.
    """
    schedule = campaign.schedule
    wanted = requested(campaign, decided(campaign, results))
    # Of a search, the rates that it has come to.
    come_to = {planned.experiment for planned in wanted}
    experiments = [e for e in campaign.experiments if e in come_to]
    constant, varying = split_settings(experiments)
    ranks: dict[str, list[int]] = {experiment.name: [] for experiment in experiments}
    shown = wanted if campaign.searches else first_cycles(campaign)
    places = Counter[int]()
    for planned in shown:
        places[planned.cycle] += 1
        ranks[planned.experiment.name].append(places[planned.cycle])
    measured, cycles = dict.fromkeys(ranks, 0), dict.fromkeys(ranks, 0)
    for planned in wanted:
        cycles[planned.experiment.name] += 1
        measured[planned.experiment.name] += (results / planned.result_path).exists()
    rows = []
    for experiment in experiments:
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
    anchor = _new_anchor(campaign, wanted, results)
    anchor_s = expected_duration_s(anchor.experiment, campaign, results)[0] if anchor else 0.0
    each_s = {row.experiment: row.expected_s for row in rows}
    longest_s = max(each_s.values())  # where nothing is known of a rate

    def durations(every: Iterable[PlannedMeasurement]) -> list[Expected]:
        left = [p for p in every if not (results / p.result_path).exists()]
        return [
            Expected(p.cycle, each_s.get(p.experiment.name, longest_s), p.experiment.alone)
            for p in left
        ]

    rest = durations(wanted)
    most = [*wanted, *most_that_follow(campaign, results)] if campaign.searches else schedule
    return Plan(
        campaign=campaign.name,
        cycles=campaign.cycles,
        adaptive=campaign.adaptive,
        order=campaign.order,
        constant=constant,
        rows=rows,
        anchor=anchor,
        remaining_s=anchor_s + concurrency.lasts_s(rest),
        at_most_s=anchor_s + concurrency.lasts_s(durations(most)),
        searches=lines(campaign, results),
        at_most=len(most),
        parallel=campaign.parallel,
        concurrency=concurrency,
        allocations=concurrency.used(expected.cycle for expected in rest),
        in_turn_s=anchor_s + concurrency.in_turn_s(rest),
    )


def _new_anchor(
    campaign: Campaign, wanted: Sequence[PlannedMeasurement], results: Path
) -> Anchor | None:
    """Return the anchor that measuring the rest adds, if it adds one."""

    def is_there(path: str) -> bool:
        return (results / path).exists()

    missing = [planned for planned in wanted if not is_there(planned.result_path)]
    found = anchors(campaign, is_there, to_measure=missing)
    return next((anchor for anchor in found if not is_there(anchor.result_path)), None)


def split_settings(
    experiments: Sequence[Experiment],
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Split the settings into constant ones, by backend, and varying ones, by experiment.

    A setting is constant if it has one value in all experiments, which are then those of the
    backend `""`, or one value in the experiments of each backend that has it. One that some
    experiments of a backend lack varies.
    """
    flat = {experiment.name: _named(experiment.settings.resolved()) for experiment in experiments}
    of_backend: dict[str, dict[str, set[str]]] = {}
    keys_of: dict[str, set[str]] = {}
    for settings in flat.values():
        keys_of.setdefault(settings["backend"], set()).update(settings)
    for settings in flat.values():
        for key in keys_of[settings["backend"]]:
            values = of_backend.setdefault(key, {}).setdefault(settings["backend"], set())
            values.add(repr(settings[key]) if key in settings else "none")
    backends = {settings["backend"] for settings in flat.values()}
    constant: dict[str, dict[str, Any]] = {"": {}}
    varying: dict[str, dict[str, Any]] = {name: {} for name in flat}
    for name, settings in flat.items():
        for key, value in settings.items():
            seen = of_backend[key]
            if set(seen) == backends and len(set.union(*seen.values())) == 1:
                constant[""][key] = value
            elif key != "backend" and all(len(values) == 1 for values in seen.values()):
                constant.setdefault(settings["backend"], {})[key] = value
            else:
                varying[name][key] = value
    return constant, varying


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
