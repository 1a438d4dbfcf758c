"""Check servers against the settings of the experiments that use them."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from llm_energy.campaign.experiment_settings import Settings
from llm_energy.campaign.problems import listed
from llm_energy.campaign.server_settings import Attach, Launch, Server
from llm_energy.system.variables import NOT_PASSED_ON
from llm_energy.system.vocabulary import EXACT, NATURAL, OPEN, WAVES

PLAIN_URL = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")
ENDPOINTS = ("/completions", "/models")

WHOLE_COUNTS = ("usage", "retokenised")
"""Values of `token_counts` that count the tokens of an answer that comes whole."""


def attach_faults(server: Attach) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the declaration of a server that runs already: key, message."""
    yield from _server_faults(server)
    if not PLAIN_URL.fullmatch(server.url) or server.url.rstrip("/").endswith(ENDPOINTS):
        yield "server.url", "must be that of a server, like http://127.0.0.1:8000, and no more"
    elif not _has_host_and_port(server.url):
        yield "server.url", "must have a host and a port up to 65535, like http://127.0.0.1:8000"
    if (server.token_variable or "").startswith(NOT_PASSED_ON):
        message = f"variables that begin with {listed(NOT_PASSED_ON)} are not passed on; rename"
        yield "server.token_variable", message
    if server.ca_file is None:
        return
    if not server.url.startswith("https:"):
        yield "server.ca_file", "is for a url that begins with https; remove it"
    elif not Path(server.ca_file).is_file():
        yield "server.ca_file", f"{server.ca_file}: no such file"


def _server_faults(server: Server) -> Iterator[tuple[str, str]]:
    if not server.streams and server.token_counts not in WHOLE_COUNTS:
        message = (
            f"{server.token_counts} counts in a stream, and streams is false; "
            f"set {' or '.join(WHOLE_COUNTS)}"
        )
        yield "server.token_counts", message
    for name, place in server.properties.items():
        if not place.startswith("/"):
            message = "must begin with the path, which begins with /, as in `/version version`"
            yield f"server.properties.{name}", message


def _has_host_and_port(url: str) -> bool:
    try:
        address = urlsplit(url)
        return bool(address.hostname) and address.port != 0
    except ValueError:
        return False


def launch_faults(server: Launch) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the declaration of a server that is started: key, message."""
    yield from _server_faults(server)
    if not any("{port}" in word for word in (*server.command, *server.variables.values())):
        message = "has no {port}: the server must listen on the port that it is given; add it"
        yield "server.command", message


def load_mode_faults(
    backend: str, server: Server | None, settings: Settings
) -> Iterator[tuple[str, str]]:
    """Yield why a server that does not stream cannot take a load: key, message."""
    if server is not None and not server.streams and settings.load_mode != WAVES:
        message = (
            f"{backend} does not stream, so the tokens of a window's edges have no times; "
            f"set load_mode: {WAVES}"
        )
        yield "load_mode", message


def length_faults(
    backend: str, server: Server | None, settings: Settings
) -> Iterator[tuple[str, str]]:
    """Yield why a backend cannot give answers of the lengths that are set: key, message."""
    if settings.output_length == NATURAL and server is None:
        message = f"{backend} generates exactly `output_tokens`; natural is for servers"
        yield "output_length", message
    elif settings.output_length == NATURAL and settings.load_mode == OPEN:
        yield "output_length", "natural is for the load modes waves and closed"
    if settings.output_length != EXACT or server is None:
        return
    if not server.exact_length:
        message = (
            f"{backend} declares no exact_length, so its answers may end earlier; declare it, "
            "or set output_length: natural"
        )
        yield "output_length", message
    elif server.token_counts == "retokenised":
        message = (
            f"the tokens of {backend} are counted by splitting its answers again, which proves no "
            "exact length; set output_length: natural"
        )
        yield "output_length", message


def prompt_faults(
    backend: str, server: Server, settings: Settings, *, in_template: bool
) -> Iterator[tuple[str, str]]:
    """Yield why a server that takes texts cannot get these prompts: key, message.

    Args:
        in_template: the prompts are in the model's chat template already.
    """
    if server.prompt == "token_ids":
        return
    if settings.load_mode == OPEN and settings.arrivals.lengths == "trace":
        message = f"{backend} takes texts, and prompts of a trace's lengths are cut as token ids"
        yield "arrivals.lengths", message
    if server.prompt == "chat" and in_template:
        message = (
            f"{backend} wraps prompts in its own chat template; take a set with "
            "`chat_template: false`"
        )
        yield "prompts", message
