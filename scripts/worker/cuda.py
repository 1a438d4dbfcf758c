"""Check that CUDA can be used in this environment, without making a context.

    python -m worker.cuda

Exit codes: 0 it can, or nothing here uses it (no driver library); 1 it cannot, with a line that
gives the reason; ended by SIGALRM where the driver does not answer in time.

Source: CUDA Driver API, cuInit and cuDeviceGetCount: neither creates a context.
"""

import ctypes
import signal
import sys

LIBRARY = "libcuda.so.1"
ANSWER_S = 20


def fault(library: str = LIBRARY) -> str | None:
    """Return why CUDA cannot be used; None where it can, or where there is no driver."""
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        return None
    if code := cuda.cuInit(0):
        return f"cuInit returned {code}"
    count = ctypes.c_int()
    if code := cuda.cuDeviceGetCount(ctypes.byref(count)):
        return f"cuDeviceGetCount returned {code}"
    return None if count.value else "CUDA sees no GPU"


if __name__ == "__main__":
    signal.alarm(ANSWER_S)
    if message := fault():
        print(message)
        sys.exit(1)
