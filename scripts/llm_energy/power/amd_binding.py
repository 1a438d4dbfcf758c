"""Python's binding of AMD SMI, and what its answers mean where a value is not known."""

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

PACKAGE = "amdsmi==7.0.2"
LIBRARY_MAJOR = {7: 26}
"""Major version of a binding -> that of the library whose structures it has. The binding inside of
ROCm is numbered as its library."""

ABSENT = {"", "N/A", 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}
"""Answers of firmware that does not know a value; the binding leaves some of them as numbers."""

FIRMWARE_JOULES = 2.0**-16
"""Unit of the energy accumulator: the kernel's tables of firmware say 15.259 µJ, and AMD SMI rounds
it to 15.3 µJ, which is 0.27 % too much."""
ROUNDING = 0.005
"""A resolution that lies no further from the firmware's unit is that unit, rounded."""


class AmdSmiError(Exception):
    """There is no AMD GPU to be seen; the message says why, with the remedy."""


def connected() -> Any:
    """Return the binding, initialised.

    Raises:
        AmdSmiError: it is not installed, or finds no library or another one than it was made for.
    """
    try:
        # Without ROCm the import prints two lines and ends with a KeyError; with an older library
        # it is an AttributeError.
        with redirect_stdout(StringIO()):
            import amdsmi as smi
    except ModuleNotFoundError:
        message = f"AMD GPUs need a package: .venv/bin/pip install {PACKAGE} (docs/amd-gpus.md)"
        raise AmdSmiError(message) from None
    except Exception as error:
        raise AmdSmiError(
            f"amdsmi finds no libamd_smi.so that it fits ({error!r}); install amd-smi-lib of ROCm 7"
        ) from None
    try:
        smi.amdsmi_init()
    except Exception as error:
        raise AmdSmiError(f"AMD SMI does not start: {in_one_line(error)}") from None
    _refuse_other_library(smi)
    return smi


def number(value: Any) -> float | None:
    """Return a value of the firmware; None where it does not know it."""
    return None if value is None or value in ABSENT else float(value)


def unit_joules(resolution_microjoules: float) -> float:
    """Return the unit of the energy accumulator."""
    joules = 1e-6 * resolution_microjoules
    return FIRMWARE_JOULES if abs(joules / FIRMWARE_JOULES - 1.0) <= ROUNDING else joules


def text(value: Any) -> str | None:
    """Return a text of the driver; None where there is none."""
    return None if value is None or value in ABSENT else str(value)


def in_one_line(error: Exception) -> str:
    """Format an error of the binding, whose own text has line breaks."""
    return " ".join(str(error).split())


def _refuse_other_library(smi: Any) -> None:
    """Compare major versions: a library of another one has other structures.

    Raises:
        AmdSmiError: they do not fit.
    """
    try:
        major = smi.amdsmi_get_lib_version()["major"]
    except Exception as error:
        major = in_one_line(error)
    own = int(smi.__version__.partition(".")[0])
    if major == LIBRARY_MAJOR.get(own, own):
        return
    smi.amdsmi_shut_down()
    raise AmdSmiError(
        f"amdsmi {smi.__version__} does not fit libamd_smi.so {major}; install the one that comes "
        "with it: .venv/bin/pip install /opt/rocm/share/amd_smi"
    )
