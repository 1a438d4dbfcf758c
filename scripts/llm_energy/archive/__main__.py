"""What `reproduce.sh` of an unpacked archive runs: python -m llm_energy.archive verify|reproduce"""

import sys
from pathlib import Path

from llm_energy.archive.reproduce import ReproductionError, campaign_name, reproduce
from llm_energy.archive.verify import Verdict, verify_files, verify_results


def main(arguments: list[str]) -> int:
    """Exit code 0 where all is well, 1 with one line for each problem, 2 for a wrong call."""
    if arguments not in (["verify"], ["reproduce"]):
        print("usage: ./reproduce.sh [verify]", file=sys.stderr)
        return 2
    folder = Path()
    try:
        well = tell(verify_files(folder))
        well &= tell(verify_results(folder / "results" / campaign_name(folder)))
        if arguments == ["reproduce"] and well:
            well = tell(reproduce(folder))
    except (ReproductionError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if well else 1


def tell(verdict: Verdict) -> bool:
    """Print a verdict; whether all is well."""
    for problem in verdict.problems:
        print(problem, flush=True)
    count = len(verdict.problems)
    told = "no problem" if count == 0 else "1 problem" if count == 1 else f"{count} problems"
    print(f"{verdict.looked_at}: {told}", flush=True)
    return count == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
