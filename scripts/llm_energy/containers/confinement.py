"""The restrictions of every container: no network, no privileges, no other user."""

import os
from collections.abc import Mapping
from typing import Any

from docker.types import DeviceRequest


def confined(*, user: str | None = None, environment: Mapping[str, str]) -> dict[str, Any]:
    """Options of `containers.create`.

    Args:
        user: `UID` or `UID:GID`; None: who runs the workflow.
        environment: variables beside a home that can be written and a name, which the user may
            not have in the image.
    """
    return {
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "user": user or f"{os.getuid()}:{os.getgid()}",
        "environment": {"HOME": "/tmp", "USER": "llm-energy", **environment},
    }


def device_requests(gpus: str | int | tuple[str, ...] | None) -> list[DeviceRequest]:
    """`all`, a number, or UUIDs, as the engine wants it; nothing for None."""
    if gpus is None:
        return []
    if isinstance(gpus, tuple):
        return [DeviceRequest(device_ids=list(gpus), capabilities=[["gpu"]])]
    count = -1 if gpus == "all" else int(gpus)
    return [DeviceRequest(count=count, capabilities=[["gpu"]])]
