"""Nothing of the product hands text to a shell or an interpreter: nothing a user wrote can run."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = sorted((ROOT / "scripts").rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]

FORBIDDEN = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
FORBIDDEN |= {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load"}
FORBIDDEN |= {"asyncio.create_subprocess_shell", "snakemake.shell", "shell"}


def offences(path):
    """Lines on which a file hands text to a shell or an interpreter."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        as_text = any(isinstance(first, ast.Constant | ast.JoinedStr) for first in node.args[:1])
        if (
            name in FORBIDDEN
            or any(keyword.arg == "shell" for keyword in node.keywords)
            or (name.startswith("subprocess.") and as_text)
        ):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {name}"


def test_no_shell_is_built():
    assert CODE
    assert [line for path in CODE for line in offences(path)] == []


def test_no_rule_has_a_shell_command():
    for path in RULES:
        assert not re.search(r"^\s*(shell|run):|\bshell\(", path.read_text(), re.MULTILINE), path
