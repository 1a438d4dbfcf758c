"""Numbers as people read them: as many digits as the interval supports, and true minus signs."""

import math
import re
from typing import Any

PLAIN_DIGITS = 3
"""Significant digits where no interval says how many are known."""

INTERVAL_DIGITS = 2
"""Significant digits of a half width; the value is given to the same decimal place."""

MOST_DIGITS = 6
"""However narrow the interval, a value is given with no more significant digits than that."""


def decimals_for(value: float, half_width: float | None) -> int:
    """Decimal places for `value`, from its half width where there is one."""
    if not half_width:
        return _decimals(value, PLAIN_DIGITS)
    return min(_decimals(half_width, INTERVAL_DIGITS), _decimals(value, MOST_DIGITS))


def number(value: float, half_width: float | None = None) -> str:
    """`41.27` with half width 0.31 -> `41.27`; without -> `41.3`; thousands set apart."""
    return fixed(value, decimals_for(value, half_width))


def fixed(value: float, decimals: int) -> str:
    """`value` with `decimals` places; narrow no-break spaces between thousands."""
    text = f"{value:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if float(f"{value:.{decimals}f}") == 0:
        text = text.removeprefix("-")
    return text.replace("-", "\N{MINUS SIGN}")


def interval(low: float, high: float) -> str:
    """`40.9 to 41.6`, to the decimals that the width supports."""
    decimals = decimals_for(max(abs(low), abs(high)), (high - low) / 2)
    return f"{fixed(low, decimals)} to {fixed(high, decimals)}"


def percent(ratio: float, decimals: int = 1) -> str:
    """0.0123 -> `1.2 %`."""
    return f"{fixed(100 * ratio, decimals)}\N{NO-BREAK SPACE}%"


def plural(count: int, noun: str) -> str:
    """`1 cycle`, `3 cycles`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def setting_label(setting: str, value: Any) -> str:
    """`batch size 4`, from the setting `batch_size`; empty where the value is missing."""
    import pandas as pd  # here, because whoever formats a size alone must not pay for it

    if pd.isna(value):
        return ""
    own = re.sub(r"\.(of_default|from|to)$", "", setting)
    name = own.rpartition(".")[2] + setting.removeprefix(own).replace(".", " ")
    name = name.replace("_", " ")
    return f"{name} {exact(value)}" if isinstance(value, int | float) else f"{name} {value}"


def setting_text(value: Any) -> str:
    """Return the value of a setting as a campaign file has it: `2`, `0.5`, `true`, `poisson`."""
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return exact(value) if isinstance(value, int | float) else str(value)


def exact(value: float) -> str:
    """A setting, or a place on an axis, as somebody wrote it: `1048576`, `0.5`; never rounded."""
    return f"{value:.15g}"


def gigabytes(size_bytes: float) -> str:
    """`98 MB`, `1.5 GB`, `81 GB`: 10^6 and 10^9 bytes, as disks and weights are counted."""
    if size_bytes < 0.9995e9:
        return f"{size_bytes / 1e6:.0f} MB"
    return f"{size_bytes / 1e9:.{0 if size_bytes >= 99.5e9 else 1}f} GB"


def _decimals(value: float, digits: int) -> int:
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
