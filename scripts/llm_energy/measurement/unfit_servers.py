"""Servers that their first load showed to be unfit: they are not loaded again in the same run."""

from dataclasses import dataclass

from llm_energy.backends.runtime import BackendError
from llm_energy.runs.run import Run
from worker.serving.faults import UNFIT


@dataclass(frozen=True)
class UnfitServer:
    """The failure of a server's load, for which every other load would fail too."""

    message: str


def note(run: Run, engine_key: str, failure: BackendError) -> None:
    """Keep a failure that lies in how the server is declared; no other one."""
    if failure.reason == UNFIT and not run.whole.find(f"unfit/{engine_key}", UnfitServer):
        run.whole.write(f"unfit/{engine_key}", UnfitServer(str(failure)))


def refuse(run: Run, engine_key: str) -> None:
    """Refuse to load a server again that was found unfit in this run.

    Args:
        engine_key: equal for measurements of a server that is started in the same way.

    Raises:
        BackendError: `server_unfit`, with what was found.
    """
    if known := run.whole.find(f"unfit/{engine_key}", UnfitServer):
        message = f"{known.message} (found before in this run, and not tried again)"
        raise BackendError(UNFIT, message, phase="load")
