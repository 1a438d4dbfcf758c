"""The phases that a measurement shows: nothing is drawn while a window on the CPU is open."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.llm_energy.make_campaigns import load, make_checkout

from llm_energy.measurement.job import ExperimentRecord, Job
from llm_energy.measurement.measurement import warm_up_and_run
from llm_energy.power.series import Series

PHASE = {"start": 0.0, "end": 1.0}


class SessionOfOneWindow:
    """A session whose worker says that its window opens, and then that all is over."""

    def __init__(self, shown):
        self._shown = shown
        self.shown_before_window = None

    def request(self, _request, on_event):
        self.shown_before_window = list(self._shown)
        on_event({"event": "phase", "name": "window"})
        return {"warmup": PHASE, "window": PHASE, "tail": PHASE}


@pytest.mark.parametrize(("device", "in_window"), [("cpu", []), ("gpu", ["window, 3 s or more"])])
def test_a_window_is_shown_only_where_it_measures_no_cpu(tmp_path, device, in_window):
    campaign = load(make_checkout(tmp_path))
    record = replace(ExperimentRecord.of(campaign, campaign.experiments[0]), device=device)
    shown = []
    session = SessionOfOneWindow(shown)
    watch = SimpleNamespace(
        devices=(), series=lambda _since_s: Series((), (), 10.0), method="counter"
    )
    seen = SimpleNamespace(
        prompts=SimpleNamespace(token_ids=()), arrivals=None, add_phase=lambda *_: None
    )
    warm_up_and_run(session, watch, Job(record, 1, 0, 1, "r"), seen, shown.append)
    assert shown[len(session.shown_before_window) :] == in_window
    assert shown[0].startswith("warm-up, at most 5 s")
