"""How a campaign declares that several sets of GPUs of one host are measured on at once."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from llm_energy.campaign.types import Alternatives, Count, Model

UUID = r"^(GPU|MIG)-\S+$"


def _uuid(value: Any) -> Any:
    if not (isinstance(value, str) and re.fullmatch(UUID, value)):
        message = "must be the UUID of a GPU, as `nvidia-smi -L` prints it"
        raise PydanticCustomError("kind", message)
    return value


Device = Annotated[str, BeforeValidator(_uuid), Field(json_schema_extra={"pattern": UUID})]
Devices = Annotated[
    Literal["all"] | Annotated[list[Device], Field(min_length=1)],
    Alternatives("all", list, message="must be `all`, or a list of UUIDs"),
]


class Parallel(Model):
    """Disjoint sets of the host's GPUs, which are measured on at the same time. Each cycle lies
    wholly on one set. The command says how many measurements run at once, with `--cores` and
    `--resources gpu`."""

    devices_per_measurement: Count = 1
    """GPUs of each set. An experiment may use no more."""
    devices: Devices = "all"
    """`all` GPUs of the host, or a list of UUIDs: in this order, as many as one measurement gets
    make a set. What is left over is not used."""
    loads_at_once: Count = 1
    """Engines that may load at the same time, on all sets together: loading competes for disk and
    CPU."""
