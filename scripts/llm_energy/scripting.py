"""What every rule script shares: its log file, and user mistakes told in one line."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class UserError(Exception):
    """Something to be told in its own words, without a traceback."""


@contextmanager
def rule_script(snakemake: Any, *expected: type[Exception]) -> Iterator[None]:
    """Run a rule script's body: whatever it raises goes to the rule's log with its traceback.

    A `UserError` or an exception of one of the `expected` types is told on the console in its own
    words, any other as a defect with the place of its traceback. Both end the script with 1.
    """
    log = Path(snakemake.log[0]) if snakemake.log else None
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")  # then append, as pip and the engines do to the same file
        logging.basicConfig(
            filename=log, filemode="a", level=logging.INFO, format="%(asctime)s %(message)s"
        )
    try:
        yield
    except Exception as error:
        if log is not None:
            with log.open("a") as file:
                traceback.print_exc(file=file)
        known = isinstance(error, (UserError, *expected))
        text = str(error) if known else f"{type(error).__name__}: {error} (traceback: {log})"
        print(f"{snakemake.rule}: {text}", file=sys.stderr)
        sys.exit(1)
