"""The stand-in as a process of its own, until it is ended: `stand_in_process.py PORT [DIALECT]`."""

import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.worker.serving.stand_in import DIALECTS, StandIn, answer_all, chunked


def answer(body: dict[str, Any]) -> bytes:
    """Answer completions in the dialect that the command names."""
    if "prompt" in body and sys.argv[2:]:
        return chunked(DIALECTS[sys.argv[2]][0](body))
    return answer_all(body)


if __name__ == "__main__":
    server = StandIn(answer, port=int(sys.argv[1]))
    threading.Event().wait()
