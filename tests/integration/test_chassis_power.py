"""Power of the whole chassis through the real command: its energy in the result, or the reason."""

import tarfile
from base64 import b64encode

import numpy as np
import pytest

from llm_energy.power.sources import read_sensors
from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.workflow import CAMPAIGN
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, constant
from tests.redfish_server import PASSWORD, USER, MadeChassis, RedfishServer, updating

__all__ = ["nvml_library"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

CREDENTIALS = {"REDFISH_USERNAME": USER, "REDFISH_PASSWORD": PASSWORD}
SECRETS = (PASSWORD, b64encode(f"{USER}:{PASSWORD}".encode()).decode())


def watts_at(time_s):
    """A triangle of 16 s between 900 and 1100 W."""
    return 900.0 + 200.0 * np.abs(time_s / 8.0 % 2.0 - 1.0)


def campaign(url, *, cycles=1):
    return CAMPAIGN | {
        "cycles": cycles,
        "measurement": {
            "device": "gpu",
            "minimum_duration_s": 16.0,
            "baseline_s": 0.5,
            "warmup_cap_s": 1.0,
            "tail_s": 1.0,
            "host_power": {"redfish": url},
        },
        "experiments": {"nap": {}},
        "defaults": CAMPAIGN["defaults"] | {"engine": {"sleep": {"token_s": 0.1}}},
    }


@pytest.fixture(scope="module")
def measured(tmp_path_factory, nvml_library):
    """A campaign of one measurement with its archive, on a host with one simulated GPU."""
    server = RedfishServer(**{"1U": MadeChassis(updating(watts_at, 0.5))})
    with pytest.MonkeyPatch.context() as environment:
        tree, _ = powered_tree(
            campaign(server.url),
            [Gpu(idle_watts=100.0, knots=constant(600.0))],
            tmp_path_factory.mktemp("chassis"),
            nvml_library,
            environment,
        )
        done = tree.run("archive", check=True, environment=CREDENTIALS)
        yield tree, server, done.stdout
    server.close()


def chassis_of(path):
    energy = read_result(path).energy
    (found,) = [device for device in energy.devices if device.scope == "chassis"]
    assert not found.counted
    assert energy.scope == "gpu_board"
    assert energy.energy_joules == pytest.approx(
        sum(device.energy_joules for device in energy.devices if device.counted)
    )
    return found


def test_the_result_has_the_energy_of_the_chassis(measured):
    tree, _, _ = measured
    (path,) = tree.results()
    window, chassis = read_result(path).window, chassis_of(path)
    times = np.linspace(window.start_monotonic_s, window.end_monotonic_s, 10_001)
    truth = np.trapezoid(watts_at(times), times)
    assert (chassis.reason, chassis.label) == (None, "1U")
    assert chassis.energy_joules == pytest.approx(truth, rel=0.02)
    assert chassis.update_period_s == pytest.approx(1.0, abs=0.6)
    host = read_result(path).energy.host
    assert (host.scope, host.energy_joules) == ("chassis", chassis.energy_joules)


def test_what_the_controller_can_do_is_found_once(measured):
    tree, _, _ = measured
    devices = read_sensors(tree.folder / "results/nap")["devices"]
    (name,) = [name for name in devices if name.endswith("/bmc")]
    assert devices[name]["fields"]["instant_power_watts"]["reason"] is None


def test_its_password_is_in_no_file_and_no_output(measured):
    tree, _, printed = measured
    contents = {path: path.read_bytes() for path in tree.folder.rglob("*") if path.is_file()}
    (archive,) = tree.folder.glob("results/nap/archive/*.tar.gz")
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile():
                contents[member.name] = packed.extractfile(member).read()
    assert len(contents) > 100
    for secret in SECRETS:
        assert secret not in printed
        assert [path for path, content in contents.items() if secret.encode() in content] == []


def test_preflight_reads_it_or_says_what_is_wrong(measured):
    tree, _, _ = measured
    found = tree.run("preflight", environment=CREDENTIALS).stdout
    assert "Contoso 3500RX (1U), EnvironmentMetrics, draws" in found
    refused = tree.run("preflight", environment=CREDENTIALS | {"REDFISH_PASSWORD": "other"}).stdout
    assert "refuses access (401): check REDFISH_USERNAME and REDFISH_PASSWORD" in refused


def test_without_the_controller_everything_else_is_measured(measured, tmp_path):
    """In the same campaign: where it is read from is no part of what is measured."""
    tree, _, _ = measured
    (before,) = tree.results()
    lost = tree.copy(tmp_path / "tree", campaign("http://127.0.0.1:9", cycles=2))
    lost.run(check=True, environment=CREDENTIALS)
    first, second = sorted(lost.results(), key=lambda path: read_result(path).cycle)
    assert first.read_bytes() == before.read_bytes()
    chassis = chassis_of(second)
    assert (chassis.energy_joules, chassis.reason) == (None, "bmc_unreachable")
    assert read_result(second).energy.energy_joules is not None
    assert lost.failures() == []
