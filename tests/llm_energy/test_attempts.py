"""A measuring job stays light: what it imports runs beside the engine that is measured."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
HEAVY = ("pandas", "numpy", "scipy", "matplotlib", "docker", "huggingface_hub", "jinja2")
HEAVY += ("llm_energy.campaign",)


def test_a_measuring_job_loads_nothing_heavy():
    code = (
        f"import sys; import llm_energy.attempts;print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SCRIPTS)},
    )
    assert done.stdout.strip() == "[]"
