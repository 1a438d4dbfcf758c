"""Energy with the host: the widest scope that is known, and never one part twice."""

from dataclasses import replace

import pytest
from tests.llm_energy.power.made_energy import PHASES, TOKENS, energy
from tests.llm_energy.power.made_power import GPU, PACKAGE, constant, load_of, series_of, together

from llm_energy.power.accounting import account_energy, unsampled
from llm_energy.power.meter import SHARED_HOST, Device


def device(name, scope, **more):
    return Device(name, "Made sensor", scope, **more)


def drawing(name, scope, watts, **more):
    return series_of(constant(watts), device=device(name, scope, **more))


BOARD = series_of(load_of(600.0))
PACKAGES = (drawing("package-0", "cpu_package", 100.0), drawing("dram-0", "dram", 20.0))


def host(*series, **choice):
    return energy(together(*series), **choice).host


def test_gpus_packages_and_memory_are_added_up():
    found = host(BOARD, *PACKAGES)
    assert found.scope == "gpu_board + cpu_package + dram"
    assert found.energy_joules == pytest.approx(7200.0)
    assert found.devices == ["GPU-1", "package-0", "dram-0"]
    assert found.joules_per_output_token == pytest.approx(7200.0 / TOKENS.output)
    assert found.mean_power_watts == pytest.approx(720.0)
    assert found.gain_limit_relative == pytest.approx(0.05)
    assert found.offset_limit_watts == pytest.approx(5.0)


def test_a_sensor_of_the_machine_holds_them_and_is_not_added_to_them():
    found = host(BOARD, *PACKAGES, drawing("bmc", "chassis", 1100.0))
    assert (found.scope, found.devices) == ("chassis", ["bmc"])
    assert found.energy_joules == pytest.approx(11_000.0)


def test_two_sensors_of_the_machine_are_one_machine():
    found = host(BOARD, drawing("bmc", "chassis", 1100.0), drawing("acpi", "chassis", 1090.0))
    assert (found.devices, found.energy_joules) == (["bmc"], pytest.approx(11_000.0))


@pytest.mark.parametrize("scope", ["battery", "board"])
def test_two_of_what_may_be_parts_are_left_out(scope):
    two = [drawing(f"{scope}-{n}", scope, 400.0) for n in (0, 1)]
    small = series_of(load_of(300.0))
    assert host(small, two[0]).energy_joules == pytest.approx(4000.0)
    assert host(small, *two) is None
    assert host(small, *two, *PACKAGES).energy_joules == pytest.approx(4200.0)


def test_modules_hold_boards_and_sockets_and_rails_are_no_part_of_any_sum():
    rails = [
        series
        for n in (0, 1)
        for series in (
            drawing(f"module-{n}", "module", 900.0),
            drawing(f"grace-{n}", "cpu_socket", 250.0),
            drawing(f"cpu-{n}", "rail", 120.0),
            drawing(f"sysio-{n}", "rail", 40.0),
        )
    ]
    found = host(BOARD, *rails)
    assert (found.scope, found.devices) == ("module", ["module-0", "module-1"])
    assert found.energy_joules == pytest.approx(18_000.0)


def test_sockets_without_a_module_are_added_to_the_boards():
    sockets = [drawing(f"grace-{n}", "cpu_socket", 250.0) for n in (0, 1)]
    found = host(BOARD, *sockets, drawing("cpu-0", "rail", 120.0))
    assert found.scope == "gpu_board + cpu_socket"
    assert found.energy_joules == pytest.approx(11_000.0)


def test_the_platform_holds_packages_and_is_no_host_of_gpus():
    psys = drawing("psys", "platform", 150.0)
    assert host(psys, *PACKAGES).scope == "platform"
    assert host(BOARD, psys) is None
    assert host(BOARD, psys, *PACKAGES).scope == "gpu_board + cpu_package + dram"


def test_what_holds_less_than_its_parts_is_broken():
    low = drawing("bmc", "chassis", 400.0)
    alone = host(BOARD, low)
    assert (alone.energy_joules, alone.reason) == (None, "less_than_its_parts")
    assert host(BOARD, low, *PACKAGES).scope == "gpu_board + cpu_package + dram"
    near = drawing("bmc", "chassis", 580.0)  # within the limits of both sensors
    assert host(BOARD, near).energy_joules == pytest.approx(5800.0)


def test_what_did_no_work_is_inside_of_the_machine_too():
    low = drawing("bmc", "chassis", 650.0)  # of 600 W of the GPU, and 320 W of the processor
    hot = (drawing("package-0", "cpu_package", 300.0), drawing("dram-0", "dram", 20.0))
    found = host(BOARD, low, *hot)
    assert (found.scope, found.energy_joules) == (
        "gpu_board + cpu_package + dram",
        pytest.approx(9200.0),
    )


def test_one_module_of_two_is_less_than_its_parts():
    boards = [series_of(load_of(600.0), device=replace(GPU, id=f"GPU-{n}")) for n in (1, 2)]
    found = host(*boards, drawing("module-0", "module", 900.0))
    assert (found.energy_joules, found.reason) == (None, "less_than_its_parts")


@pytest.mark.parametrize("scope", ["module", "cpu_socket"])
def test_two_meters_of_one_name_are_not_added(scope):
    twice = [drawing(f"acpi-{n}", scope, 900.0, label="Power Socket 0") for n in (0, 1)]
    assert host(BOARD, *twice) is None
    assert host(BOARD, *twice, *PACKAGES).scope == "gpu_board + cpu_package + dram"


def test_a_sensor_without_energy_gives_way_to_a_narrower_scope_and_else_says_why():
    shared = drawing("bmc", "chassis", 1100.0, refusal=SHARED_HOST)
    assert host(BOARD, shared, *PACKAGES).scope == "gpu_board + cpu_package + dram"
    alone = host(BOARD, shared)
    assert (alone.scope, alone.energy_joules, alone.reason) == ("chassis", None, SHARED_HOST)


def test_without_any_sensor_of_the_host_there_is_no_such_energy():
    assert host(BOARD) is None
    assert host(series_of(constant(10.0), device=PACKAGE)) is None


def test_a_machine_is_metered_where_its_gpu_is_not():
    bare = replace(GPU, refusal="mig_enabled")
    found = energy(together(series_of(load_of(600.0), device=bare), drawing("b", "chassis", 900.0)))
    assert (found.energy_joules, found.reason) == (None, "mig_enabled")
    assert found.host.energy_joules == pytest.approx(9000.0)


def test_a_control_without_readings_has_no_energy_of_the_host_either():
    found = energy(together(BOARD, drawing("bmc", "chassis", 1100.0)))
    assert unsampled(found).host is None


def test_without_tokens_it_is_known_without_a_rate():
    series = together(BOARD, drawing("bmc", "chassis", 1100.0))
    found = account_energy(series, PHASES, None).energy.host
    assert (found.energy_joules, found.joules_per_output_token) == (pytest.approx(11_000.0), None)
