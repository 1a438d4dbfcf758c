"""Executables that stand where an environment has its Python."""

import json
from collections.abc import Mapping
from pathlib import Path


def interpreter(folder: Path, *, packages: Mapping[str, str]) -> Path:
    """One that answers as an environment with an engine does that has these packages."""
    described = {"engine_version": "1.0", "python_version": "3.11.7", "packages": dict(packages)}
    python = folder / "python"
    python.write_text(
        f"""#!/bin/sh
case "$2" in
    worker.oneshot) echo '{json.dumps(described)}' ;;
    *) echo '{json.dumps(dict(packages))}' ;;
esac
"""
    )
    python.chmod(0o755)
    return python
