"""The summary of a campaign from its result files: all that figures and report read."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from llm_energy.analysis.actual_order import in_actual_order
from llm_energy.analysis.anchoring import (
    anchor_ratios,
    read_anchors,
    sessions_of,
    with_anchors,
)
from llm_energy.analysis.campaign_flags import with_campaign_flags
from llm_energy.analysis.carry_over import carry_over
from llm_energy.analysis.comparisons import compare_all
from llm_energy.analysis.controls import control_findings, without_controls
from llm_energy.analysis.counter_ratios import STABLE_OFFSET, DeviceRatios, device_ratios
from llm_energy.analysis.courses_over_time import cycle_dependence, short_warmups, warmup_traces
from llm_energy.analysis.decode_energy import decode_energies
from llm_energy.analysis.derived import derived_metrics, stated, with_derived
from llm_energy.analysis.design import Design
from llm_energy.analysis.device_differences import device_differences
from llm_energy.analysis.energy_uncertainty import with_limits
from llm_energy.analysis.experiments_table import experiments_table
from llm_energy.analysis.highest_good import highest_good_rates
from llm_energy.analysis.measurements_table import measurements_table
from llm_energy.analysis.objectives import with_objectives
from llm_energy.analysis.planned_results import read_planned
from llm_energy.analysis.served_requests import requests_table
from llm_energy.analysis.side_records import failures, runs
from llm_energy.analysis.side_tables import latency_table, power_table, usable_series
from llm_energy.analysis.summary import (
    CodeUse,
    DeviceSensors,
    Findings,
    Gap,
    OutcomeCounts,
    Summary,
)
from llm_energy.analysis.tradeoffs import fronts
from llm_energy.analysis.two_stages import cycles_decided
from llm_energy.results import codes
from llm_energy.results.layout import place_of
from llm_energy.results.metrics import (
    JOULES_PER_OUTPUT_TOKEN,
    METRICS,
    Metric,
    watched_speed,
    watched_value,
)
from llm_energy.results.result import Result
from llm_energy.results.side_files import fault_of
from llm_energy.stats.drift import RunDrift, drift_over_positions


def aggregate(campaign_folder: Path, *, planned: Sequence[str], design: Design) -> Summary:
    """Read every planned result that is there, and account for those that are not.

    Args:
        campaign_folder: `results/{campaign}`.
        planned: every planned result, as its path relative to `campaign_folder`, in planned order.
        design: names the experiments; a result that it has no name for keeps its own.
    """
    # The results are let go between the two: with ten thousand of them both would take much room.
    return _with_comparisons(_from_results(campaign_folder, planned, design))


def _from_results(campaign_folder: Path, planned: Sequence[str], design: Design) -> Summary:
    """Return a summary without what the table of measurements alone gives."""
    read = read_planned(campaign_folder, planned)
    found, missing, unusable = read.found, read.missing, read.unusable
    # The name in a result is that of the day on which it was measured.
    own = {place_of(path).spec_hash: result.experiment for path, result in found.items()}
    design = design.model_copy(update={"names": own | dict(design.names)})
    for path, result in found.items():  # in place: of ten thousand there should not be two copies
        limited, name = with_limits(result, design.assumptions.sensor), design.name_at(path)
        renamed = limited.experiment != name
        found[path] = limited.model_copy(update={"experiment": name}) if renamed else limited
    everything = list(found.values())
    anchors, unusable_anchors = read_anchors(campaign_folder)
    gaps = list(_side_file_gaps(campaign_folder, [*everything, *anchors]))
    lost = {gap.path for gap in gaps}
    everything = [with_objectives(r, design.slo, campaign_folder, gaps=lost) for r in everything]
    results = without_controls(everything, design.controls)
    devices = device_ratios(results)
    results = with_campaign_flags(results, devices, margin=design.equivalence_margin)
    table = measurements_table(results, design.reference, everything=everything)
    measurements = with_derived(table, design.assumptions)
    adaptive, first_cycles = design.adaptive, _first_cycles(design)
    events, damaged_runs = runs(campaign_folder)
    findings = Findings(
        design=design,
        planned=len(planned),
        completed=sum(result.status == "completed" for result in everything),
        out_of_memory=sum(result.status == "out_of_memory" for result in everything),
        missing=missing,
        unusable=unusable,
        side_file_gaps=[*gaps, *unusable_anchors, *damaged_runs],
        failures=list(failures(campaign_folder, design.names)),
        events=events,
        flags=_flags(results),
        energy_reasons=_energy_reasons(results),
        devices=[_sensors(device) for device in devices],
        short_warmups=short_warmups(results),
        cycle_dependence=cycle_dependence(results),
        warmups=warmup_traces(results),
        drift=_drift(results, watched_speed(result.load_mode for result in results)),
        energy_drift=_drift(results, JOULES_PER_OUTPUT_TOKEN),
        counts=_counts(planned, everything, missing, unusable, design),
        anchors=list(anchor_ratios(anchors, results)),
        controls=control_findings(
            design.controls,
            everything,
            partial(usable_series, campaign_folder, gaps=lost),
            first_cycles=first_cycles,
        ),
        carry_over=carry_over(everything),
        decode=list(decode_energies(results, first_cycles=first_cycles)),
        cycles_decided=cycles_decided(results, adaptive, measurements, campaign_folder)
        if adaptive
        else [],
        highest_good=highest_good_rates(design, results),
        assumed=stated(
            design.assumptions,
            {e.scope for r in results if (e := r.energy).scope and e.energy_joules},
        ),
    )
    return Summary(
        findings,
        measurements,
        pd.DataFrame(),
        power=power_table(campaign_folder, results, lost),
        latencies=latency_table(campaign_folder, results, lost),
        requests=requests_table(campaign_folder, results, lost),
    )


def _with_comparisons(summary: Summary) -> Summary:
    """Return the summary with the experiments over their cycles, and against each other."""
    measurements, design = summary.measurements, summary.findings.design
    anchors, first_cycles = summary.findings.anchors, _first_cycles(design)
    with_reference, along_axes, refused = compare_all(
        measurements,
        first_cycles=None
        if first_cycles is None
        else dict.fromkeys(measurements["experiment"], first_cycles),
        reference=design.reference,
        contrasts=design.contrasts,
        margin=design.equivalence_margin,
    )
    sessions = sessions_of(measurements) if anchors else {}
    found = {
        "comparisons": with_anchors(with_reference, anchors, sessions),
        "axis_comparisons": with_anchors(along_axes, anchors, sessions),
        "refused_comparisons": refused,
        "fronts": list(fronts(measurements, first_cycles=first_cycles)),
        "device_differences": device_differences(measurements, margin=design.equivalence_margin),
    }
    metrics = (*METRICS, *derived_metrics(design.assumptions))
    return replace(
        summary,
        findings=summary.findings.model_copy(update=found),
        experiments=experiments_table(measurements, metrics, first_cycles=first_cycles),
    )


def _first_cycles(design: Design) -> int | None:
    """Cycles that decide how many there are; None where their number is given."""
    return design.adaptive.first if design.adaptive else None


def _side_file_gaps(campaign_folder: Path, results: Iterable[Result]) -> Iterator[Gap]:
    for result in results:
        for file in result.side_files.values():
            if fault := fault_of(campaign_folder, file):
                yield Gap(path=file.path, reason=fault)


def _flags(results: Iterable[Result]) -> list[CodeUse]:
    """A measurement counts once for a flag, however many of its devices raised it."""
    once = [{flag.code: flag.message for flag in reversed(r.flags)} for r in results]
    return _uses((pair for flags in once for pair in flags.items()), codes.FLAGS)


def _energy_reasons(results: Iterable[Result]) -> list[CodeUse]:
    completed = [r.energy for r in results if r.status == "completed"]
    found = ((e.reason, "") for e in completed if e.energy_joules is None and e.reason)
    return _uses(found, codes.ENERGY_REASONS)


def _uses(found: Iterable[tuple[str, str]], meanings: Mapping[str, str]) -> list[CodeUse]:
    """Count the codes in (code, detail) pairs, one for each measurement that carries one."""
    details = defaultdict(list)
    for code, detail in found:
        details[code].append(detail)
    return [
        CodeUse(code=code, meaning=meanings.get(code, ""), measurements=len(all_), example=all_[0])
        for code, all_ in sorted(details.items())
    ]


def _sensors(ratios: DeviceRatios) -> DeviceSensors:
    warning = (
        f"The energy counter of {ratios.device} reads {ratios.median_ratio - 1.0:+.1%} against its "
        f"instant power, in the median of {ratios.count} windows (limit ±{STABLE_OFFSET:.0%}). "
        f"Its joules may be off by as much. {_effect_on_ratios(ratios)}"
    )
    return DeviceSensors(
        device=ratios.device,
        median_ratio=ratios.median_ratio,
        median_ratio_idle=ratios.median_ratio_idle,
        windows=ratios.count,
        deviating=len(ratios.deviating),
        warning=warning if ratios.warning else None,
    )


def _effect_on_ratios(ratios: DeviceRatios) -> str:
    if ratios.gain_alone is None:
        return (
            "Ratios between experiments on this device do not depend on it if it is a gain, but do "
            "if one sensor holds watts of other parts."
        )
    idle = f"At loaded idle it reads {(ratios.median_ratio_idle or 0.0) - 1.0:+.1%}"
    if ratios.gain_alone:
        return f"{idle}, as with a gain: ratios between its experiments do not depend on it."
    return (
        f"{idle}: this is no gain alone, one sensor may hold watts of other parts, and ratios "
        "between experiments on this device depend on it."
    )


def _counts(
    planned: Sequence[str],
    results: Sequence[Result],
    missing: Sequence[Gap],
    unusable: Sequence[Gap],
    design: Design,
) -> list[OutcomeCounts]:
    """The outcomes of the planned cycles of every experiment, in planned order."""

    def by_experiment(paths: Iterable[str]) -> Counter[str]:
        return Counter(map(design.name_at, paths))

    outcomes = {
        "completed": Counter(r.experiment for r in results if r.status == "completed"),
        "energy_invalid": Counter(r.experiment for r in results if _energy_is_invalid(r)),
        "out_of_memory": Counter(r.experiment for r in results if r.status == "out_of_memory"),
        "missing": by_experiment(gap.path for gap in missing),
        "unusable": by_experiment(gap.path for gap in unusable),
    }
    return [
        OutcomeCounts(
            experiment=name,
            planned=number,
            **{outcome: counts[name] for outcome, counts in outcomes.items()},
        )
        for name, number in by_experiment(planned).items()
    ]


def _energy_is_invalid(result: Result) -> bool:
    """True where it was metered in vain; a host without a meter has no energy to be invalid."""
    energy = result.energy
    metered = energy.reason not in ("no_meter", codes.SAMPLER_OFF)
    return result.status == "completed" and energy.energy_joules is None and metered


def _drift(results: Iterable[Result], metric: Metric) -> RunDrift | None:
    """Drift over the actual order, which a resumed campaign did not plan."""
    ran = in_actual_order([r for r in results if (watched_value(r, metric) or 0) > 0])
    return drift_over_positions(
        (f"{r.experiment} {r.environment.device_model}", rank, watched_value(r, metric) or 0)
        for rank, r in enumerate(ran)
    )
