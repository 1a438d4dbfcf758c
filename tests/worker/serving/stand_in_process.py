"""The stand-in as a process of its own: `python stand_in_process.py PORT`, until it is ended."""

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.worker.serving.stand_in import StandIn, answer_all

if __name__ == "__main__":
    server = StandIn(answer_all, port=int(sys.argv[1]))
    threading.Event().wait()
