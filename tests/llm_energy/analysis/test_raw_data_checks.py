"""Checks of one result against its requests and its power series."""

import pytest
from tests.llm_energy.make_results import MEASUREMENT, make_result
from tests.llm_energy.make_side_files import with_numbers
from tests.llm_energy.power.made_power import constant, phases, series_of

from llm_energy.analysis.raw_data_checks import differences
from llm_energy.campaign.identity import PROTOCOL_VERSION
from llm_energy.power.accounting import account_energy
from llm_energy.power.series_file import write_series
from llm_energy.results.parts import Flag
from llm_energy.results.result import Result


def altered(result: Result, part: str, **changes: object) -> Result:
    return result.model_copy(update={part: getattr(result, part).model_copy(update=changes)})


@pytest.fixture
def measured(tmp_path):
    """A metered result of the present protocol, with its requests and its series."""
    return with_numbers(tmp_path, make_result(metered=True, protocol=PROTOCOL_VERSION))


def test_a_result_follows_from_its_raw_data(measured, tmp_path):
    assert list(differences(tmp_path, measured)) == []


def test_stretched_latencies_are_seen(measured, tmp_path):
    gaps = measured.latency.inter_token_latency_s
    longer = {name: 1.05 * value for name, value in gaps.model_dump(exclude={"count"}).items()}
    changed = gaps.model_copy(update=longer | {"p50": gaps.p90})
    found = list(differences(tmp_path, altered(measured, "latency", inter_token_latency_s=changed)))
    assert len(found) == 7
    assert all(
        line.startswith("its requests give latency.inter_token_latency_s.") for line in found
    )


def test_answers_that_came_whole_follow_without_latencies_of_tokens(measured, tmp_path):
    spec = measured.spec | {"backend": {"server": {"streams": False}}}
    served = measured.model_copy(update={"spec": spec})
    found = list(differences(tmp_path, served))
    assert any(line.startswith("its requests give latency.time_to_first_token_s") for line in found)
    unknown = dict.fromkeys(("time_to_first_token_s", "inter_token_latency_s"))
    whole = altered(served, "latency", **unknown, token_latency_reason="not_streamed")
    assert list(differences(tmp_path, whole)) == []


ALTERED = {
    "tokens": {"output": 999},
    "window": {"start_monotonic_s": 1006.1},
    "drift": {"throughput_relative": 0.001},
    "warmup": {"bound": 0.0123},
    "energy": {"loaded_idle_power_watts": 40.0},
    "environment": {"device_uuids": []},
}


@pytest.mark.parametrize("part", ALTERED)
def test_another_value_is_named_with_the_one_that_raw_data_give(measured, tmp_path, part):
    ((name, value),) = ALTERED[part].items()
    stated = value if isinstance(value, list) else f"{value:.9g}"
    found = list(differences(tmp_path, altered(measured, part, **ALTERED[part])))
    assert any(f" {part}.{name} " in s and s.endswith(f"records {stated}") for s in found), found


def test_a_flag_must_follow_and_must_not_be_taken_away(measured, tmp_path):
    def with_flags(*codes: str) -> Result:
        flags = [Flag(code=code, message="so it is") for code in codes]
        return measured.model_copy(update={"flags": flags})

    kept = [flag.code for flag in measured.flags]
    (found,) = differences(tmp_path, with_flags(*kept, "power_capped"))
    assert found == "nothing in it raises its flag power_capped"
    assert list(differences(tmp_path, with_flags(*kept, "idle_not_settled"))) == []
    plain = make_result(metered=True, protocol=PROTOCOL_VERSION)
    longer = plain.spec | {"measurement": MEASUREMENT | {"minimum_duration_s": 60.0}}
    short = with_numbers(tmp_path, plain.model_copy(update={"spec": longer}))
    (found,) = differences(tmp_path, short.model_copy(update={"flags": []}))
    assert found == "it lacks the flag short_window"


def test_raw_data_cannot_be_left_out(measured, tmp_path):
    assert list(differences(tmp_path, measured.model_copy(update={"side_files": {}}))) == [
        "it has a window without requests",
        "it has an energy without a power series",
    ]


def test_requests_of_a_closed_loop_are_counted_inside_its_window(measured, tmp_path):
    def closed(result: Result) -> Result:
        return altered(result, "window", waves=None, passes=None).model_copy(
            update={"load_mode": "closed"}
        )

    found = list(differences(tmp_path, closed(measured)))
    assert not any(" tokens." in line or " latency." in line for line in found)
    later = closed(altered(measured, "window", start_monotonic_s=1007.0))
    assert any(" tokens.output " in line for line in differences(tmp_path, later))


@pytest.fixture
def constantly(tmp_path):
    """A result of an earlier protocol that states the energy of 10 s at 300 W."""
    plain = make_result(metered=True)
    spans = phases(load=(0.0, 1.0), idle=(1.0, 5.0), warmup=(5.0, 10.0), window=(10.0, 20.0))
    account = account_energy(series_of(constant(300.0)), spans, plain.tokens, scope="gpu_board")
    changed = plain.model_copy(update={"phases": spans, "energy": account.energy})
    return with_series(changed, tmp_path, constant(300.0))


def with_series(result, folder, power, **options):
    file = write_series(folder, "series/other.parquet", series_of(power, **options))
    return result.model_copy(update={"side_files": {"series": file}})


def test_the_energy_of_an_earlier_protocol_follows_too(constantly, tmp_path):
    assert constantly.energy.energy_joules == pytest.approx(3000.0)
    assert list(differences(tmp_path, constantly)) == []


def test_another_energy_does_not(constantly, tmp_path):
    (found,) = differences(tmp_path, altered(constantly, "energy", energy_joules=2900.0))
    assert found == "its power series gives 3000 J, it records 2900 J"


def test_an_energy_that_should_be_missing_is_reported(constantly, tmp_path):
    """Nobody idles at more power than under load: such an energy is not used."""
    (found,) = differences(
        tmp_path, with_series(constantly, tmp_path, lambda t: 900.0 if t < 5 else 300.0)
    )
    assert found == "its power series gives no energy (mean_power_below_idle), it records 3000 J"


def test_a_window_left_unread_on_purpose_has_no_energy(constantly, tmp_path):
    unread = with_series(constantly, tmp_path, constant(300.0), end=10.0)
    changed = altered(unread, "energy", energy_joules=None, reason="sampler_off")
    assert list(differences(tmp_path, changed)) == []
