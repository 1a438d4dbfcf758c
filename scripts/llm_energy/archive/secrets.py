"""What must not leave the machine: looked for in every byte of an archive, which is refused for it.

Nothing is blackened: a changed result would not be the one that was measured.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)
"""Of environment variables whose values are secret."""

SHORTEST = 12
"""Characters: a shorter value of such a variable may be an ordinary word."""

FORMS = {
    "a Hugging Face token": re.compile(rb"\bhf_[A-Za-z0-9]{30,}"),
    "a GitHub token": re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})"),
    "an AWS access key": re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"),
    "a password in an address": re.compile(rb"https?://[^\s/:@'\"]+:[^\s/:@'\"]{3,}@[A-Za-z0-9]"),
}
"""Secrets that show what they are, whoever they belong to."""


def known_secrets(environment: Mapping[str, str] | None = None) -> dict[bytes, str]:
    """The secrets of this user, each with what to call it in a message."""
    environment = os.environ if environment is None else environment
    found = {
        value.strip().encode(): f"the value of {name}"
        for name, value in environment.items()
        if NAMES.search(name) and len(value.strip()) >= SHORTEST and not Path(value).exists()
    }
    home = Path(environment.get("HF_HOME", Path.home() / ".cache/huggingface"))
    token = Path(environment.get("HF_TOKEN_PATH", home / "token"))
    if token.is_file() and (value := token.read_bytes().strip()):
        found[value] = "your Hugging Face token"
    return found


def secret_in(content: bytes, known: Mapping[bytes, str], *, forms: bool = True) -> str | None:
    """What kind of secret a file's content holds; None where none is seen.

    Args:
        forms: look for everybody's as well, by their form.
    """
    for value, name in known.items():
        if value in content:
            return name
    if not forms:
        return None
    return next((name for name, form in FORMS.items() if form.search(content)), None)
