"""The documentation of other tools: its lines run, and its dashboard has our names."""

import json
import re
from importlib import import_module

import pytest
from tests.conftest import ROOT
from tests.llm_energy.export.made_campaign import DEVICES, make_exported
from tests.llm_energy.runs.test_campaign_status import STATUS

from llm_energy.runs.campaign_status import prometheus_text

PAGE = (ROOT / "docs/time-series.md").read_text(encoding="utf-8")
MONITORING = ROOT / "docs/monitoring"


@pytest.mark.parametrize("tool", ["duckdb", "pandas"])
def test_the_lines_over_parquet_run(tmp_path, monkeypatch, tool):
    (line,) = [text for text in PAGE.splitlines() if text.startswith(f"{tool}.")]
    (result, *_) = make_exported(tmp_path / "results/nap", cycles=2)
    monkeypatch.chdir(tmp_path)
    line = line.replace("NAME", "nap").replace("SPEC", result.spec_hash)
    table = eval(line, {tool: import_module(tool)})
    found = table.df() if tool == "duckdb" else table.reset_index()
    means = found[{"duckdb": "watts", "pandas": "mean"}[tool]]
    assert set(found["device"]) == {device.id for device in DEVICES}
    assert ((means > 100) & (means < 500)).all()


def test_the_dashboard_shows_every_number_of_a_campaign_and_no_other():
    written = set(re.findall(r"^(llm_energy_\w+)\{", prometheus_text(STATUS), re.MULTILINE))
    dashboard = json.loads((MONITORING / "campaign.json").read_text())
    shown = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"llm_energy_\w+", target["expr"])
    }
    assert shown == written
    page = (MONITORING / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(llm_energy_\w+)", page, re.MULTILINE)) == written


def test_panels_of_the_dashboard_do_not_overlap():
    dashboard = json.loads((MONITORING / "campaign.json").read_text())
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    taken = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
