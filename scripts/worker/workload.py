"""Settings from the host: the engine to load, the load to run, the end of the warm-up."""

import re
from dataclasses import dataclass, field
from typing import Any

from worker.arrivals import ArrivalRecipe

MODES = ("waves", "closed", "open")
"""Load modes: see the modules of these names."""


def is_backend_name(name: str) -> bool:
    """Return True if `name` can name a backend: it becomes part of a module's and a file's name."""
    return name != "base" and re.fullmatch(r"[a-z][a-z0-9_-]*", name) is not None


@dataclass(frozen=True)
class ServerConfig:
    """A server that speaks OpenAI's completions API: how it is reached, and how it spells things.

    It is launched by `command`, or attached at `url`.
    """

    command: tuple[str, ...] = ()
    """Words of the command, with places such as `{model}` and `{port}` (worker/serving/launch.py);
    the options of an experiment follow as its arguments."""
    variables: dict[str, Any] = field(default_factory=dict)
    """Environment variables of a launched server."""
    ready: str = "/health"
    """Path that a launched server answers with 200 once it is ready."""
    url: str | None = None
    token_variable: str | None = None
    """Environment variable that holds the secret of an attached server."""
    ca_file: str | None = None
    """File with the authorities whose certificates are trusted; None: those of the system."""
    gpus: tuple[str, ...] = ()
    """UUIDs of the GPUs of this host that an attached server uses, as far as they are named."""
    model_name: str | None = None
    """Name of the model in requests; None: the first that the server lists."""
    tokenizer: str = ""
    """Backend whose adapter makes token ids, and their texts where the server takes none."""
    prompt: str = "token_ids"
    """Form of the prompts: `IDS`, `TEXT` or `CHAT` (worker/serving/dialect.py)."""
    token_counts: str = "chunks"
    """A key of `TOKEN_COUNTS` (worker/serving/dialect.py)."""
    streams: bool = True
    """False where each answer comes whole."""
    request: dict[str, Any] = field(default_factory=dict)
    exact_length: dict[str, Any] = field(default_factory=dict)
    """See `Dialect` for both."""
    top_k_unlimited: int = 0
    prefix_cache: str = "unknown"
    """`off` or `unknown`."""
    properties: dict[str, Any] = field(default_factory=dict)
    """Place of each property that a live server tells, by name: see `observe` of the adapter."""
    stall_s: float = 300.0
    """Longest silence of the server about a request."""


@dataclass(frozen=True)
class EngineConfig:
    """One engine as it is to be loaded."""

    backend: str
    model_path: str
    dtype: str
    context_tokens: int
    """Longest sequence (prompt and output) in tokens."""
    slots: int
    """Most requests that are decoded together."""
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    server: ServerConfig | None = None
    """Where the engine is a server; its options are then arguments of the server's command."""

    @property
    def adapter(self) -> str:
        """The name of the module of the adapter."""
        return self.backend if self.server is None else "openai"

    @property
    def attached(self) -> bool:
        """True where the engine is a server that somebody else started."""
        return self.server is not None and self.server.url is not None


@dataclass(frozen=True)
class Sampling:
    """Sampling of output tokens; temperature 0 is greedy, top_k 0 is no limit."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True)
class WarmupRules:
    """Rules for the end of a warm-up; worker/steady.py defines the thresholds."""

    cap_s: float
    """Longest warm-up, counted from the end of its first wave."""
    first_wave_deadline_s: float
    """For the first wave alone: it may compile."""
    bound: float
    """Bias of the window's mean, relative, that ends a warm-up before its cap."""
    minimum_s: float = 0.0
    """Shortest time after the first wave, whatever the cap: a sensor's averaged reading at the
    window's start must not reach back to the start of the load."""
    await_host: bool = False
    """True if the host's verdict on power must be steady too."""


@dataclass(frozen=True)
class Workload:
    """One measurement's load."""

    mode: str
    """One of `MODES`."""
    batch_size: int
    """Requests of one wave, the constant concurrency in mode `closed`, and in mode `open` the most
    that are decoded together."""
    output_tokens: int
    """Length of each output; in mode `open` their mean, unless a trace has them."""
    prompts: tuple[tuple[int, ...], ...]
    """Token ids of each prompt."""
    sampling: Sampling
    minimum_duration_s: float
    tail_s: float
    warmup: WarmupRules
    minimum_waves: int = 3
    arrivals: ArrivalRecipe | None = None
    """None in other modes than `open`."""
    exact_length: bool = True
    """False where an answer may end before `output_tokens`, as the model wants it."""

    @property
    def waves_per_pass(self) -> int:
        return 1 if self.mode == "open" else max(1, len(self.prompts) // self.batch_size)

    def fault(self, config: EngineConfig) -> str | None:
        """Return why this load cannot run on that engine, None if it can.

        A context that is too short is not checked here: it has a reason code of its own.
        """
        if self.mode not in MODES:
            return f"workload.mode: must be one of {', '.join(MODES)}, not {self.mode!r}"
        if (self.mode == "open") != (self.arrivals is not None):
            return "workload.arrivals: belongs to mode open, which needs it"
        if self.arrivals is not None and (fault := self.arrivals.fault()):
            return f"workload.{fault}"
        if not 1 <= self.batch_size <= config.slots:
            return (
                f"workload.batch_size: must be 1 to {config.slots} (slots), not {self.batch_size}"
            )
        if self.output_tokens < 1 or self.minimum_waves < 1:
            return "workload: output_tokens and minimum_waves must be at least 1"
        if not self.prompts or not all(self.prompts):
            return "workload.prompts: must be one or more lists of token ids, none of them empty"
        if self.mode == "waves" and len(self.prompts) % self.batch_size:
            return (
                f"workload.prompts: their count ({len(self.prompts)}) must be a multiple of "
                f"batch_size ({self.batch_size})"
            )
        return None

    def longest_sequence(self) -> int:
        """Return the tokens of the longest prompt and its output."""
        longest_prompt = max(len(prompt) for prompt in self.prompts)
        if self.arrivals is None:
            return longest_prompt + self.output_tokens
        if output := self.arrivals.longest(self.output_tokens):
            return longest_prompt + output
        pairs = zip(
            self.arrivals.trace_input_tokens, self.arrivals.trace_output_tokens, strict=True
        )
        return max(prompt + output for prompt, output in pairs)
