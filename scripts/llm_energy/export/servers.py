"""Servers that measurements are sent to: what each must do, and the mistakes that users meet."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from llm_energy.export.channels import Measured
from llm_energy.system.scripting import UserError

Undisturbed = Callable[[], AbstractContextManager[None]]
"""Makes a block that begins when this host measures nothing, and keeps it from beginning."""


class ExportError(UserError):
    """A server that cannot be written to; the message is one line with its remedy."""


class Server(Protocol):
    """A connection to a server, open for one export."""

    def sent(self, campaign: str) -> set[str]:
        """Return the measurements of a campaign that are there as a whole, by their tags."""
        ...

    def send(self, measured: Measured, undisturbed: Undisturbed) -> None:
        """Write one measurement, each batch in an undisturbed block."""
        ...

    def close(self) -> None: ...
