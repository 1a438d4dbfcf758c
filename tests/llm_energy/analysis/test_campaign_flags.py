"""Flags that depend on the campaign's margin: they are raised in the analysis alone."""

import pytest
from tests.llm_energy.make_results import make_result

from llm_energy.analysis.campaign_flags import with_campaign_flags
from llm_energy.results.parts import PowerSteadiness


def result(*, protocol=3, power=None, metered=False, **judged):
    plain = make_result(metered=metered, protocol=protocol)
    judged |= {"power": PowerSteadiness(**power) if power else None}
    return plain.model_copy(update={"warmup": plain.warmup.model_copy(update=judged)})


def messages(*args, margin=0.02, **kwargs):
    (flagged,) = with_campaign_flags([result(*args, **kwargs)], [], margin=margin)
    return [flag.message for flag in flagged.flags if flag.code == "not_steady"]


def test_a_bound_above_the_margin_is_flagged_with_the_bound():
    assert messages(verdict="steady", bound=0.034) == ["throughput: bias up to 3.4% (margin 2.0%)"]
    assert messages(verdict="steady", bound=0.02) == []


def test_another_margin_needs_no_other_measurement():
    assert messages(verdict="steady", bound=0.034, margin=0.04) == []
    assert messages(verdict="steady", bound=0.02, margin=0.01) != []


@pytest.mark.parametrize("verdict", ["no_drift_seen", "undecided"])
def test_a_short_warm_up_is_flagged_only_where_a_drift_was_seen(verdict):
    assert messages(verdict=verdict, bound=0.2) == []
    assert messages(verdict="drift_seen", bound=0.2) == [
        "throughput: drift seen, bias up to 20.0% (margin 2.0%)"
    ]


def test_a_window_without_a_bound_is_never_kept_silently():
    assert messages(verdict="too_few_waves", bound=None) == [
        "throughput: too few waves to bound its bias (margin 2.0%)"
    ]


def test_power_is_judged_as_well():
    power = {"verdict": "not_steady", "bound": 0.061}
    judged = {"verdict": "steady", "bound": 0.03}
    assert messages(metered=True, power=power, **judged) == [
        "throughput: bias up to 3.0%; power: bias up to 6.1% (margin 2.0%)"
    ]
    assert messages(power=power, verdict="steady", bound=0.01) == []


def test_bounds_of_earlier_protocols_are_other_bounds():
    assert messages(protocol=2, verdict="not_steady", bound=0.5) == []


def under(cycle, variables):
    plain = make_result(cycle=cycle, position=cycle)
    environment = plain.environment.model_copy(update={"variables": variables})
    return plain.model_copy(update={"environment": environment})


def test_results_under_other_variables_are_flagged_with_what_differs():
    usual = {"KMP_BLOCKTIME": "0", "OMP_NUM_THREADS": "2"}
    results = [under(4, {"OMP_NUM_THREADS": "4"}), under(1, None), under(2, usual), under(3, usual)]
    flagged = with_campaign_flags(results, [], margin=0.02)
    found = [[f.message for f in r.flags if f.code == "other_variables"] for r in flagged]
    assert found[1:] == [[], [], []]
    (message,) = found[0]
    assert message.startswith("KMP_BLOCKTIME is not set, there 0; OMP_NUM_THREADS is 4, there 2 (")
    assert message.endswith(" cycle 2)")


def test_another_choice_of_gpus_is_no_other_work():
    results = [under(cycle, {"CUDA_VISIBLE_DEVICES": str(cycle)}) for cycle in (1, 2)]
    flagged = with_campaign_flags(results, [], margin=0.02)
    assert [f for r in flagged for f in r.flags if f.code == "other_variables"] == []


def test_where_no_variables_are_known_none_differ():
    results = with_campaign_flags([under(1, None), under(2, None)], [], margin=0.02)
    assert [f for r in results for f in r.flags if f.code == "other_variables"] == []


def test_cycles_on_another_number_of_gpus_are_flagged():
    """The engine of a set takes all GPUs of it, and the sets became larger between two runs."""

    def on(cycle, *uuids):
        plain = result().model_copy(
            update={"cycle": cycle, "started": f"2026-01-01T0{cycle}:00:00.000Z"}
        )
        place = plain.environment.model_copy(update={"device_uuids": list(uuids)})
        return plain.model_copy(update={"environment": place})

    cycles = [on(3, "GPU-1", "GPU-2"), on(1, "GPU-1"), on(2, "GPU-2"), on(4)]
    flagged = with_campaign_flags(cycles, [], margin=0.02)
    found = [(r.cycle, f.message) for r in flagged for f in r.flags if f.code == "other_gpu_count"]
    assert found == [(3, "2 GPUs, cycle 1 on 1")]
