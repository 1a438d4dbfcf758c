"""GGUF weights turned into a Transformers folder, for engines that take no GGUF."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_energy.inputs.files import FILES, facts_of, files_below, read_marker
from llm_energy.inputs.models import marker_of, verify_model
from llm_energy.inputs.oneshot import ask_worker

DTYPE = "bfloat16"
"""Number format of converted weights. Quantised weights have fewer digits than it keeps."""

RECORD = "conversion.json"
"""Which source files, interpreter and packages the folder was made from."""


def convert_model(
    identity: Mapping[str, Any], *, model: Path, environment: Path, target: Path, log: Path
) -> dict[str, Any]:
    """Convert a model and return the content of the converted model's marker.

    A finished conversion of the same source is kept; an unfinished one is replaced.

    Args:
        identity: of the converted model.
        model, environment: markers of the source model and of the environment that converts.
        target: folder of the converted model's marker.

    Raises:
        InputError: the source changed, or the conversion failed.
    """
    source, converter = verify_model(model), read_marker(environment)
    made_from = {
        "source_sha256": source.sha256,
        "dtype": DTYPE,
        "environment_hash": converter["environment_hash"],
    }
    folder, record = target / FILES, target / RECORD
    if not (record.exists() and json.loads(record.read_text()) == made_from):
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
        record.write_text(json.dumps(made_from))
    return marker_of(folder, facts_of(folder, files_below(folder)), identity, target=target)
