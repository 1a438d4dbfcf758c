"""Power of a chassis by IPMI: what ipmitool 1.8.18 and 1.8.19 print, and a tool that hangs."""

import os
from pathlib import Path

import pytest
from tests.children import running

from llm_energy.power import ipmi
from llm_energy.power.chassis import NO_POWER, REFUSED, UNREACHABLE, ChassisError
from llm_energy.power.ipmi import IpmiChassis, parsed

READING = """
    Instantaneous power reading:                   195 Watts
    Minimum during sampling period:                188 Watts
    Maximum during sampling period:               1940 Watts
    Average power reading over sample period:      194 Watts
    IPMI timestamp:                           {time}Sampling period:                          00000005 Seconds.
    Power reading state is:                   {state}


"""  # noqa: E501 - as it is printed
OLDER, NEWER = "Thu Jan  1 00:00:00 1970\n    ", "08/28/26 07:12:06 UTC    "
"""1.8.18 ends the line of the time; 1.8.19 does not."""

NO_DEVICE = (
    "Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: No such file or "
    "directory\n"
)
NO_DCMI = "\n    DCMI request failed because: Invalid data field in request (cc)\n"


@pytest.mark.parametrize("time", [OLDER, NEWER])
def test_the_instantaneous_power_is_read(time: str) -> None:
    power = parsed(READING.format(time=time, state="activated"), "")
    assert (power.watts, power.joules) == (195.0, None)


@pytest.mark.parametrize("time", [OLDER, NEWER])
def test_a_reading_that_is_not_taken_is_none(time: str) -> None:
    with pytest.raises(ChassisError, match="is deactivated: activate it there, or use `redfish`"):
        parsed(READING.format(time=time, state="deactivated"), "")


@pytest.mark.parametrize(
    ("output", "errors", "exists", "reason", "words"),
    [
        ("", NO_DEVICE, False, UNREACHABLE, "there is no /dev/ipmi0: load its driver"),
        ("", NO_DEVICE.replace("No such", "X"), True, REFUSED, "only root may open it"),
        (NO_DCMI, "", True, NO_POWER, "Invalid data field in request"),
        ("", "", True, NO_POWER, "gives no power: nothing"),
    ],
)
def test_messages_of_the_tool_become_one_line(
    output: str,
    errors: str,
    exists: bool,
    reason: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: exists)
    with pytest.raises(ChassisError) as caught:
        parsed(output, errors)
    assert caught.value.reason == reason
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def tool(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "ipmitool"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_tool_is_asked_for_dcmi_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = READING.format(time=NEWER, state="activated")
    script = f'[ "$*" = "dcmi power reading" ] && cat <<"END"\n{text}\nEND'
    tool(tmp_path, script, monkeypatch)
    assert IpmiChassis.open().power().watts == 195.0


def test_a_tool_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipmi, "ANSWER_S", 0.2)
    os.mkfifo(tmp_path / "silence")
    tool(tmp_path, f"read -r line < {tmp_path}/silence", monkeypatch)
    with pytest.raises(ChassisError, match=r"did not answer within 0\.2 s") as caught:
        IpmiChassis.open()
    assert caught.value.reason == UNREACHABLE
    assert not running(f"{tmp_path}/ipmitool")


def test_without_the_tool_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ChassisError, match="install the package ipmitool"):
        IpmiChassis.open()
