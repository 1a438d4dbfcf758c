"""Parts of an archive fit together: names of files, and the report and its raw data."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_campaigns import BASE, load, make_checkout

from llm_energy.analysis.aggregate import aggregate
from llm_energy.archive.contents import portable, refuse_old_report
from llm_energy.system.scripting import UserError

TRACE = '{"timestamp": 0, "input_length": 9, "output_length": 3}\n' * 3


def test_traces_and_prompts_of_the_user_lie_in_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = make_checkout(tmp_path)
    (root / "day.jsonl").write_text(TRACE + TRACE.replace(": 0", ": 40000"))
    (root / "mine.jsonl").write_text('{"prompt": "Why?"}\n')
    config: dict[str, Any] = copy.deepcopy(BASE)
    config["traces"] = {"day": {"file": "day.jsonl"}}
    config["prompts"]["own"] = {"file": "mine.jsonl"}
    config["measurement"] = {"minimum_duration_s": 30}
    own = {"load_mode": "open", "request_rate": 2, "trace": "day", "arrivals": {"lengths": "trace"}}
    config["experiments"] = {"x": {"settings": own}}
    campaign = load(root, config)
    inside = portable(campaign, config)
    assert inside["traces"]["day"]["file"] == "inputs/trace-day/day.jsonl"
    assert inside["prompts"]["own"]["file"] == "inputs/own/mine.jsonl"
    for name in ("trace-day/day.jsonl", "own/mine.jsonl"):
        (root / "inputs" / name).parent.mkdir(parents=True)
        (root / Path(name).name).rename(root / "inputs" / name)
    assert load(root, inside).names == campaign.names  # a reader plans the same experiments


def test_a_report_that_is_older_than_an_event_of_a_run_is_not_packed(tmp_path: Path) -> None:
    record = tmp_path / "runs/20260101T000000-0.json"
    record.parent.mkdir()
    event = {"time": "2026-01-01T00:01:00.000+00:00", "kind": "backend_restarted", "backend": "b"}

    def publish(*events: dict[str, str]) -> None:
        record.write_text(json.dumps({"run_id": record.stem, "events": events}))

    publish(event)
    findings = aggregate(tmp_path, planned=[], design=make_results.design(cycles=1)).findings
    read_again = type(findings).model_validate_json(findings.model_dump_json())
    refuse_old_report(read_again, tmp_path)
    publish(event, {**event, "time": "2026-01-01T00:02:00.000+00:00"})
    with pytest.raises(UserError, match=r"report\.html does not hold .*: delete it"):
        refuse_old_report(read_again, tmp_path)
