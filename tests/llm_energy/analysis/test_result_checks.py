"""Checks of one result: numbers that contradict each other, or its raw data."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.power.made_power import constant, phases, series_of

from llm_energy.analysis.result_checks import contradictions, differences
from llm_energy.power.accounting import account_energy
from llm_energy.power.series_file import write_series
from llm_energy.results.parts import Tokens
from llm_energy.results.result import Result
from llm_energy.results.side_files import write_requests


def altered(change: Callable[[dict[str, Any]], object], **options: Any) -> Result:
    plain = make_results.make_result(metered=True, **options).model_dump()
    change(plain)
    return Result.model_validate(plain)


@pytest.mark.parametrize("metered", [True, False])
@pytest.mark.parametrize("out_of_memory", [True, False])
def test_what_the_workflow_writes_has_none(metered, out_of_memory):
    result = make_results.make_result(metered=metered, out_of_memory=out_of_memory)
    assert list(contradictions(result)) == []


def scale(path: str, factor: float) -> Callable[[dict[str, Any]], object]:
    *folders, last = path.split(".")

    def change(result: dict[str, Any]) -> None:
        for name in folders:
            result = result[name]
        result[last] *= factor

    return change


CASES = {
    "output_tokens_per_second": "its throughput × duration is not its count of output tokens",
    "requests_per_second": "its request rate × duration is not its count of requests",
    "window.duration_s": "its window's end less its start is not its duration",
    "energy.joules_per_output_token": "its energy per output token × their number is not its "
    "energy",
    "energy.joules_per_token": "its energy per token × their number is not its energy",
    "energy.joules_per_request": "its energy per request × their number is not its energy",
    "energy.mean_power_watts": "its mean power × duration is not its energy",
    "latency.end_to_end_s.p50": "the percentiles of its end_to_end_s are not in order",
    "latency.end_to_end_s.mean": "the mean of its end_to_end_s lies outside of its range",
}


@pytest.mark.parametrize("path", CASES)
def test_a_number_that_was_changed_is_seen(path):
    assert CASES[path] in list(contradictions(altered(scale(path, 2.0))))


def test_a_sum_that_is_not_one_is_seen():
    def change(result: dict[str, Any]) -> None:
        result["energy"]["devices"][0]["energy_joules"] *= 2

    assert list(contradictions(altered(change))) == ["its energy is not the sum of its devices"]


def test_power_above_the_limit_of_the_board_is_seen():
    (found,) = contradictions(make_results.make_result(metered=True, power_limit_watts=50.0))
    assert found.endswith("is above the limit of 50.0 W")


def test_a_window_without_tokens_is_seen():
    def change(result: dict[str, Any]) -> None:
        result["tokens"]["output"] = 0

    assert "it counts no output tokens" in list(contradictions(altered(change)))


def test_a_missing_energy_needs_its_reason():
    def change(result: dict[str, Any]) -> None:
        result["energy"] |= {"energy_joules": None, "reason": None}

    assert list(contradictions(altered(change))) == ["its energy is missing without a reason"]


@pytest.fixture
def measured(tmp_path):
    """A result with a series of constant power and the requests of its window."""
    plain = make_results.make_result()
    window = plain.window.model_copy(
        update={"start_monotonic_s": 10.0, "end_monotonic_s": 20.0, "duration_s": 10.0}
    )
    requests = [
        {"prompt": 0, "wave": wave, "submitted": 10.0 + wave, "token_times": [10.5 + wave]}
        for wave in range(10)
    ]
    tokens = Tokens(input=70, output=10, requests=10)
    series = series_of(constant(300.0))
    spans = phases(load=(0.0, 1.0), idle=(1.0, 5.0), warmup=(5.0, 10.0), window=(10.0, 20.0))
    return plain.model_copy(
        update={
            "window": window,
            "tokens": tokens,
            "phases": spans,
            "energy": account_energy(series, spans, tokens, scope="gpu_board").energy,
            "side_files": {
                "requests": write_requests(
                    tmp_path, "requests/a.parquet", requests, input_lengths=[7]
                ),
                "series": write_series(tmp_path, "series/a.parquet", series),
            },
        }
    )


def with_series(result, folder, power):
    file = write_series(folder, "series/other.parquet", series_of(power))
    return result.model_copy(update={"side_files": result.side_files | {"series": file}})


def test_a_result_follows_from_its_raw_data(measured, tmp_path):
    assert measured.energy.energy_joules == pytest.approx(3000.0)
    assert list(differences(tmp_path, measured)) == []


def test_another_energy_does_not(measured, tmp_path):
    energy = measured.energy.model_copy(update={"energy_joules": 2900.0})
    (found,) = differences(tmp_path, measured.model_copy(update={"energy": energy}))
    assert found == "its power series gives 3000 J, it records 2900 J"


def test_an_energy_that_should_be_missing_is_reported(measured, tmp_path):
    """Nobody idles at more power than under load: such an energy is not used."""
    (found,) = differences(
        tmp_path, with_series(measured, tmp_path, lambda t: 900.0 if t < 5 else 300.0)
    )
    assert found == "its power series gives no energy (mean_power_below_idle), it records 3000 J"


def test_a_window_left_unread_on_purpose_has_no_energy(measured, tmp_path):
    file = write_series(tmp_path, "series/off.parquet", series_of(constant(300.0), end=10.0))
    sampler_off = {"energy_joules": None, "reason": "sampler_off"}
    changed = {
        "energy": measured.energy.model_copy(update=sampler_off),
        "side_files": measured.side_files | {"series": file},
    }
    assert list(differences(tmp_path, measured.model_copy(update=changed))) == []


def test_other_tokens_do_not(measured, tmp_path):
    tokens = Tokens(input=70, output=11, requests=10)
    (found,) = differences(tmp_path, measured.model_copy(update={"tokens": tokens}))
    assert "it records Tokens(input=70, output=11, requests=10)" in found
