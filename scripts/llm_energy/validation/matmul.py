"""A load for one GPU: matrix products of random numbers until stdin ends.

    CUDA_VISIBLE_DEVICES=UUID python matmul.py

Needs torch and nothing of ours: it is run by the interpreter that is tried. Says `working` once it
is.
"""

import sys
import threading

SIZE = 8192
"""Rows and columns: three matrices of 128 MiB in half precision."""

PRODUCTS = 20
"""Between two looks at stdin: some 30 ms on an H100, less than a second on a small board."""


def main() -> int:
    import torch

    if not torch.cuda.is_available():
        print(f"torch {torch.__version__} sees no GPU", file=sys.stderr)
        return 1
    # Random: the power of a product depends on the numbers, and zeros cost least.
    left, right = (torch.randn(SIZE, SIZE, device="cuda", dtype=torch.float16) for _ in range(2))
    product = torch.empty_like(left)
    waiting = threading.Thread(target=sys.stdin.read, daemon=True)
    waiting.start()
    torch.matmul(left, right, out=product)
    torch.cuda.synchronize()
    print("working", flush=True)
    while waiting.is_alive():
        for _ in range(PRODUCTS):
            torch.matmul(left, right, out=product)
        torch.cuda.synchronize()
    return 0


if __name__ == "__main__":
    sys.exit(main())
