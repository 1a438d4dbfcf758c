"""The stand-in as a process of its own: `stand_in_process.py PORT [DIALECT [MOST_ANSWERS]]`.

It runs until it is ended, or until it was to give one answer more than `MOST_ANSWERS`.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.worker.serving.frames import chunked
from tests.worker.serving.stand_in import DIALECTS, StandIn, answer_all

DIALECT, MOST_ANSWERS = (*sys.argv[2:], None, None)[:2]
answers = 0


def answer(body: dict[str, Any]) -> bytes:
    """Answer completions in the dialect that the command names."""
    global answers
    if "prompt" not in body or DIALECT is None:
        return answer_all(body)
    answers += 1
    if MOST_ANSWERS is not None and answers > int(MOST_ANSWERS):
        print("enough", flush=True)
        os._exit(1)
    return chunked(DIALECTS[DIALECT][0](body))


if __name__ == "__main__":
    server = StandIn(answer, port=int(sys.argv[1]))
    threading.Event().wait()
