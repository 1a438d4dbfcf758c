"""From a series to the energy of a result: known answers and scope."""

import dataclasses
import math

import pytest
from tests.llm_energy.power.made_energy import OTHER, PHASES, TOKENS, energy
from tests.llm_energy.power.made_power import (
    GPU,
    PACKAGE,
    constant,
    load_of,
    phases,
    series_of,
    together,
)

from llm_energy.power.accounting import account_energy
from llm_energy.power.meter import Device
from llm_energy.results.parts import Tokens

MEMORY = dataclasses.replace(PACKAGE, id="package-0/dram", scope="dram")
PLATFORM = dataclasses.replace(PACKAGE, id="psys", scope="platform")


class TestKnownAnswers:
    def test_600_w_for_10_s_above_an_idle_of_100_w(self):
        found = energy(series_of(load_of(600.0)))
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.mean_power_watts == pytest.approx(600.0)
        assert found.loaded_idle_power_watts == pytest.approx(100.0)
        assert found.energy_above_loaded_idle_joules == pytest.approx(5000.0)
        assert found.joules_per_output_token == pytest.approx(6.0)
        assert found.joules_per_token == pytest.approx(4.0)
        assert found.joules_per_request == pytest.approx(600.0)
        assert found.output_tokens_per_joule == pytest.approx(1 / 6.0)
        assert found.load_energy_joules == pytest.approx(200.0)
        assert found.warmup_energy_joules == pytest.approx(1800.0)
        assert (found.method, found.scope, found.reason) == ("counter", "gpu_board", None)

    @pytest.mark.parametrize("method", ["counter", "integrated_instant"])
    def test_one_method_serves_window_and_baseline(self, method):
        series = series_of(load_of(600.0), counter_gain=0.84)
        found = energy(series, method=method)
        gain = 0.84 if method == "counter" else 1.0
        assert found.energy_joules == pytest.approx(gain * 6000.0)
        assert found.loaded_idle_power_watts == pytest.approx(gain * 100.0)

    def test_every_source_stands_beside_the_chosen_one(self):
        (device,) = energy(series_of(load_of(600.0), counter_gain=0.84)).devices
        assert device.counter_joules == pytest.approx(5040.0)
        assert device.integrated_instant_joules == pytest.approx(6000.0)
        assert device.integrated_average_joules is None
        assert device.energy_joules == device.counter_joules
        assert device.update_period_s == pytest.approx(0.1)

    def test_a_wrong_gain_leaves_ratios_as_they_are(self):
        def joules(watts, gain):
            return energy(series_of(load_of(watts), counter_gain=gain)).energy_joules

        ratio = joules(600.0, 1.0) / joules(400.0, 1.0)
        assert joules(600.0, 0.84) / joules(400.0, 0.84) == pytest.approx(ratio, rel=1e-6)

    def test_gross_energy_ranks_and_energy_above_idle_may_say_the_opposite(self):
        slow = energy(
            series_of(load_of(300.0, idle=120.0)), tokens=Tokens(input=0, output=1000, requests=1)
        )
        fast = energy(
            series_of(load_of(500.0, idle=120.0)), tokens=Tokens(input=0, output=2000, requests=1)
        )
        assert slow.joules_per_output_token == pytest.approx(3.0)
        assert fast.joules_per_output_token == pytest.approx(2.5)
        assert slow.energy_above_loaded_idle_joules / 1000 == pytest.approx(1.8)
        assert fast.energy_above_loaded_idle_joules / 2000 == pytest.approx(1.9)

    def test_a_ramp_drifts_by_its_thirds(self):
        ramp = series_of(lambda t: 100.0 if t < 10.0 else 500.0 + 5.0 * (t - 14.03))
        account = account_energy(ramp, PHASES, TOKENS)
        assert account.power_drift_relative == pytest.approx(0.0656, abs=2e-4)
        assert sum(account.pieces_joules) == pytest.approx(account.energy.energy_joules)
        assert account.pieces_joules[-1] / account.pieces_joules[0] - 1.0 == pytest.approx(
            0.0885, abs=1e-3
        )

    def test_the_limits_of_the_sensors_and_the_edges_are_kept(self):
        found = energy(series_of(load_of(600.0)))
        assert (found.gain_limit_relative, found.offset_limit_watts) == (0.05, 5.0)
        assert found.edge_uncertainty_joules == pytest.approx(24.495, rel=1e-4)

    def test_the_standard_error_of_the_idle_power_adds_up_over_gpus(self):
        scatter = series_of(lambda t: load_of(600.0)(t) + 5.0 * (-1) ** round(10 * t))
        one = energy(scatter).loaded_idle_standard_error_watts
        assert 0.5 < one < 5.0
        same = tuple(dataclasses.replace(r, device=OTHER.id) for r in scatter.readings)
        both = together(scatter, dataclasses.replace(scatter, devices=(OTHER,), readings=same))
        assert energy(both).loaded_idle_standard_error_watts == pytest.approx(2.0 * one)

    def test_what_lies_between_samples_of_rough_power_is_kept(self):
        rough = series_of(lambda t: load_of(600.0)(t) + 25.0 * (-1) ** round(10 * t))
        found = energy(rough, method="integrated_instant")
        expected = 0.1 * 50.0 * math.sqrt(101 / 2)
        assert found.sampling_uncertainty_joules == pytest.approx(expected, rel=1e-3)
        assert energy(rough).sampling_uncertainty_joules == 0.0

    @pytest.mark.parametrize("method", ["counter", "integrated_instant"])
    def test_the_load_that_follows_does_not_leak_into_the_baseline(self, method):
        series = series_of(load_of(600.0))
        spans = phases(idle=(4.03, 9.97), window=(14.0, 24.0))
        found = account_energy(series, spans, TOKENS, method=method).energy
        assert found.loaded_idle_power_watts == pytest.approx(100.0)

    def test_energy_above_idle_may_be_negative(self):
        # Half a watt below a baseline that scatters by several: possible, and not clamped.
        scatter = series_of(lambda t: 99.5 if t >= 10.0 else 100.0 + 5.0 * (-1) ** int(10 * t))
        found = energy(scatter)
        assert found.energy_above_loaded_idle_joules == pytest.approx(-5.0, abs=1.5)

    def test_a_third_of_which_nothing_is_known_has_no_drift(self):
        whole = series_of(load_of(600.0, idle=150.0))
        kept = tuple(r for r in whole.readings if not 15.05 < r.monotonic_s < 15.55)
        gap = dataclasses.replace(whole, readings=kept)
        account = account_energy(gap, PHASES, TOKENS, method="integrated_instant")
        assert account.energy.energy_joules == pytest.approx(6000.0)
        assert (account.power_drift_relative, account.pieces_joules) == (None, None)

    def test_less_than_a_joule_and_a_single_request_have_an_energy_of_each_too(self):
        single = Tokens(input=0, output=1, requests=1)
        found = energy(series_of(constant(0.05), device=PACKAGE), tokens=single)
        assert found.energy_joules == pytest.approx(0.5)
        assert found.joules_per_output_token == found.joules_per_request == found.energy_joules
        assert found.output_tokens_per_joule == pytest.approx(2.0)

    def test_a_window_whose_tokens_are_not_known_keeps_its_energy(self):
        found = energy(series_of(load_of(600.0)), tokens=None)
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.joules_per_token is found.joules_per_request is None


class TestScope:
    def host(self):
        return together(
            series_of(constant(10.0), device=PACKAGE),
            series_of(constant(2.0), device=MEMORY),
            series_of(constant(15.0), device=PLATFORM),
        )

    def test_package_and_memory_are_120_j_and_the_platform_stands_apart(self):
        found = energy(self.host())
        assert found.scope == "cpu_package"
        assert found.energy_joules == pytest.approx(100.0)
        assert found.gpu_cpu_dram_joules == pytest.approx(120.0)
        by_id = {device.device: device for device in found.devices}
        assert by_id["psys"].energy_joules == pytest.approx(150.0)
        assert [name for name, device in by_id.items() if device.counted] == ["package-0"]

    def test_gpu_and_host_are_never_one_scope(self):
        found = energy(together(self.host(), series_of(load_of(600.0))))
        assert found.scope == "gpu_board"
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.gpu_cpu_dram_joules == pytest.approx(6120.0)

    def test_without_memory_there_is_no_sum_over_the_host(self):
        package = series_of(constant(10.0), device=PACKAGE)
        assert energy(package).gpu_cpu_dram_joules is None

    def test_with_the_memory_of_one_of_two_packages_neither(self):
        second = dataclasses.replace(PACKAGE, id="package-1")
        host = together(self.host(), series_of(constant(10.0), device=second))
        assert energy(host).energy_joules == pytest.approx(200.0)
        assert energy(host).gpu_cpu_dram_joules is None

    def test_only_the_gpus_that_were_used_are_added_up(self):
        both = together(series_of(load_of(600.0)), series_of(load_of(400.0), device=OTHER))
        assert energy(both).energy_joules == pytest.approx(10_000.0)
        one = energy(both, gpus=["GPU-2"])
        assert one.energy_joules == pytest.approx(4000.0)
        assert [device.counted for device in one.devices] == [False, True]

    def test_the_sum_over_the_host_has_only_the_gpus_that_were_used(self):
        gpus = series_of(load_of(600.0)), series_of(load_of(400.0), device=OTHER)
        found = energy(together(self.host(), *gpus), gpus=["GPU-2"])
        assert found.gpu_cpu_dram_joules == pytest.approx(4120.0)

    def test_the_scope_may_be_requested(self):
        both = together(self.host(), series_of(load_of(600.0)))
        assert energy(both, scope="cpu_package").energy_joules == pytest.approx(100.0)

    def test_what_is_not_known_at_the_edges_adds_up_over_gpus(self):
        both = together(series_of(load_of(600.0)), series_of(load_of(600.0), device=OTHER))
        one = energy(series_of(load_of(600.0)))
        assert energy(both).edge_uncertainty_joules == pytest.approx(
            2 * one.edge_uncertainty_joules
        )

    def test_each_scope_has_limits_of_its_own(self):
        assert energy(self.host()).offset_limit_watts == 0.0

    def test_a_simulated_sensor_marks_the_energy(self):
        simulated = dataclasses.replace(GPU, simulated=True)
        assert energy(series_of(load_of(600.0), device=simulated)).simulated
        assert not energy(series_of(load_of(600.0))).simulated


class TestSensorsOfTheHost:
    """Devices outside of the campaign's scope, each read by the source that it has."""

    def test_a_meter_of_average_power_is_no_part_of_a_campaign_that_counts_joules(self):
        machine = Device("hwmon:machine", "Made meter", "chassis", averaging_s=1.0)
        averages = series_of(load_of(1500.0, idle=700.0), device=machine)
        averages = dataclasses.replace(averages, readings=tuple(map(as_average, averages.readings)))
        found = energy(together(averages, series_of(load_of(600.0))))
        assert (found.scope, found.method) == ("gpu_board", "counter")
        assert found.energy_joules == pytest.approx(6000.0)
        (meter,) = (device for device in found.devices if device.scope == "chassis")
        assert (meter.counted, meter.method) == (False, "integrated_average")
        assert meter.energy_joules == pytest.approx(15_000.0)
        assert meter.update_period_s == 1.0

    def test_an_average_over_more_than_a_tenth_of_the_window_is_none_of_its_energy(self):
        machine = Device("hwmon:machine", "Made meter", "chassis", averaging_s=1.1)
        averages = series_of(load_of(1500.0, idle=700.0), device=machine)
        averages = dataclasses.replace(averages, readings=tuple(map(as_average, averages.readings)))
        found = energy(together(averages, series_of(load_of(600.0))))
        assert (found.host.energy_joules, found.host.reason) == (None, "few_updates")

    def test_the_rails_of_a_board_are_listed_and_never_added_up(self):
        rails = [
            series_of(constant(watts), device=dataclasses.replace(PACKAGE, id=name, scope="rail"))
            for name, watts in (("VDD_CPU", 5.0), ("VDD_SOC", 3.0))
        ]
        found = energy(together(*rails), scope="rail")
        assert (found.energy_joules, found.reason) == (None, "scopes_overlap")
        assert [d.energy_joules for d in found.devices] == pytest.approx([50.0, 30.0])

    def test_a_counter_of_packages_serves_where_the_campaign_integrates_power(self):
        package, memory = (
            dataclasses.replace(series, readings=tuple(map(counter_alone, series.readings)))
            for series in (
                series_of(constant(10.0), device=PACKAGE),
                series_of(constant(2.0), device=MEMORY),
            )
        )
        both = together(package, memory, series_of(load_of(600.0)))
        found = account_energy(both, PHASES, TOKENS, method="integrated_instant").energy
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.gpu_cpu_dram_joules == pytest.approx(6120.0)


def as_average(reading):
    watts = reading.instant_power_watts
    return dataclasses.replace(
        reading, average_power_watts=watts, instant_power_watts=None, energy_counter_joules=None
    )


def counter_alone(reading):
    return dataclasses.replace(reading, instant_power_watts=None)
