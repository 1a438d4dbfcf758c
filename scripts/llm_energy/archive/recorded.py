"""Jobs that only Snakemake's own metadata record: the rule, times and inputs of each output.

The metadata lie in the folder where the campaign ran and are not copied: in a clone, or after
`.snakemake` was removed, there are none, and such jobs are unknown.
"""

from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_energy.archive.jobs import KINDS, STEPS, Job
from llm_energy.system.cache import CACHE
from llm_energy.system.files import DamagedError, read_object

METADATA = Path(".snakemake/metadata")
NEEDED = ("rule", "log", "input", "starttime", "endtime")
"""Keys of a record of Snakemake's; one without them counts as none."""

LONGEST = 254
"""Length of a file's name there; longer names are divided into folders."""


def recorded_jobs(
    targets: Iterable[str],
    files_of: Callable[[str], Sequence[str]],
    *,
    metadata: Path = METADATA,
) -> Iterator[Job]:
    """The jobs that made `targets`, and those that made their inputs from the cache.

    Args:
        targets: outputs as the workflow names them.
        files_of: names in the archive of what an output holds or stands for; none if it has none.
        metadata: Snakemake's folder of records.
    """
    found: dict[tuple[str, ...], dict[str, dict[str, Any]]] = defaultdict(dict)
    waiting, known = sorted(targets), set()
    while waiting:
        target = waiting.pop()
        if target in known:
            continue
        known.add(target)
        record = read_record(target, metadata)
        if record is None or record["rule"] not in STEPS or record["rule"] in KINDS.values():
            continue  # results hold more about measurements
        # Outputs of one job have records of their own, a moment apart, and the same log.
        found[(record["rule"], *record["log"])][target] = record
        waiting += [path for path in record["input"] if path.startswith(f"{CACHE}/")]
    for (rule, *_), by_output in found.items():
        outputs, records = sorted(by_output), list(by_output.values())
        yield Job(
            step=rule,
            name=f"{rule}/{outputs[0]}",
            description="No energy: it is metered in measurements only.",
            started=_utc(min(record["starttime"] for record in records)),
            ended=_utc(max(record["endtime"] for record in records)),
            inputs=tuple(name for path in records[0]["input"] for name in files_of(path)),
            outputs=tuple(name for path in outputs for name in files_of(path)),
        )


def read_record(target: str, metadata: Path) -> dict[str, Any] | None:
    """Snakemake's (9) record of the finished job that made an output; None if there is none."""
    name = urlsafe_b64encode(target.encode()).decode()
    parts = [name[start : start + LONGEST] for start in range(0, len(name), LONGEST)]
    path = metadata.joinpath(*[f"@{part}" for part in parts[:-1]], parts[-1])
    try:
        record = read_object(path, *NEEDED)
    except (OSError, DamagedError):
        return None
    return None if record.get("incomplete") or record.get("endtime") is None else record


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
