"""Servers as an engine process gets them, and their load."""

from dataclasses import asdict
from typing import Any

import yaml
from tests.worker.backend import ROOT, Peer
from tests.worker.engines.conftest import Engines
from tests.worker.serving.stand_in import StandIn

from worker.workload import ServerConfig

FIELDS = asdict(ServerConfig())
PROCESS = ROOT / "tests/worker/serving/stand_in_process.py"


def preset(name: str) -> dict[str, Any]:
    """Return the server that envs/NAME declares, as an engine process gets it."""
    declared = yaml.safe_load((ROOT / "envs" / name / "server.yaml").read_text())
    return {key: value for key, value in declared.items() if key in FIELDS}


def attached(server: StandIn, **changes: Any) -> dict[str, Any]:
    fields = {"url": f"http://127.0.0.1:{server.port}", "token_counts": "token_ids"}
    return fields | {"exact_length": {"ignore_eos": True}, "model_name": "m"} | changes


def load(peer: Peer | Engines, server: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"model_path": "/nowhere", "dtype": "auto", "context_tokens": 256}
    fields |= {"backend": "some-server", "slots": 4, "server": server} | changes
    loaded: dict[str, Any] = peer.load(key=repr(changes), **fields)
    return loaded
