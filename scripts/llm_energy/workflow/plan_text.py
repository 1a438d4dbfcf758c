"""The plan of a campaign as text: what is the same above, what varies in columns."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from llm_energy.runs.progress import human_duration
from llm_energy.system.numbers import plural, setting_text
from llm_energy.workflow.plan import Plan, Row

COLUMNS = 120
"""Width of the text."""

PLACES = "place in each cycle"


def as_text(plan: Plan) -> str:
    """Return the plan as an aligned table, with what it says in words above."""
    total = sum(row.cycles for row in plan.rows)
    done = sum(row.measured for row in plan.rows)
    known = sum(row.source == "results" for row in plan.rows)
    head = [
        f"Campaign {plan.campaign}: {plural(len(plan.rows), 'experiment')}{_cycles(plan)}"
        f"{plural(total, 'measurement')}, {done} of them measured, order {plan.order}",
        f"Expected time for the rest: {_rest(plan)} ({_how_known(known, len(plan.rows))})",
    ]
    if plan.adaptive:
        target = f"±{100 * plan.adaptive.target_relative_half_width:g} %"
        most = len(plan.rows) * plan.adaptive.maximum
        head.append(
            f"After the first {plan.adaptive.first} cycles each goes on to as many as {target} of "
            f"its mean needs: {most} measurements and {human_duration(plan.at_most_s)} at most"
        )
    if plan.searches:
        head += plan.searches
        head.append(
            f"Searches visit a rate after the other: {plan.at_most} measurements and "
            f"{human_duration(plan.at_most_s)} at most"
        )
    if plan.parallel:
        size = plural(plan.parallel.devices_per_measurement, "GPU")
        head.append(f"On several sets of {size}, each cycle wholly on one: {_at_once(plan)}")
    if plan.anchor:
        head.append(f"As an anchor between sessions: {plan.anchor.experiment.name} once more")
    for backend, settings in plan.constant.items():
        head += _listed(f"The same for {backend or 'all'}: ", settings)
    return "\n".join([*head, "", *_table(plan.rows)]) + "\n"


def expected_text(lasts_s: float, *, allocations: int, in_turn_s: float) -> str:
    """Return an expected time; on a cluster, which decides how many allocations it gives at the
    same time, with all of them and with one."""
    text = human_duration(lasts_s)
    if allocations < 2:
        return text
    in_turn = human_duration(in_turn_s)
    return f"{text} with {allocations} allocations at a time, {in_turn} with one after another"


def _rest(plan: Plan) -> str:
    lasts_s, in_turn_s = plan.remaining_s, plan.in_turn_s
    return expected_text(lasts_s, allocations=plan.allocations, in_turn_s=in_turn_s)


def _at_once(plan: Plan) -> str:
    lanes, spread = plan.concurrency.lanes, plan.concurrency.spread
    if plan.concurrency.allocations is not None:
        return f"{lanes} at a time in each allocation (`gpu` under `resources`)"
    if spread is None:
        return f"{lanes} at a time with this command (--cores, --resources gpu)"
    at_once = f"{min(lanes, len(spread.sets))} of {len(spread.sets)}"
    return f"{at_once} at a time on this host with this command (--cores, --resources gpu)"


def _listed(begin: str, settings: Mapping[str, Any]) -> list[str]:
    """Return `BEGIN key value, key value`, wrapped; nothing for no settings."""
    if not settings:
        return []
    text = begin + ", ".join(f"{key} {setting_text(value)}" for key, value in settings.items())
    return wrap(text, COLUMNS, subsequent_indent="  ", break_on_hyphens=False)


def _table(rows: Sequence[Row]) -> list[str]:
    """One line for each experiment; its settings below it, where their columns have no room."""
    keys = list(dict.fromkeys(key for row in rows for key in row.settings))
    lines = _aligned(rows, keys)
    if max(map(len, lines)) <= COLUMNS:
        return lines
    header, *lines = _aligned(rows, [])
    below = [_listed("  ", row.settings) for row in rows]
    return [
        header,
        *(line for own, more in zip(lines, below, strict=True) for line in [own, *more]),
    ]


def _aligned(rows: Sequence[Row], keys: Sequence[str]) -> list[str]:
    table = [["experiment", *keys, "spec", "measured", "expected"]]
    table += [
        [
            row.experiment,
            *(setting_text(row.settings[key]) if key in row.settings else "-" for key in keys),
            row.spec_hash,
            f"{row.measured} of {row.cycles}",
            human_duration(row.expected_s),
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)) for line in table]
    room = max(COLUMNS - len(lines[0]) - 2, len(PLACES))
    places = [PLACES, *(_cut(" ".join(map(str, row.ranks)), room) for row in rows)]
    return [f"{line}  {place}".rstrip() for line, place in zip(lines, places, strict=True)]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 2].rpartition(' ')[0]} …"


def _cycles(plan: Plan) -> str:
    cycles = sorted({row.cycles for row in plan.rows})
    if len(cycles) == 1:
        return f" × {plural(cycles[0], 'cycle')} = "
    return f", {cycles[0]} to {cycles[-1]} cycles each: "


def _how_known(measured: int, total: int) -> str:
    """Where the expected times of experiments come from, in words."""
    if measured == total:
        return "from earlier results"
    phases = "the least length of their phases, without loading"
    if measured == 0:
        return f"from {phases}"
    return f"{measured} of {total} experiments from earlier results, the others from {phases}"
