"""The configuration inside an archive names files that the archive has."""

import copy
from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.make_campaigns import BASE, load, make_checkout

from llm_energy.archive.contents import portable

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
