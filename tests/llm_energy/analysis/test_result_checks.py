"""Checks of one result alone: values that contradict each other."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.result_checks import contradictions
from llm_energy.results.result import Result


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


def test_an_energy_with_the_host_that_contradicts_its_devices_is_seen():
    def hosted(joules: float, *devices: str) -> Callable[[dict[str, Any]], object]:
        def change(result: dict[str, Any]) -> None:
            energy, tokens = result["energy"], result["tokens"]["output"]
            energy["devices"] += [
                energy["devices"][0]
                | {"device": name, "scope": scope, "energy_joules": 10.0, "counted": False}
                for name, scope in (("package-0", "cpu_package"), ("dram-0", "dram"))
            ]
            whole = energy["energy_joules"] + joules
            energy["host"] = {
                "scope": "gpu_board + cpu_package + dram",
                "devices": ["GPU-synthetic", *devices],
                "energy_joules": whole,
                "reason": None,
                "joules_per_output_token": (whole + joules - 20.0) / tokens,
            }

        return change

    def found(*change: Any) -> list[str]:
        return list(contradictions(altered(hosted(*change))))

    assert found(20.0, "package-0", "dram-0") == []
    assert found(20.0, "package-0", "dram-1") == [
        "its energy with the host is a sum that lacks a device"
    ]
    assert found(30.0, "package-0", "dram-0") == [
        "its energy with the host is not the sum of its devices",
        "its energy with the host per output token × their number is not that energy",
    ]


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


WRONG = {
    "started": ("yesterday", "its started is no time: yesterday"),
    "finished": ("2026-11-24T09:00:11", "its finished is not in UTC: 2026-11-24T09:00:11"),
    "protocol_version": (7, "its protocol_version is not that of its spec"),
    "load_mode": ("closed", "its load_mode is not that of its settings"),
    "message": ("no memory", "it is completed, with the message of an engine whose memory ran out"),
    "status": ("out_of_memory", "it ran out of memory, with a window that was measured"),
}


@pytest.mark.parametrize("key", WRONG)
def test_a_value_that_the_others_exclude_is_seen(key):
    value, sentence = WRONG[key]
    assert sentence in list(contradictions(altered(lambda result: result.update({key: value}))))


def test_times_of_day_keep_the_order_of_what_happened():
    def change(result: dict[str, Any]) -> None:
        result["started"] = result["finished"]

    (found,) = contradictions(altered(change))
    assert found == "its start, its window and its end are not in the order of their times"


def test_the_phases_are_those_of_warm_up_and_window():
    def change(result: dict[str, Any]) -> None:
        result["phases"][2]["start_monotonic_s"] += 0.5
        result["phases"][3]["start_monotonic_s"] += 0.5

    assert list(contradictions(altered(change))) == [
        "its phase window is not its window",
        "its phase warmup does not last as long as its warm-up",
    ]
