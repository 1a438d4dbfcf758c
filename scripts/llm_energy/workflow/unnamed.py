"""Results in a campaign's folder that its file no longer names."""

import json
from collections import Counter
from pathlib import Path

from llm_energy.campaign.campaign import Campaign
from llm_energy.results.layout import files
from llm_energy.system.files import read_regular


def unnamed_results(campaign: Campaign, results: Path) -> list[str]:
    """Return one line with their number and the names that they had; empty where there are none."""
    named = {planned.result_path for planned in campaign.schedule}
    found = files(results, "measurements")
    names = Counter(
        _name(path) for path in found if path.relative_to(results).as_posix() not in named
    )
    if not names:
        return []
    listed = ", ".join(f"{name}: {count}" for name, count in sorted(names.items()))
    results_ = "result" if (total := names.total()) == 1 else "results"
    return [f"No longer in the campaign's file: {total} {results_} ({listed})"]


def _name(path: Path) -> str:
    """Return the name of its experiment when it was measured; its hash where it cannot be read."""
    try:
        return str(json.loads(read_regular(path))["experiment"])
    except (OSError, ValueError, LookupError, TypeError):
        return path.parent.name
