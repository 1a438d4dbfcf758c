"""Power of this host's chassis by IPMI: DCMI's power reading, through the tool ipmitool."""

import os
import re
import subprocess
from pathlib import Path

from llm_energy.power.chassis import (
    ANSWER_S,
    NO_POWER,
    REFUSED,
    UNREACHABLE,
    ChassisError,
    ChassisFacts,
    ChassisPower,
)

COMMAND = ("ipmitool", "dcmi", "power", "reading")

WATTS = re.compile(r"^\s*Instantaneous power reading\s*:\s*(\d+)\s+Watts", re.MULTILINE)
STATE = re.compile(r"Power reading state is\s*:\s*(\w+)")

READABLE = (
    "only root may open it, so let a group of yours do so "
    "(`sudo chgrp GROUP /dev/ipmi0 && sudo chmod g+rw /dev/ipmi0`, or a rule for udev)"
)

DRIVER = "load its driver (`sudo modprobe ipmi_devintf ipmi_si`); virtual machines have none"


class IpmiChassis:
    """The chassis of this host."""

    about = ChassisFacts("chassis of this host, by IPMI DCMI")

    @classmethod
    def open(cls) -> "IpmiChassis":
        """Return the chassis once it gave its power.

        Raises:
            ChassisError: it does not.
        """
        chassis = cls()
        chassis.power()
        return chassis

    def power(self) -> ChassisPower:
        try:
            done = subprocess.run(
                COMMAND,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=ANSWER_S,
                env={**os.environ, "LC_ALL": "C"},
                check=False,
            )
        except FileNotFoundError:
            message = "ipmitool is not installed; install the package ipmitool"
            raise ChassisError(UNREACHABLE, message) from None
        except subprocess.TimeoutExpired:
            message = f"ipmitool did not answer within {ANSWER_S:g} s"
            raise ChassisError(UNREACHABLE, message) from None
        except OSError as error:
            raise ChassisError(UNREACHABLE, f"ipmitool does not start: {error}") from error
        return parsed(done.stdout, done.stderr)


def parsed(output: str, errors: str) -> ChassisPower:
    """Return the power that ipmitool printed.

    Raises:
        ChassisError: it printed none, or that the controller does not measure.
    """
    found, state = WATTS.search(output), STATE.search(output)
    if found is None:
        words = " ".join(f"{errors} {output}".split()) or "nothing"
        if "Could not open device" in words:
            if Path("/dev/ipmi0").exists():
                raise ChassisError(REFUSED, f"/dev/ipmi0 cannot be opened: {READABLE}")
            raise ChassisError(UNREACHABLE, f"there is no /dev/ipmi0: {DRIVER}")
        raise ChassisError(NO_POWER, f"ipmitool gives no power: {words[:300]}")
    if state is not None and state[1] != "activated":
        message = f"its power reading is {state[1]}: activate it there, or use `redfish`"
        raise ChassisError(NO_POWER, message)
    return ChassisPower(float(found[1]))
