"""How many lines the product has: what runs in a campaign, without tests and documentation.

    .venv/bin/python benchmarks/lines.py

Of the files that git tracks. `lines` are all that are not blank; `code` leaves comments and
docstrings of Python out as well.
"""

import ast
import io
import subprocess
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = {
    "Snakefiles and rules": ("Snakefile", "workflow", "rules"),
    "rule scripts": ("scripts/*.py",),
    "host library": ("scripts/llm_energy",),
    "worker": ("scripts/worker",),
    "environments": ("envs/*/Dockerfile", "envs/*/gpu/Dockerfile", "envs/**/*.sh"),
}
"""Part -> what git is asked for."""


def tracked(*patterns: str) -> list[Path]:
    specs = [f":(glob){p}" if "*" in p else p for p in patterns]
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--", *specs],
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines()]


def lines(text: str) -> set[int]:
    """Numbers of the lines that are not blank."""
    return {number for number, line in enumerate(text.splitlines(), 1) if line.strip()}


def code_lines(source: str) -> set[int]:
    """Numbers of the lines that hold Python beside comments and docstrings."""
    quiet = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    found = {
        number
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in (*quiet, tokenize.ENDMARKER)
        for number in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found & lines(source)


def main() -> None:
    print(f"{'part':22}{'files':>7}{'lines':>8}{'code':>8}")
    totals = [0, 0, 0]
    for part, patterns in PARTS.items():
        texts = {path: path.read_text(encoding="utf-8") for path in tracked(*patterns)}
        python = {path: text for path, text in texts.items() if path.suffix == ".py"}
        code = sum(len(code_lines(text)) for text in python.values())
        code += sum(len(lines(text)) for path, text in texts.items() if path not in python)
        row = [len(texts), sum(len(lines(text)) for text in texts.values()), code]
        totals = [a + b for a, b in zip(totals, row, strict=True)]
        print(f"{part:22}{row[0]:7}{row[1]:8}{row[2]:8}")
    print(f"{'product':22}{totals[0]:7}{totals[1]:8}{totals[2]:8}")
    tests = [path for path in tracked("tests") if path.suffix == ".py"]
    print(f"tests: {sum(len(lines(path.read_text(encoding='utf-8'))) for path in tests)} lines")


if __name__ == "__main__":
    main()
