"""Check that CUDA can be used in this environment, without making a context.

    python -m worker.cuda [COUNT]

Exit codes: 0 it can, or nothing here uses it (no driver library, and no COUNT of GPUs that must be
seen); 1 it cannot, with a line that
gives the reason; ended by SIGALRM where the driver does not answer in time.

Source: CUDA Driver API, cuInit and cuDeviceGetCount: neither creates a context.
"""

import ctypes
import signal
import sys

LIBRARY = "libcuda.so.1"
ANSWER_S = 20


def fault(expected: int = 0, library: str = LIBRARY) -> str | None:
    """Return why CUDA cannot be used; None where it can, or where there is no driver.

    Args:
        expected: fewer GPUs than this are a fault, and so is a missing driver.
    """
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        return (
            f"there is no {library}, and {expected} or more GPUs were requested"
            if expected
            else None
        )
    if code := cuda.cuInit(0):
        return f"cuInit returned {code}"
    count = ctypes.c_int()
    if code := cuda.cuDeviceGetCount(ctypes.byref(count)):
        return f"cuDeviceGetCount returned {code}"
    if not count.value:
        return "CUDA sees no GPU"
    if count.value < expected:
        return f"CUDA sees {count.value} of {expected} requested GPUs"
    return None


if __name__ == "__main__":
    signal.alarm(ANSWER_S)
    if message := fault(int(sys.argv[1]) if sys.argv[1:] else 0):
        print(message)
        sys.exit(1)
