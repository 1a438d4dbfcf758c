"""Declared servers as their engine processes need them."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from worker.workload import ServerConfig

if TYPE_CHECKING:  # the campaign's models would cost every measuring job 0.1 s
    from llm_energy.campaign.server_settings import Server


def server_config(server: "Server") -> ServerConfig:
    """Return the part of a declaration that is sent to the engine process."""
    known = {field.name for field in fields(ServerConfig)}
    values = server.model_dump(mode="json", include=known)
    lists = {name: tuple(values.get(name) or ()) for name in ("command", "gpus")}
    if file := values.get("ca_file"):
        values["ca_file"] = str(Path(file).absolute())
    return ServerConfig(**values | lists)
