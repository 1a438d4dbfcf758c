"""Anchors: the reference measured again, beside comparisons whose sides have other sessions."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean

import pandas as pd

from llm_energy.analysis.summary import AnchorRatio, Comparison, Gap
from llm_energy.results.layout import files
from llm_energy.results.metrics import WATCHED, watched_value
from llm_energy.results.result import Result, ResultError, read_result
from llm_energy.system.numbers import number


def read_anchors(campaign_folder: Path) -> tuple[list[Result], list[Gap]]:
    """Every anchor of a campaign, and those that cannot be used."""
    found, unusable = [], []
    for path in files(campaign_folder, "anchors"):
        try:
            found.append(read_result(path))
        except ResultError as error:
            name = path.relative_to(campaign_folder).as_posix()
            unusable.append(Gap(path=name, reason=f"an anchor, {error}"))
    return found, unusable


def anchor_ratios(anchors: Iterable[Result], results: Sequence[Result]) -> Iterator[AnchorRatio]:
    """Each anchor over the geometric mean of its experiment in other sessions, by metric."""
    for anchor in anchors:
        earlier = [
            r
            for r in results
            if r.spec_hash == anchor.spec_hash
            and r.environment.session_id != anchor.environment.session_id
        ]
        for metric in WATCHED:
            now = watched_value(anchor, metric)
            before = [v for r in earlier if (v := watched_value(r, metric)) is not None and v > 0]
            if now is not None and before:
                yield AnchorRatio(
                    experiment=earlier[0].experiment,
                    session_id=anchor.environment.session_id,
                    metric=metric.column,
                    ratio=now / geometric_mean(before),
                    earlier=len(before),
                )


def sessions_of(measurements: pd.DataFrame) -> dict[str, set[str]]:
    """Return the sessions in which each experiment was measured."""
    sessions: dict[str, set[str]] = {}
    names = zip(measurements["experiment"], measurements["session_id"], strict=True)
    for experiment, session_id in names:
        sessions.setdefault(experiment, set()).add(session_id)
    return sessions


def with_anchors(
    comparisons: Sequence[Comparison],
    ratios: Sequence[AnchorRatio],
    sessions: Mapping[str, Collection[str]],
) -> list[Comparison]:
    """Return the comparisons, with the ratio of its anchor in the sentence of one across sessions.

    Args:
        sessions: those in which each experiment was measured.
    """
    found = []
    for one in comparisons:
        either = {*sessions.get(one.experiment, ()), *sessions.get(one.base, ())}
        of_it = [r for r in ratios if r.metric == one.metric and r.session_id in either]
        if "other_session" in one.marks and of_it:
            parts = [f"{number(r.ratio)}×" for r in of_it]
            again = f"; {of_it[0].experiment} again in the later session: {', '.join(parts)}"
            one = one.model_copy(update={"sentence": one.sentence + again})
        found.append(one)
    return found
