"""The state of a campaign in numbers, by its files, for other programs."""

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_energy.backends.run_status import backends_of, living_runs, recoveries_of
from llm_energy.campaign.campaign import Campaign
from llm_energy.runs.campaign_status import CampaignStatus, LastResult
from llm_energy.runs.concurrency import SERIAL, living_concurrency
from llm_energy.runs.run import utc_now
from llm_energy.runs.waiting_start import waiting_starts
from llm_energy.workflow.status import Standing, left_s


def campaign_status(campaign: Campaign, results: Path, rows: Sequence[Standing]) -> CampaignStatus:
    """Return the numbers of a campaign; a result that cannot be read counts as failed."""
    counts, living = Counter(row.status for row in rows), living_runs(results)
    now = datetime.now(UTC)
    return CampaignStatus(
        campaign=campaign.name,
        written=utc_now(),
        run_active=bool(living),
        measurements={
            "done": counts["done"],
            "failed": counts["failed"] + counts["unusable"],
            "running": counts["running"],
            "pending": counts["pending"],
        },
        time_left_s=left_s(
            campaign, rows, now=now, concurrency=living_concurrency(results) or SERIAL
        ),
        waits_for=[start.waits_for for start in waiting_starts(results)],
        last=_last(results, rows),
        backends=backends_of(living),
        recoveries=recoveries_of(results, living),
    )


def as_json(status: CampaignStatus, rows: Sequence[Standing]) -> str:
    """Return the numbers, and each measurement as in `campaign.tsv`, as one JSON document."""
    content = {**asdict(status), "rows": [vars(row) for row in rows]}
    return json.dumps(content, indent=1, ensure_ascii=False)


def _last(results: Path, rows: Sequence[Standing]) -> LastResult | None:
    done = [row for row in rows if row.status == "done"]
    newest = max(done, key=lambda row: row.finished or "", default=None)
    if newest is None:
        return None
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        content: Mapping[str, Any] = json.loads((results / newest.file).read_bytes())
        energy = content["energy"]
        return LastResult(
            newest.experiment,
            newest.cycle,
            content["finished"],
            content["output_tokens_per_second"],
            energy["joules_per_output_token"],
            energy["reason"],
        )
    return None
