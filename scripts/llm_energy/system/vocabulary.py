"""Names of runtimes, load modes and output lengths, as configuration and results write them."""

from typing import Final, Literal

Runtime = Literal["process", "docker"]
PROCESS: Final = "process"
DOCKER: Final = "docker"

ATTACHED: Final = "attached"
"""Runtime of a backend in a container that the workflow did not start; to campaigns and results it
is `docker`."""

LoadMode = Literal["waves", "closed", "open"]
WAVES: Final = "waves"
CLOSED: Final = "closed"
OPEN: Final = "open"

OutputLength = Literal["exact", "natural"]
EXACT: Final = "exact"
NATURAL: Final = "natural"
