"""Two sensors of one device: what is its nature, and what is one result's."""

import math
from dataclasses import replace
from itertools import accumulate

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result
from tests.llm_energy.power.made_power import GPU, phases, reading, series_of

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.counter_ratios import device_ratios
from llm_energy.power.accounting import account_energy
from llm_energy.power.series import Series
from llm_energy.results.energy import DeviceEnergy


def result(cycle, *devices):
    plain = make_results.make_result(cycle=cycle, metered=True)
    return plain.model_copy(
        update={"energy": plain.energy.model_copy(update={"devices": list(devices)})}
    )


def device(ratio, *, name="GPU-1", update_period_s=0.02, instant=1000.0):
    counter = None if ratio is None else ratio * instant
    return DeviceEnergy(
        device=name,
        scope="gpu_board",
        energy_joules=counter,
        reason=None,
        counter_joules=counter,
        integrated_instant_joules=instant,
        integrated_average_joules=None,
        update_period_s=update_period_s,
    )


def test_a_stable_offset_is_one_warning_and_no_results_flag():
    results = [result(cycle, device(0.84)) for cycle in (1, 2, 3)]
    (found,) = device_ratios(results)
    assert found.median_ratio == pytest.approx(0.84)
    assert (found.count, found.warning, found.deviating) == (3, True, ())


def test_what_they_do_while_idle_stands_beside_it():
    idle = device(1.0).model_copy(update={"counter_over_instant_idle": 0.7})
    (found,) = device_ratios([result(1, device(1.0)), result(2, idle), result(3, idle)])
    assert (found.median_ratio, found.median_ratio_idle) == (1.0, 0.7)
    assert not found.warning
    assert device_ratios([result(1, device(1.0))])[0].median_ratio_idle is None


@pytest.mark.parametrize(
    ("idle", "gain_alone", "words"),
    [
        (1.21, True, "At loaded idle it reads +21.0%, as with a gain"),
        (2.0, False, "one sensor may hold watts of other parts, and ratios between experiments"),
        (None, None, "if it is a gain, but do if one sensor holds watts of other parts"),
    ],
)
def test_only_a_gain_leaves_ratios_as_they_are(tmp_path, idle, gain_alone, words):
    seen = device(1.2).model_copy(update={"counter_over_instant_idle": idle})
    results = [result(cycle, seen) for cycle in (1, 2)]
    (found,) = device_ratios(results)
    assert found.gain_alone is gain_alone
    for one in results:
        put_result(tmp_path / make_results.path_of(one), one)
    planned = [make_results.path_of(one) for one in results]
    (sensors,) = aggregate(tmp_path, planned=planned, design=make_results.design()).findings.devices
    assert words in sensors.warning


def test_sensors_that_agree_are_no_warning():
    (found,) = device_ratios([result(1, device(1.02)), result(2, device(1.02))])
    assert not found.warning


def test_a_result_that_leaves_its_devices_median_is_named():
    results = [result(1, device(1.0)), result(2, device(1.0)), result(3, device(1.05))]
    (found,) = device_ratios(results)
    assert found.deviating == ((results[2], pytest.approx(0.05)),)


def test_a_slow_sensor_may_leave_it_further():
    # Windows of make_results last over 3 s: 2 · 0.1 / 3 = 6 %.
    results = [result(cycle, device(1.0, update_period_s=0.1)) for cycle in (1, 2)]
    results.append(result(3, device(1.05, update_period_s=0.1)))
    assert device_ratios(results)[0].deviating == ()


def test_each_device_has_its_own_median():
    results = [result(cycle, device(0.8), device(1.1, name="GPU-2")) for cycle in (1, 2)]
    medians = {found.device: found.median_ratio for found in device_ratios(results)}
    assert medians == pytest.approx({"GPU-1": 0.8, "GPU-2": 1.1})


def test_a_device_with_one_sensor_has_no_ratio():
    assert device_ratios([result(1, device(None)), result(2, device(1.0, instant=0.0))]) == []


class TestACampaignWhoseCounterReadsTooLittle:
    """Two experiments × three cycles, whose energies come from series of known power."""

    spans = phases(idle=(4, 9), window=(14.03, 24.03))

    def summary(self, folder, *, gain, odd_gain=None):
        planned = []
        for position, (name, watts) in enumerate((("base", 400.0), ("other", 600.0)) * 3):
            plain = make_results.make_result(
                name, cycle=position // 2 + 1, position=position, settings={"dtype": name}
            )
            odd = odd_gain is not None and position == 5
            series = series_of(
                lambda t, base=watts + position % 3: base + (t % 1),
                counter_gain=odd_gain if odd else gain,
            )
            energy = account_energy(series, self.spans, plain.tokens).energy
            planned.append(make_results.path_of(plain))
            result = plain.model_copy(update={"energy": energy})
            put_result(folder / planned[-1], result)
        design = make_results.design(reference="base")
        return aggregate(folder, planned=planned, design=design)

    def findings(self, folder, **gains):
        return self.summary(folder, **gains).findings

    def test_it_is_one_warning_of_the_device_and_no_ratio_between_experiments_changes(
        self, tmp_path
    ):
        true, low = (self.findings(tmp_path / str(gain), gain=gain) for gain in (1.0, 0.84))
        assert [device.warning for device in true.devices] == [None]
        (device,) = low.devices
        assert (device.device, device.windows, device.deviating) == ("GPU-1", 6, 0)
        assert device.median_ratio == pytest.approx(0.84, rel=0.01)
        assert device.median_ratio_idle == pytest.approx(0.84, rel=0.02)
        assert "-16" in device.warning
        assert [use.code for use in low.flags] == []
        metric = "joules_per_output_token"
        for one, other in zip(true.comparisons, low.comparisons, strict=True):
            assert one.metric == other.metric
            assert other.ratio == pytest.approx(one.ratio, rel=1e-6)
            assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-6)
        assert metric in {comparison.metric for comparison in low.comparisons}

    def test_a_result_whose_ratio_deviates_is_flagged_in_the_table(self, tmp_path):
        findings = self.findings(tmp_path, gain=1.0, odd_gain=0.9)
        (use,) = findings.flags
        assert (use.code, use.measurements) == ("ratio_deviates", 1)
        assert "GPU-1: -10" in use.example
        assert use.meaning
        assert findings.devices[0].deviating == 1

    @pytest.mark.parametrize(("gain", "limit"), [(1.0, 0.05), (0.84, 0.19), (1.2, 0.167)])
    def test_joules_are_quoted_no_surer_than_the_sensors_agree(self, tmp_path, gain, limit):
        table = self.summary(tmp_path, gain=gain).experiments
        row = table[table["metric"] == "joules_per_output_token"].iloc[0]
        offset = 5.0 / (400.0 * gain)
        half_width = (row["total_high"] - row["total_low"]) / 2 / row["mean"]
        repeated = (row["t_high"] - row["t_low"]) / 2 / row["mean"]
        assert half_width == pytest.approx(math.hypot(limit + offset, repeated), rel=0.05)


@pytest.mark.parametrize(("uncertainty", "deviates"), [(None, 1), (0.01, 1), (0.02, 0)])
def test_a_ratio_that_is_not_well_known_leaves_the_median_by_more(uncertainty, deviates):
    seen = device(1.05).model_copy(update={"counter_over_instant_uncertainty": uncertainty})
    results = [result(1, device(1.0)), result(2, device(1.0)), result(3, seen)]
    assert len(device_ratios(results)[0].deviating) == deviates


def read_each_second(power):
    """A true counter and instant power, read each second for 30 s."""
    fine_s = [0.01 * n for n in range(3001)]
    counter = [0.01 * joules for joules in accumulate(map(power, fine_s))]
    readings = tuple(
        reading(fine_s[n], energy_counter_joules=counter[n], instant_power_watts=power(fine_s[n]))
        for n in range(0, 3001, 100)
    )
    return Series((replace(GPU, counter_update_s=0.02),), readings, 1.0)


def test_waves_that_are_read_each_second_do_not_deviate():
    """The integral over waves scatters by several percent, and its uncertainty says so."""
    results = []
    for cycle in range(1, 9):

        def waves(time_s, phase=0.77 * cycle):
            return 600.0 if math.sin(2.1 * time_s + phase) > 0.3 else 300.0

        account = account_energy(read_each_second(waves), phases(window=(4.03, 24.03)), None)
        results.append(result(cycle, *account.energy.devices))
    (found,) = device_ratios(results)
    ratios = [one.energy.devices[0].counter_over_instant for one in results]
    assert sum(abs(ratio / found.median_ratio - 1.0) > 0.01 for ratio in ratios) >= 2
    assert found.deviating == ()
