"""The output of the target `status`."""

import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from llm_energy.campaign.campaign import Campaign
from llm_energy.results.result import ResultError
from llm_energy.runs.campaign_status import write_status
from llm_energy.runs.progress import human_duration
from llm_energy.runs.waiting_start import waiting_starts
from llm_energy.system.scripting import disk_refusal, rule_script
from llm_energy.workflow.late_events import late_lines
from llm_energy.workflow.opening import Opened
from llm_energy.workflow.status import as_text, standings, write_manifest


def show(campaign: Campaign, results: Path, *, for_programs: bool) -> None:
    """Print where every measurement stands, and write `campaign.tsv`; for programs `status.prom`.

    Args:
        results: `results/{campaign}`.
        for_programs: as JSON.

    Raises:
        OSError: a folder of results or failures cannot be read.
        ResultError: a decision cannot be read.
    """
    rows = standings(campaign, results)
    if for_programs:
        # What this loads people need not wait for.
        from llm_energy.workflow.status_numbers import as_json, campaign_status

        status = campaign_status(campaign, results, rows)
        print(as_json(status, rows), flush=True)
    else:
        print(as_text(campaign, results, rows), end="")
        for line in (*_waiting_lines(results), *late_lines(results)):
            print(line)
        sys.stdout.flush()
    if results.exists():
        try:
            path = write_manifest(results, rows)
            if for_programs:
                write_status(results, status)
            print(f"Table: {path}", file=sys.stderr if for_programs else sys.stdout, flush=True)
        except OSError as error:  # only looked at: it need not be writable
            print(f"Not written: {disk_refusal(error) or error}", file=sys.stderr)


def _waiting_lines(results: Path) -> list[str]:
    """Return a line on each start that waits for GPUs of another run."""
    return [
        f"Waiting{'' if start.host == platform.node() else f' on {start.host}'} for "
        f"{start.waits_for}; for {human_duration(_seconds_since(start.since))} by now"
        for start in waiting_starts(results)
    ]


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def show_at_once(opened: Opened, config: Mapping[str, Any]) -> NoReturn:
    """End this program as the rule `status` does, before any rule is read."""
    log = f"logs/{opened.campaign.name}/status.log"
    with rule_script(SimpleNamespace(rule="status", log=[log], input=[]), ResultError):
        json = config.get("status") == "json"
        show(opened.campaign, Path(opened.results), for_programs=json)
    sys.exit(0)
