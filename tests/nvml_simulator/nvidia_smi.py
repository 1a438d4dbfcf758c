"""A stand-in for nvidia-smi: reads NVML, the simulated one too, and prints the real tool's CSV.

`install` makes it an executable of that name. Options as in nvidia-smi(1): `--query-gpu=FIELDS`
and `--format=csv`, and `-lms N` to go on every N ms. Without a driver it says what the tool says.
"""

import sys
import time
from datetime import datetime
from pathlib import Path

FIELDS = {"power.draw.instant": 186, "power.draw.average": 185}
NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."


def install(folder: Path) -> Path:
    """Put the tool into a folder; returns the folder, for PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
    tool.chmod(0o755)
    return folder


def value(nvml, handle, field: str) -> str:
    if field == "timestamp":
        return datetime.now().strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]  # noqa: DTZ005 - as it does
    if field == "uuid":
        return str(nvml.nvmlDeviceGetUUID(handle))
    (found,) = nvml.nvmlDeviceGetFieldValues(handle, [FIELDS[field]])
    return f"{found.value.uiVal / 1e3:.2f} W" if found.nvmlReturn == 0 else "[N/A]"


def main(arguments: list[str]) -> int:
    import pynvml

    (fields,) = [a.partition("=")[2].split(",") for a in arguments if a.startswith("--query-gpu=")]
    if unknown := [f for f in fields if f not in (*FIELDS, "timestamp", "uuid")]:
        print(f'Field "{unknown[0]}" is not a valid field to query.')
        return 2
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        print(NO_DRIVER)
        return 9
    handles = [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
    print(", ".join(f"{f} [W]" if f in FIELDS else f for f in fields), flush=True)
    period_s = int(arguments[arguments.index("-lms") + 1]) / 1e3 if "-lms" in arguments else None
    while True:
        for handle in handles:
            print(", ".join(value(pynvml, handle, f) for f in fields), flush=True)
        if period_s is None:
            return 0
        time.sleep(period_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
