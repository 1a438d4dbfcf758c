"""Check the files of `--configfile`; the profile runs this before Snakemake reads them."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from llm_energy.campaign.line_numbers import read_files
from llm_energy.campaign.problems import CampaignError

options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
options.add_argument("--configfile", "--configfiles", nargs="+", type=Path, default=[])
try:
    read_files(options.parse_known_args()[0].configfile)
except CampaignError as error:
    sys.exit("\n".join(error.messages))
