"""Results in a campaign's folder that its file no longer names."""

import re
from collections import Counter
from pathlib import Path

from llm_energy.campaign.campaign import Campaign
from llm_energy.results.heads import read_head
from llm_energy.results.layout import MEASURED, names

RESULT = re.compile(rf"{MEASURED}/([^/]+)/cycle-[^/]*\.json")


def unnamed_results(campaign: Campaign, results: Path) -> list[str]:
    """Return one line with their number and the names that they had; empty where there are none."""
    named = {planned.result_path for planned in campaign.schedule}
    others = filter(None, map(RESULT.fullmatch, names(results, MEASURED) - named))
    found = Counter(_name(results, path=match[0], spec_hash=match[1]) for match in others)
    if not found:
        return []
    listed = ", ".join(f"{name}: {count}" for name, count in sorted(found.items()))
    results_ = "result" if (total := found.total()) == 1 else "results"
    return [f"No longer in the campaign's file: {total} {results_} ({listed})"]


def _name(results: Path, *, path: str, spec_hash: str) -> str:
    """Return the name of its experiment when it was measured; its hash where it cannot be read."""
    try:
        return str(read_head(f"{results}/{path}")["experiment"])
    except (OSError, ValueError, LookupError, TypeError):
        return spec_hash
