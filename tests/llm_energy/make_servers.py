"""Campaigns of one experiment on a server that is declared in them."""

from pathlib import Path
from typing import Any

import yaml

from llm_energy.campaign.campaign import Campaign, load_campaign

ROOT = Path(__file__).parents[2]
PINNED = {"python": "/opt/mine/bin/python", "packages_sha256": "0" * 64}
EXACT = {"tokenizer": "llamacpp", "exact_length": {"ignore_eos": True}}
ATTACHED = {"url": "http://127.0.0.1:8000", **EXACT}
LAUNCHED = {"command": ["mine", "--port={port}"], **EXACT}


def campaign(backend: dict[str, Any], name: str = "mine", **changes: Any) -> Campaign:
    """Return the shipped campaign of servers with one experiment, on this backend."""
    config = yaml.safe_load((ROOT / "config/campaigns/cpu-servers.yaml").read_text())
    config["backends"] = {name: backend}
    config |= {"experiments": {"one": {"settings": {"backend": name}}}, "reference": "one"}
    config["experiments"]["one"]["settings"] |= changes.pop("settings", {})
    return load_campaign(
        config | changes, files=[], root=ROOT, lock=ROOT / "config/models.lock.yaml"
    )
