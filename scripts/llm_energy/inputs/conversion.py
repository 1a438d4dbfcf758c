"""GGUF weights turned into a Transformers folder, for engines that take no GGUF."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_energy.inputs.ask_worker import ask_worker
from llm_energy.inputs.checksums import FILES, facts_of, files_below, read_marker
from llm_energy.inputs.models import marker_of, verify_model

DTYPE = "bfloat16"
"""Number format of converted weights. Quantised weights have fewer digits than it keeps."""

RECORD = "conversion.json"
"""Record of the source of the folder, and of the environment that converted it."""


def convert_model(
    identity: Mapping[str, Any], *, model: Path, environment: Path, target: Path, log: Path
) -> dict[str, Any]:
    """Convert a model and return the content of the converted model's marker.

    A finished conversion of the same source by the same recipe is kept, whatever environment made
    it: campaigns with and without containers share it, also while one of them measures. An
    unfinished one is replaced.

    Args:
        identity: of the converted model.
        model, environment: markers of the source model and of the environment that converts.
        target: folder of the converted model's marker.

    Raises:
        InputError: the source changed, or the conversion failed.
    """
    source, converter = verify_model(model), read_marker(environment)
    wanted = {"source_sha256": source.sha256, "dtype": DTYPE, "recipe": identity.get("recipe")}
    folder, record = target / FILES, target / RECORD
    if not (record.exists() and wanted.items() <= json.loads(record.read_text()).items()):
        record.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        ask_worker(
            converter,
            {
                "op": "convert",
                "source": str(source.path),
                "target": str(folder.absolute()),
                "dtype": DTYPE,
            },
            readable=[source.path],
            writable=[folder.absolute()],
            log=log,
        )
        for name in files_below(folder):
            (folder / name).chmod(0o644)  # written for the owner only; a container's user reads it
        made_by = {"environment_hash": converter["environment_hash"]}
        record.write_text(json.dumps(wanted | made_by))
    return marker_of(folder, facts_of(folder, files_below(folder)), identity, target=target)
