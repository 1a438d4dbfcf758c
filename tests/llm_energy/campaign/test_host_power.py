"""The controller of the machine in a campaign: how it is declared, and what it never changes."""

import copy
from pathlib import Path

import pytest
from tests.llm_energy.make_campaigns import BASE, load, mistakes, specs

from llm_energy.measurement.job import ExperimentRecord
from llm_energy.power.chassis import HostPowerSource
from llm_energy.runs.run import Run

FORM = "must be like https://HOST or https://HOST:PORT, without user, password and path"


def with_host_power(declared):
    measurement = {} if declared is None else {"host_power": declared}
    return copy.deepcopy(BASE) | {"measurement": measurement}


def record_of(root, declared):
    campaign = load(root, with_host_power(declared))
    return ExperimentRecord.of(campaign, campaign.experiments[0])


def test_it_is_no_part_of_what_is_measured(root):
    for declared in ("ipmi", {"redfish": "https://bmc7.example"}, None):
        assert specs(load(root, with_host_power(declared))) == specs(load(root, BASE))


def test_a_job_reads_where_it_is(root, tmp_path):
    declared = {"redfish": "https://bmc7.example:8443", "chassis": "1U", "ca_file": "bmc.pem"}
    record = record_of(root, declared)
    assert record.host_power == HostPowerSource(
        "https://bmc7.example:8443", "1U", str(Path("bmc.pem").absolute())
    )
    Run(tmp_path).write("e", record)
    assert Run(tmp_path).read("e", ExperimentRecord) == record
    assert record_of(root, "ipmi").host_power == HostPowerSource()
    assert record_of(root, None).host_power is None


@pytest.mark.parametrize(
    "address", ["https://bmc7", "https://[fe80::1]:443/", "http://127.0.0.1:80", "http://[::1]"]
)
def test_addresses_of_services(root, address):
    assert mistakes(root, with_host_power({"redfish": address})) == []


@pytest.mark.parametrize(
    "address",
    [
        "https://operator:s3cret@bmc7.example",
        "http://bmc7.example/s3cret",  # the password would be sent in clear
        "https://bmc7.example/redfish/v1?s3cret",
        "bmc7.s3cret",
        "http://127.0.0.1.s3cret.example",
    ],
)
def test_an_address_that_may_hold_a_password_is_not_repeated(root, address):
    (message,) = mistakes(root, with_host_power({"redfish": address}))
    assert message.startswith(f"measurement.host_power.redfish: {FORM}")
    assert "s3cret" not in message


@pytest.mark.parametrize("declared", ["redfish", 7, True, ["ipmi"]])
def test_anything_else_is_told_both_ways(root, declared):
    (message,) = mistakes(root, with_host_power(declared))
    assert "must be `ipmi`, or {redfish: https://HOST}" in message


def test_a_misspelt_key_is_named(root):
    (message,) = mistakes(root, with_host_power({"redfish": "https://bmc7", "chasis": "1U"}))
    assert "did you mean chassis?" in message
