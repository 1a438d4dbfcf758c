"""The standard error of a baseline over the true one, for power samples that depend on each other.

    .venv/bin/python benchmarks/baseline_error.py [--samples 2000]

`before` is Geyer's initial positive sequence alone, `after` what the workflow computes; behind each
the share of means that lie within two standard errors of the truth (95 % if the standard error were
known). `repeated`: independent values, each of which the sensor gives five times.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from before_after import Row

from llm_energy.power.baseline import by_positive_sequence, correlations_of, standard_error

COUNTS = (10, 30, 100, 300)
LONG = 300
"""Samples from which baselines have a target in `coverage.py`, of 90 %."""
REPEATS = 5


def autoregressive(chance: np.random.Generator, samples: int, count: int, rho: float) -> np.ndarray:
    """One series in each row, with mean 0 and variance 1."""
    values = chance.normal(0.0, 1.0, (samples, count))
    for place in range(1, count):
        values[:, place] *= np.sqrt(1.0 - rho**2)
        values[:, place] += rho * values[:, place - 1]
    return values


def repeated(chance: np.random.Generator, samples: int, count: int) -> np.ndarray:
    """The same of a sensor that is read more often than it updates."""
    return np.repeat(chance.normal(0.0, 1.0, (samples, count // REPEATS)), REPEATS, axis=1)


def simulated(
    chance: np.random.Generator, samples: int
) -> Iterator[tuple[str, int, list[float], list[float], np.ndarray]]:
    """Data, number of samples, standard errors before and after, and means, whose truth is 0."""
    for name in ("AR(1), 0", "AR(1), 0.5", "AR(1), 0.9", "repeated"):
        for count in COUNTS:
            if name == "repeated":
                values = repeated(chance, samples, count)
            else:
                values = autoregressive(chance, samples, count, float(name.split()[1]))
            rows_of = values.tolist()
            before = [by_positive_sequence(correlations_of(row)) for row in rows_of]
            after = [standard_error(row) or 0.0 for row in rows_of]
            yield name, count, before, after, values.mean(axis=1)


def within_two(errors: Sequence[float], means: np.ndarray) -> float:
    """Share of means within two standard errors."""
    return float((np.abs(means) <= 2.0 * np.asarray(errors)).mean())


def rows(chance: np.random.Generator, samples: int) -> Iterator[Row]:
    """The rows of `coverage.py`; a short series has no target."""
    for name, count, before, after, means in simulated(chance, samples):
        shares = within_two(before, means), within_two(after, means)
        target = 0.90 if count >= LONG else None
        yield Row("2u of a baseline", f"{name}, samples of power", count, *shares, target=target)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000, help="series for each line")
    samples = parser.parse_args().samples
    print(f"{'data':12}{'n':>5}   {'before':>15}   {'after':>15}")
    for name, count, before, after, means in simulated(np.random.default_rng(2026), samples):
        texts = [
            f"{fmean(errors) / means.std():8.2f} {within_two(errors, means):6.1%}"
            for errors in (before, after)
        ]
        print(f"{name:12}{count:5}   {'   '.join(texts)}")


if __name__ == "__main__":
    main()
