"""Command line of an unpacked archive: python -m llm_energy.archive verify|reproduce"""

import sys
from pathlib import Path

from llm_energy.archive.reproduce import ReproductionError, campaign_name, reproduce
from llm_energy.archive.verify import Verdict, verify_files, verify_results
from llm_energy.system.numbers import plural


def main(arguments: list[str]) -> int:
    """Return 0 if all is valid, 1 with one line for each problem, 2 for a wrong call."""
    if arguments not in (["verify"], ["reproduce"]):
        print("usage: ./reproduce.sh [verify]", file=sys.stderr)
        return 2
    folder = Path()
    try:
        valid = print_verdict(verify_files(folder))
        valid &= print_verdict(verify_results(folder / "results" / campaign_name(folder)))
        if arguments == ["reproduce"] and valid:
            valid = print_verdict(reproduce(folder))
    except (ReproductionError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if valid else 1


def print_verdict(verdict: Verdict) -> bool:
    """Print a verdict and return True if there is no problem."""
    for line in [*verdict.problems, *verdict.notes]:
        print(line, flush=True)
    count = plural(len(verdict.problems), "problem") if verdict.problems else "no problem"
    print(f"{verdict.looked_at}: {count}", flush=True)
    return not verdict.problems


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
