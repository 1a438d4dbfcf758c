"""Sizes in words."""


def gigabytes(size_bytes: float) -> str:
    """`98 MB`, `1.5 GB`, `81 GB`: 10^6 and 10^9 bytes, as disks and weights are counted."""
    if size_bytes < 0.9995e9:
        return f"{size_bytes / 1e6:.0f} MB"
    return f"{size_bytes / 1e9:.{0 if size_bytes >= 99.5e9 else 1}f} GB"
