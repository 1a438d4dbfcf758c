"""The controller of the machine in an allocation, which may be on any node."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from llm_energy.measurement import job_meters
from llm_energy.power.chassis import HostPowerSource

REDFISH, IPMI = HostPowerSource(redfish="https://bmc7"), HostPowerSource()


@pytest.mark.parametrize(
    ("declared", "job", "opened"),
    [
        (None, "7", None),
        (REDFISH, None, REDFISH),
        (REDFISH, "7", replace(REDFISH, elsewhere=True)),
        (IPMI, "7", IPMI),
    ],
)
def test_an_address_is_that_of_one_machine(monkeypatch, declared, job, opened):
    found = {}
    monkeypatch.setattr(job_meters, "open_meters", lambda **options: found.update(options) or ())
    facts = SimpleNamespace(cpu_model="Made CPU")
    record = SimpleNamespace(host_facts=facts, device_set=None, shares_host=False, job=job)
    experiment = SimpleNamespace(device="cpu", host_power=declared)
    assert job_meters.job_meters(SimpleNamespace(experiment=experiment), record) == ()
    assert found["host_power"] == opened
