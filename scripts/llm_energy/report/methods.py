"""The methods section: what was really done, in sentences made from the results."""

import pandas as pd

from llm_energy.analysis.summary import Design, Findings, Summary
from llm_energy.campaign.control_experiments import MEASURED
from llm_energy.report.control_section import controls_text
from llm_energy.system.numbers import fixed, number, plural
from llm_energy.system.vocabulary import LoadMode

ORDERS = {
    "randomised_blocks": "in randomised complete blocks: every cycle runs each experiment once, "
    "experiments that share an engine process next to each other, otherwise in an order drawn "
    "with seed {seed}",
    "sequential": "in the order of the configuration",
}
ISOLATIONS = {
    "cycle": "Each cycle used a fresh engine process for each backend and engine setting.",
    "measurement": "Each measurement used a fresh engine process.",
    "campaign": "Engine processes were kept as long as possible, so that intervals hold within "
    "one engine process only.",
}
LOADS: dict[LoadMode, str] = {
    "waves": "As many requests as the batch size were submitted together, and the next such wave "
    "when all of them had ended; the gaps between waves are part of the window.",
    "closed": "The number of requests in flight was kept constant (continuous batching); tokens "
    "were counted by time stamp.",
}


def methods(summary: Summary) -> list[tuple[str, str]]:
    """(heading, paragraph) pairs; a paragraph says nothing that was not measured or recorded."""
    done = summary.measurements[summary.measurements["status"] == "completed"]
    if done.empty:
        return [("Design", _design(summary))]
    return [
        ("Design", _design(summary)),
        ("Processes", _processes(summary.findings.design, done)),
        ("Load", _load(done)),
        ("Warm-up", _warmup(done)),
        ("Window", _window(done)),
        ("Speed and latency", _speed()),
        ("Energy", _energy(done)),
        ("Statistics", _statistics(summary)),
        *([("Controls", controls_text(summary))] if summary.findings.controls else []),
    ]


def _design(summary: Summary) -> str:
    findings = summary.findings
    design = findings.design
    order = ORDERS.get(design.order, f"in the order `{design.order}`").format(seed=design.seed)
    done = findings.completed + findings.out_of_memory
    text = (
        f"{_cycles(findings)}{plural(findings.planned, 'measurement')}, of which {done} were made, "
        f"{order}."
    )
    if findings.out_of_memory:
        text += f" {findings.out_of_memory} ended out of memory, which is recorded as an outcome."
    return text


def _cycles(findings: Findings) -> str:
    """`4 experiments × 3 cycles = `, or how the number of cycles was decided."""
    design = findings.design
    if design.adaptive is None:
        controls = sum(control.kind in MEASURED for control in design.controls)
        count = findings.planned // design.cycles - controls
        what = plural(count, "experiment")
        what += f" and {plural(controls, 'control')}" if controls else ""
        return f"{what} × {plural(design.cycles, 'cycle')} = "
    target = 100 * design.adaptive.target_relative_half_width
    return (
        f"Every experiment in {design.adaptive.first} cycles, and then, decided once by the spread "
        f"of these, in as many as an interval of ±{target:g} % of its mean needs, "
        f"{design.adaptive.maximum} at most: "
    )


def _processes(design: Design, done: pd.DataFrame) -> str:
    reused = int(done["engine_reused"].fillna(False).sum())
    sessions, runs = done["session_id"].nunique(), done["run_id"].nunique()
    hosts = done["host"].nunique()
    apart = (
        f" They were made on {hosts} hosts: how much these differ is part of the interval of a "
        "mean, and of no ratio of pairs."
        if hosts > 1
        else ""
    )
    return (
        f"{ISOLATIONS.get(design.isolation, f'Isolation was `{design.isolation}`.')} "
        f"{reused} of {len(done)} measurements ran in a process that had served an earlier one. "
        f"The measurements come from {plural(runs, 'run')} in {plural(sessions, 'session')}.{apart}"
    )


def _load(done: pd.DataFrame) -> str:
    sentences = [LOADS.get(mode, f"Load mode `{mode}`.") for mode in done["load_mode"].unique()]
    if "setting.prompts" in done:
        sets = done.drop_duplicates("prompts_sha256")
        for _, row in sets.iterrows():
            sentences.append(
                f"Prompt set “{row['setting.prompts']}”: "
                f"{plural(int(row['prompts_count']), 'prompt')} of "
                f"{fixed(row['prompts_mean_input_tokens'], 1)} tokens on average (SHA-256 "
                f"{row['prompts_sha256'][:12]}…)."
            )
    asked = done.get("setting.output_tokens")
    if asked is not None and (done["output_tokens"] == done["requests"] * asked).all():
        sentences.append("Every request generated exactly the output length of its experiment.")
    return " ".join(sentences)


def _warmup(done: pd.DataFrame) -> str:
    capped = int(done["warmup_capped"].fillna(False).sum())
    steady = int(done["warmup_steady"].fillna(False).sum())
    cap = _asked(done, "warmup_cap_s")
    limit = f"the time limit of {cap}" if cap else "the time limit"
    return (
        "Before each window the waves of that window ran until their throughput was shown to be "
        "steady, or their time limit came. Steady means: its coefficient of variation under a "
        "threshold, and a 90 % interval of its trend inside an equivalence bound. "
        f"{steady} of {len(done)} were shown to be steady; {capped} of {len(done)} met "
        f"{limit} (from the end of the first wave) before that, and are flagged. Warm-up took "
        f"{_range(done['warmup_duration_s'], 's')} and {_range(done['warmup_waves'])} waves, the "
        f"first wave {_range(done['warmup_first_wave_s'], 's')}."
    )


def _window(done: pd.DataFrame) -> str:
    least, idle, tail = (
        _asked(done, name) for name in ("minimum_duration_s", "baseline_s", "tail_s")
    )
    text = (
        "The window opened at the first submission after the last warm-up wave, without a pause, "
        "and closed at the last counted token; in waves it holds whole passes over the prompt set. "
    )
    text += f"At least {least} was asked for; windows " if least else "Windows "
    text += f"lasted {_range(done['window_duration_s'], 's')} "
    if done["window_waves"].notna().any():
        text += f"({_range(done['window_waves'])} waves, {_range(done['window_passes'])} passes) "
    text += f"and hold {_range(done['output_tokens'])} output tokens."
    text += f" The engine idled with its model loaded for {idle} before warm-up." if idle else ""
    text += f" After the window the same load ran on, uncounted, for {tail}." if tail else ""
    return text


def _speed() -> str:
    return (
        "Throughput is output tokens of the window over its duration, for every engine alike. "
        "Time to first token runs from submission to the first token of a request, inter-token "
        "latency between successive tokens of a request, end-to-end latency to its last token, as "
        "the engine’s process saw them. Padding is no token."
    )


def _energy(done: pd.DataFrame) -> str:
    metered = done[done["energy_joules"].notna()]
    if metered.empty:
        reasons = ", ".join(sorted(done["energy_reason"].dropna().unique()))
        return f"No energy was measured (reason code: {reasons or 'none given'})."
    method, scope = (
        ", ".join(sorted(metered[name].dropna().unique()))
        for name in ("energy_method", "energy_scope")
    )
    text = (
        f"Energy is gross energy of the window, scope {scope}, method {method}; "
        f"{len(metered)} of {len(done)} measurements have one."
    )
    gain, offset = (
        metered[name].mean() for name in ("sensor_gain_limit_relative", "sensor_offset_limit_watts")
    )
    if pd.notna(gain):
        text += f" The sensor is taken as right within ±{100 * gain:.2g} % of what it reads"
        text += f" and ±{offset:.2g} W" if offset > 0 else ""
        text += (
            ", any value in between being as likely. That is common to all cycles: it widens total "
            "intervals and not repeatability."
        )
    derived = metered.loc[metered["derived_on_reading"] != "", "derived_on_reading"]
    if len(derived):
        fields = ", ".join(sorted(set(";".join(derived).split(";"))))
        text += (
            f" {len(derived)} of these measurements are of an older version of the results’ "
            f"schema: {fields} were derived from the uncertainties in their files."
        )
    return text


def _statistics(summary: Summary) -> str:
    counts = summary.experiments["n"]
    text = (
        "The cycle is the unit of replication, never the request or the token. Intervals are 95 % "
        "Student t intervals of the mean over cycles; the tables in files also give the geometric "
        f"mean with its log-t interval. n is {_range(counts)}; one cycle gives a value and no "
        "interval. Nothing was dropped."
    )
    if summary.findings.comparisons:
        text += (
            f" Ratios to {summary.findings.design.reference} are geometric means of ratios paired "
            "within cycle, session and device, with log-t intervals; under three pairs there is "
            "no interval. In the section of comparisons intervals hold simultaneously over all "
            "comparisons of a metric, and p-values are adjusted by Holm’s method; beside the "
            "headline and in the table of results they are not adjusted."
        )
    if any(not comparison.pairs for comparison in summary.findings.comparisons):
        text += (
            " Sides that share no cycle of a session and device are compared without pairs, by "
            "Welch’s t on logarithms, and say so."
        )
    return text


def _range(values: pd.Series, unit: str = "") -> str:
    """`3.1 to 4.2 s`, or one value where all are the same."""
    present = values.dropna()
    if present.empty:
        return "an unknown number of"
    ends = [float(present.min()), float(present.max())]
    whole = all(end.is_integer() for end in ends) and not unit
    texts = list(dict.fromkeys(fixed(end, 0) if whole else number(end) for end in ends))
    return " to ".join(texts) + (f" {unit}" if unit else "")


def _asked(done: pd.DataFrame, name: str) -> str | None:
    """A duration of the measuring protocol, if all experiments recorded it."""
    values = done.get(f"measurement.{name}", pd.Series(dtype="Float64")).dropna().unique()
    return " or ".join(f"{value:g} s" for value in sorted(values)) or None
