"""Checks of an open load: its numbers follow from the requests that lie beside the result."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.make_open import OBJECTIVES, make_open_result
from tests.worker.virtual_engine import Clock, virtual_clock

from llm_energy.analysis import open_checks
from llm_energy.analysis.raw_data_checks import differences
from llm_energy.measurement.open_window import open_load
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests, write_requests

__all__ = ["virtual_clock"]


class TestChecks:
    @pytest.fixture
    def measured(self, tmp_path: Path, virtual_clock: Clock) -> Result:
        return make_open_result(tmp_path, virtual_clock, rate=18.0)

    def test_a_result_follows_from_its_requests(self, measured: Result, tmp_path: Path) -> None:
        assert list(differences(tmp_path, measured)) == []

    def test_a_batch_size_is_unknown_of_a_server_alone(
        self, measured: Result, tmp_path: Path, virtual_clock: Clock
    ) -> None:
        def differing(result: Result, server: Mapping[str, Any]) -> list[str]:
            backend = result.spec.get("backend", {}) | server
            other = result.model_copy(update={"spec": result.spec | {"backend": backend}})
            assert other.of_server == bool(server)
            return [line for line in differences(tmp_path, other) if "batch_size" in line]

        of_server = {"server": {"command": ["serve"]}}
        assert differing(measured, of_server) == []  # a result of before
        served = make_open_result(tmp_path, virtual_clock, rate=18.0, is_server=True)
        assert differing(served, of_server) == []
        assert len(differing(served, {})) == 3

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"arrivals": 9}, "open_load.arrivals"),
            ({"saturation": "undecided"}, "open_load.saturation"),
            ({"saturation": "saturated"}, "open_load.saturation"),
            ({"idle_share": 0.5}, "open_load.idle_share"),
            ({"attained": None}, ""),
        ],
    )
    def test_another_number_is_seen(
        self, measured: Result, tmp_path: Path, changes: dict[str, Any], named: str
    ) -> None:
        assert measured.open_load is not None
        load = measured.open_load.model_copy(update=changes)
        found = list(differences(tmp_path, measured.model_copy(update={"open_load": load})))
        assert any(named in line for line in found) if named else found == []

    @pytest.mark.parametrize(("recorded", "differs"), [(0.05, False), (0.04, True), (None, False)])
    def test_another_energy_of_gaps_is_seen_and_none_of_an_earlier_version_is_no_difference(
        self, measured: Result, tmp_path: Path, recorded: float | None, differs: bool
    ) -> None:
        requests, _ = read_requests(tmp_path / measured.side_files["requests"].path)
        assert measured.open_load is not None
        load = measured.open_load.model_copy(update={"idle_energy_share": recorded})
        energy = measured.energy.model_copy(update={"energy_joules": 100.0})
        result = measured.model_copy(update={"open_load": load, "energy": energy})
        found = list(open_checks.differences(result, requests, idle_joules=5.0))
        assert any("idle_energy_share" in line for line in found) == differs

    @pytest.mark.parametrize("name", ["attainment", "goodput_per_second", "good"])
    def test_another_goodput_is_seen(self, measured: Result, tmp_path: Path, name: str) -> None:
        assert measured.open_load is not None
        assert measured.open_load.attained is not None
        attained = measured.open_load.attained.model_copy(update={name: 0})
        load = measured.open_load.model_copy(update={"attained": attained})
        (found,) = differences(tmp_path, measured.model_copy(update={"open_load": load}))
        assert f"open_load.attained.{name}" in found

    def test_another_lateness_is_seen(self, measured: Result, tmp_path: Path) -> None:
        assert measured.open_load is not None
        late = measured.open_load.lateness.model_copy(update={"p99_s": 1.0})
        load = measured.open_load.model_copy(update={"lateness": late})
        (found,) = differences(tmp_path, measured.model_copy(update={"open_load": load}))
        assert "open_load.lateness.p99_s" in found

    def test_a_schedule_of_another_seed_is_seen(self, measured: Result, tmp_path: Path) -> None:
        resolved = dict(measured.settings.resolved)
        resolved["arrivals"] = {**resolved["arrivals"], "seed": 2}
        settings = measured.settings.model_copy(update={"resolved": resolved})
        (found,) = differences(tmp_path, measured.model_copy(update={"settings": settings}))
        assert found == "its arrival 0 is not that of its schedule"

    def test_arrivals_that_were_taken_out_are_seen(self, measured: Result, tmp_path: Path) -> None:
        """Also the last ones, behind which the schedule agrees, and with every number to match."""
        path = measured.side_files["requests"].path
        requests, lengths = read_requests(tmp_path / path)
        assert measured.window is not None
        span = (measured.window.start_monotonic_s, measured.window.end_monotonic_s)
        inside = [r for r in requests if span[0] <= r["scheduled"] <= span[1]]
        left = [r for r in requests if r not in inside[-3:]]
        write_requests(tmp_path, path, left, input_lengths=lengths)
        assert measured.open_load is not None
        load = open_load(left, span, objectives=OBJECTIVES, joules=None, idle_joules=None)
        found = list(differences(tmp_path, measured.model_copy(update={"open_load": load})))
        count = len(inside)
        assert f"its schedule has {count} arrivals in its window, not {count - 3}" in found

    @pytest.mark.parametrize(
        ("edit", "named"),
        [
            (lambda r: {"scheduled": r["scheduled"] + 0.01}, "is not that of its schedule"),
            (lambda r: {"token_times": r["token_times"][:-1]}, "open_load.cut"),
            (lambda _: {"fault": "refused"}, "open_load.failed"),
            (lambda r: {"ended": r["ended"] + 5.0}, "open_load.attained.good"),
            (lambda r: {"submitted": r["submitted"] + 0.01}, "open_load.lateness"),
        ],
    )
    def test_an_edited_request_is_seen(
        self, measured: Result, tmp_path: Path, edit: Callable[..., dict[str, Any]], named: str
    ) -> None:
        path = measured.side_files["requests"].path
        requests, lengths = read_requests(tmp_path / path)
        assert measured.window is not None
        start = measured.window.start_monotonic_s
        place = next(n for n, r in enumerate(requests) if r["scheduled"] > start + 5.0)
        requests[place] |= edit(requests[place])
        write_requests(tmp_path, path, requests, input_lengths=lengths)
        assert any(named in line for line in differences(tmp_path, measured))

    def test_a_flag_that_does_not_follow_is_seen(self, measured: Result, tmp_path: Path) -> None:
        plain = measured.model_copy(update={"flags": []})
        lost = list(differences(tmp_path, plain))
        codes = [flag.code for flag in measured.flags]
        assert lost == [f"its requests raise the flag {code}" for code in sorted(codes)]
