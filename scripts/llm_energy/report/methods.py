"""The methods section: sentences about what was really done, made from the results."""

import importlib.resources
import re
from itertools import pairwise

import jinja2
import pandas as pd

from llm_energy.analysis.summary import Summary
from llm_energy.campaign.control_experiments import MEASURED
from llm_energy.report.control_section import controls_text
from llm_energy.report.page_tables import bias_is_bounded
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
    "open": "Requests arrived at scheduled times, whatever was still in flight; all configurations "
    "of a cycle got one schedule, at another rate on another time scale. Latencies count from the "
    "scheduled arrival. The window is a span of time; its requests were followed to their end.",
}
DURATIONS = ("warmup_cap_s", "minimum_duration_s", "baseline_s", "tail_s")
"""Keys of the measuring protocol."""


def methods(summary: Summary) -> list[tuple[str, str]]:
    """(heading, paragraph) pairs; a paragraph states only what was measured or recorded."""
    findings, table = summary.findings, summary.measurements
    design = findings.design
    done = table[table["status"] == "completed"]
    metered = done[done["energy_joules"].notna()]
    prompts = done.drop_duplicates("prompts_sha256") if "setting.prompts" in done else done.head(0)
    length = done.get("setting.output_tokens")
    controls = sum(control.kind in MEASURED for control in design.controls)
    in_sessions, on_devices = _split_cycles(done)
    text = _template().render(
        design=design,
        findings=findings,
        experiments=findings.planned // design.cycles - controls,
        controls=controls,
        order=ORDERS.get(design.order, f"in the order `{design.order}`").format(seed=design.seed),
        isolation=ISOLATIONS.get(design.isolation, f"Isolation was `{design.isolation}`."),
        done=done,
        in_sessions=in_sessions,
        on_devices=on_devices,
        bounded=bias_is_bounded(done),
        loads=[LOADS.get(mode, f"Load mode `{mode}`.") for mode in done["load_mode"].unique()],
        prompts=prompts.to_dict("records"),
        exact_lengths=length is not None
        and bool((done["output_tokens"] == done["requests"] * length).all()),
        limits={name: _duration(done, name) for name in DURATIONS},
        metered=metered,
        gain=metered["sensor_gain_limit_relative"].astype(float).mean(),
        offset=metered["sensor_offset_limit_watts"].astype(float).mean(),
        counts=summary.experiments["n"],
        between_devices=bool((summary.experiments["interval_rule"] == "t_devices").any()),
        unpaired=any(not comparison.pairs for comparison in findings.comparisons),
        controls_text=controls_text(summary),
    )
    sections = re.split(r"^# (.+)\n", text, flags=re.MULTILINE)[1:]
    paragraphs = (re.sub(r"[ \n]+", " ", paragraph).strip() for paragraph in sections[1::2])
    return list(zip(sections[::2], paragraphs, strict=True))


def _split_cycles(done: pd.DataFrame) -> tuple[int, int]:
    """Return how many cycles lie in several sessions, and how many of them on several devices.

    Experiments of one session may use more of its devices than others do.
    """
    places: dict[int, dict[str, set[str]]] = {}
    for row in done[["cycle", "session_id", "host", "device_uuids"]].to_dict("records"):
        devices = {f"{row['host']} {uuid}" for uuid in row["device_uuids"].split(";")}
        places.setdefault(row["cycle"], {}).setdefault(row["session_id"], set()).update(devices)
    split = [list(sessions.values()) for sessions in places.values() if len(sessions) > 1]
    moved = sum(any(not (a <= b or b <= a) for a, b in pairwise(sets)) for sets in split)
    return len(split), moved


def _template() -> jinja2.Template:
    surroundings = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    surroundings.filters |= {
        "plural": plural,
        "fixed": fixed,
        "range": _range,
        "count": lambda flags: int(flags.fillna(False).sum()),
        "values": lambda column: ", ".join(sorted(column.dropna().unique())),
    }
    source = importlib.resources.files("llm_energy.report").joinpath("methods.jinja")
    return surroundings.from_string(source.read_text("utf-8"))


def _range(values: pd.Series, unit: str = "") -> str:
    """`3.1 to 4.2 s`, or one value where all are the same."""
    present = values.dropna()
    if present.empty:
        return "an unknown number of"
    ends = [float(present.min()), float(present.max())]
    whole = all(end.is_integer() for end in ends) and not unit
    texts = list(dict.fromkeys(fixed(end, 0) if whole else number(end) for end in ends))
    return " to ".join(texts) + (f" {unit}" if unit else "")


def _duration(done: pd.DataFrame, name: str) -> str | None:
    """A duration of the measuring protocol, if all experiments recorded it."""
    values = done.get(f"measurement.{name}", pd.Series(dtype="Float64")).dropna().unique()
    return " or ".join(f"{value:g} s" for value in sorted(values)) or None
