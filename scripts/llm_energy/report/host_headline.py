"""The second headline: energy with the host, beside that of the devices that did the work."""

from collections.abc import Mapping, Sequence
from itertools import combinations, groupby

from llm_energy.analysis.summary import Summary
from llm_energy.report.estimates import Estimate, estimates, ranked
from llm_energy.results.metrics import HOST_JOULES_PER_OUTPUT_TOKEN, JOULES_PER_OUTPUT_TOKEN
from llm_energy.system.numbers import plural

Pair = tuple[Estimate, Estimate]


def ranking_notices(summary: Summary) -> list[str]:
    """Return a sentence for each set of terms whose ranking the host around the devices changes."""
    found = ranked(summary, JOULES_PER_OUTPUT_TOKEN)
    groups = [list(group) for _, group in groupby(found, key=lambda e: e.terms)]
    return [text for group in groups if (text := _notice(group, with_host(summary, group)))]


def with_host(summary: Summary, rivals: Sequence[Estimate]) -> Mapping[str, Estimate]:
    """Return the energies with the host by label; empty where they are not of one scope."""
    labels = {rival.label for rival in rivals}
    found = {
        estimate.label: estimate
        for estimate in estimates(summary, HOST_JOULES_PER_OUTPUT_TOKEN)
        if estimate.label in labels and not estimate.saturated
    }
    return found if len({estimate.scope for estimate in found.values()}) == 1 else {}


def place(label: str, host: Mapping[str, Estimate]) -> str:
    """Return the place of an experiment in the ranking with the host: `first of 4`."""
    order = sorted(host, key=lambda name: host[name].mean)
    number = order.index(label) + 1
    return f"{'first' if number == 1 else f'place {number}'} of {len(order)}"


def _notice(rivals: Sequence[Estimate], host: Mapping[str, Estimate]) -> str | None:
    """Return the sentence of one ranking; None where both are the same, or one is not known.

    Args:
        rivals: best first, of one set of terms.
    """
    both = [rival for rival in rivals if rival.label in host]
    changed = [
        (one, other)
        for one, other in combinations(both, 2)
        if host[one.label].mean > host[other.label].mean
    ]
    if not changed:
        return None
    alone, best = both[0], min((host[rival.label] for rival in both), key=lambda e: e.mean)
    scopes = f"by {alone.scope} alone", f"with the host ({best.scope})"
    if alone.label == best.label:
        text = f"{alone.label} uses least energy per output token {scopes[0]} and {scopes[1]}, but"
        text += " the order of the others differs"
    else:
        text = f"{alone.label} uses least energy per output token {scopes[0]}"
        text += f", {best.label} {scopes[1]}"
    clear = sum(_is_clear(pair, host) for pair in changed)
    return (
        f"The ranking depends on what is counted: {text}. {plural(len(changed), 'pair')} of "
        f"experiments {'changes' if len(changed) == 1 else 'change'} places, {clear} of them by "
        "more than their intervals."
    )


def _is_clear(pair: Pair, host: Mapping[str, Estimate]) -> bool:
    one, other = pair
    return not one.overlaps(other) and not host[one.label].overlaps(host[other.label])
