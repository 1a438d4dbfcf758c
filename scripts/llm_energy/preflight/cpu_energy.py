"""Whether the energy of CPU and memory can be read here."""

from pathlib import Path

from llm_energy.power.rapl import POWERCAP, RaplMeter
from llm_energy.preflight.findings import Finding, Status
from llm_energy.results.energy_reasons import MEANINGS

SUBJECT = "cpu energy"


def cpu_energy_finding(*, cpu: str, needed: bool, root: Path = POWERCAP) -> Finding:
    """What RAPL says, or why it says nothing.

    Args:
        needed: whether it is all the energy that the campaign could have: it measures on the CPU.
    """
    lacking: Status = "warning" if needed else "note"
    meter = RaplMeter.open(root, cpu_model=cpu)
    if meter is None:
        empty = "every energy will be empty" if needed else "CPU energy will be empty"
        message = f"no RAPL domains in {root} (usual in virtual machines): {empty}, with its reason"
        return Finding(lacking, SUBJECT, message, {"domains": []})
    readings = [meter.read(device, slow=False) for device in meter.devices]
    facts = {"domains": [{"id": d.id, "scope": d.scope} for d in meter.devices]}
    codes = {code for reading in readings for code in reading.unavailable.values()}
    if codes:
        return Finding(lacking, SUBJECT, " ".join(MEANINGS[code] for code in sorted(codes)), facts)
    names = ", ".join(device.id for device in meter.devices)
    return Finding("ok", SUBJECT, f"RAPL can be read: {names}; it is the whole host's", facts)
