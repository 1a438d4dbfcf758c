"""Pareto fronts over the experiments of a campaign."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from llm_energy.analysis.comparisons import SAME_BLOCK, SAME_ENERGY_TERMS, SAME_TERMS
from llm_energy.analysis.summary import Front, FrontPoint
from llm_energy.results.metrics import (
    ITL,
    JOULES_PER_OUTPUT_TOKEN,
    THROUGHPUT,
    TTFT,
    Metric,
    by_arrivals,
)
from llm_energy.stats.pareto import standings

TRADES = {
    JOULES_PER_OUTPUT_TOKEN: (THROUGHPUT, TTFT, ITL),
    THROUGHPUT: (TTFT, ITL),
    TTFT: (ITL,),
}
"""Metric -> what it is traded for; the first one that was measured counts, so that without energy
throughput is traded for latency. Where arrivals decide throughput, it is no part of a trade."""
PLACE = ("experiment", "device_model", "power_limit_watts")


def fronts(measurements: pd.DataFrame, *, first_cycles: int | None = None) -> Iterator[Front]:
    """One for each trade of `TRADES` and each set of terms under which it was measured.

    Experiments without one of the two metrics have no place on a front, and saturated measurements
    have none.

    Args:
        first_cycles: as in `experiments_table`.
    """
    measurements = measurements[~measurements["saturated"].fillna(False).astype(bool)]
    against = next((m for m in TRADES if _known(measurements, m).any()), THROUGHPUT)
    names = [*SAME_TERMS, *(SAME_ENERGY_TERMS if against.kind == "energy" else ())]
    for metric in TRADES[against]:
        wanted = [against.column, metric.column]
        known = measurements[_known(measurements, against) & _known(measurements, metric)]
        known = known[(known[wanted] > 0).all(axis=1)]
        for values, group in known.groupby(names, dropna=False):
            if group["experiment"].nunique() > 1:
                terms = dict(zip(names, values, strict=True))
                yield _front(group, metric, against, terms, first_cycles)


def _known(measurements: pd.DataFrame, metric: Metric) -> pd.Series:
    """Return True for each measurement with a value that is not that of its arrivals."""
    decided = measurements["load_mode"].map(lambda mode: by_arrivals(metric, mode)).astype(bool)
    return measurements[metric.column].notna() & ~decided


def _front(
    group: pd.DataFrame,
    metric: Metric,
    against: Metric,
    terms: dict[str, object],
    first_cycles: int | None,
) -> Front:
    rows, blocks = _keys(group, PLACE), _keys(group, SAME_BLOCK)
    energy, other = (_logarithms(group, one, rows=rows, blocks=blocks) for one in (against, metric))
    first = ~rows.duplicated()
    places = dict(zip(rows[first], group.loc[first, list(PLACE)].to_dict("records"), strict=True))
    names = [str(places[row]["experiment"]) for row in energy.index]
    pilot = None
    if first_cycles is not None:
        cycles = dict(zip(blocks, group["cycle"], strict=True))
        pilot = [bool(cycles[block] <= first_cycles) for block in energy.columns]
    found = standings(energy.to_numpy(), other.to_numpy(), pilot=pilot)
    points = [
        FrontPoint(
            experiment=names[index],
            device_model=str(places[row]["device_model"]),
            power_limit_watts=_number(places[row]["power_limit_watts"]),
            status=standing.status,
            certain=standing.certain,
            dominated_by=None if standing.dominated_by is None else names[standing.dominated_by],
        )
        for index, (row, standing) in enumerate(zip(energy.index, found, strict=True))
    ]
    return Front(
        metric=metric.column,
        against=against.column,
        load_mode=str(terms["load_mode"]),
        request_rate=_number(terms["request_rate"]),
        energy_scope=None if against.kind != "energy" else str(terms["energy_scope"]),
        mixed_tokenizers=bool(group["tokenizer_sha256"].nunique() > 1)
        and bool(group["prompts_sha256"].nunique() > 1),
        points=points,
    )


def _keys(group: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """One text for each row of the values of some columns."""
    texts = (group[column].astype("string").fillna("") for column in columns)
    return pd.Series(["\t".join(values) for values in zip(*texts, strict=True)], index=group.index)


def _logarithms(
    group: pd.DataFrame, metric: Metric, *, rows: pd.Series, blocks: pd.Series
) -> pd.DataFrame:
    """Experiment × block, less being better."""
    sign = -1.0 if metric.higher_is_better else 1.0
    logs = sign * np.log(group[metric.column].astype(float))
    table = pd.DataFrame({"row": rows, "block": blocks, "log": logs})
    return table.pivot(index="row", columns="block", values="log")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not pd.isna(value) else None
