"""Look-up of everything that experiments refer to by name, each identified once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from llm_energy.campaign.arrival_trace import ArrivalTrace, read_trace
from llm_energy.campaign.campaign_file import CampaignConfig
from llm_energy.campaign.declared_inputs import ShippedPrompts, Source, SyntheticPrompts
from llm_energy.campaign.engine_options import (
    EngineImportError,
    EngineTable,
    ServerTable,
    available_backends,
    available_servers,
    read_engine,
    read_server,
)
from llm_energy.campaign.identity import (
    SHIPPED,
    Declared,
    UnpinnedError,
    environment_folder,
    environment_identity,
    gguf_in_folder,
    model_identity,
    prompt_file,
    prompts_identity,
    source_format,
    source_identity,
)
from llm_energy.campaign.lock_file import Lock, source_key
from llm_energy.campaign.problems import KeyPath, Problems, listed, unknown
from llm_energy.campaign.prompt_entries import count_entries
from llm_energy.campaign.server_settings import Attach, PresetError, Server, read_preset
from llm_energy.system.errors import PromptError


@dataclass(eq=False)
class Catalogue:
    """The backends, models and prompt sets of a campaign.

    A look-up returns None where something is wrong with the entry; that is added to `problems`, or
    to `unpinned` where only the pin is missing.
    """

    config: CampaignConfig
    root: Path
    lock: Lock
    problems: Problems
    unpinned: Problems

    def __post_init__(self) -> None:
        self.tables = self._engine_tables()
        # Many experiments have the same few entries.
        self.environment = cache(self._environment)
        self.model = cache(self._model)
        self.tokenizer = cache(self._tokenizer)
        self.prompts = cache(self._prompts)
        self.prompt_count = cache(self._prompt_count)
        self.trace = cache(self._trace)
        self.arrival_trace = cache(self._arrival_trace)

    def _engine_tables(self) -> dict[str, EngineTable]:
        tables = {}
        for name in self.config.backends:
            path = ("backends", name)
            try:
                table = self._engine_table(name)
            except EngineImportError as error:
                self.problems.add(path, f"its engine module cannot be read: {error}")
                continue
            except PresetError as error:
                self.problems.add(path, str(error))
                continue
            if table is not None:
                tables[name] = table
            elif not any(place[:2] == path for place in self.problems):
                available = sorted({*available_backends(self.root), *available_servers(self.root)})
                self.problems.add(path, unknown("backend", name, available))
        return tables

    def _engine_table(self, name: str) -> EngineTable | None:
        """Return the table of a backend, None where there is no such backend."""
        server: Server | None = self.config.backends[name].server
        if server is None and name in available_servers(self.root):
            device = self.config.measurement.device
            server = read_preset(environment_folder(self.root, name, device))
            if server is None:
                raise PresetError(f"is a server for GPUs only (envs/{name}/gpu)")
        if server is not None:
            adapters = available_backends(self.root)
            if server.tokenizer not in adapters:
                path = ("backends", name, "server", "tokenizer")
                self.problems.add(path, unknown("adapter", server.tokenizer, adapters))
                return None
            return read_server(self.root, server)
        return read_engine(self.root, name) if name in available_backends(self.root) else None

    def server(self, backend: str) -> Server | None:
        """Return the server that a backend is, None where it is none."""
        table = self.tables[backend]
        return table.server if isinstance(table, ServerTable) else None

    def adapter(self, backend: str) -> str:
        """Return the adapter that makes token ids in a backend's environment."""
        server = self.server(backend)
        return backend if server is None else server.tokenizer

    def _environment(self, backend: str) -> Declared:
        config, name = self.config.backends[backend], backend
        if server := self.server(backend):
            own = None if isinstance(server, Attach) else server.environment or backend
            name = own or server.tokenizer
        try:
            identity = environment_identity(
                self.root, name, config, self.lock, device=self.config.measurement.device
            )
        except UnpinnedError as error:
            path = ("backends", backend, "environment")
            if path not in self.problems:
                self.unpinned.add(path, str(error))
            identity = {"unpinned": backend}
        return Declared(name=name, config=config, identity=identity)

    def _model(self, name: str, backend: str) -> Declared | None:
        model, formats = self.config.models.get(name), self.tables[backend].model_formats
        if model is None:
            return None
        where, source = model.source_for(backend)
        path = ("models", name, *where)
        if source is None:
            self.problems.add(path, f"is missing, and {backend} has none of its own; add a source")
            return None
        if gguf := gguf_in_folder(source):
            message = f"is a folder; name the GGUF file, of a model in parts the first: {gguf}"
            self.problems.add((*path, "path"), message)
            return None
        identity = model_identity(source, self._pinned(source, path), formats)
        if identity is None:
            message = (
                f"{backend} reads {listed(formats)}, and {source_format(source)} cannot be "
                f"converted to it; give it a source of its own under sources.{backend}"
            )
            self.problems.add(path, message)
            return None
        return Declared(name=name, config=source, identity=identity)

    def _tokenizer(self, name: str) -> Declared | None:
        model = self.config.models.get(name)
        if model is None:
            return None
        if model.source is None and len(model.sources) > 1:
            message = "needs `source` beside several `sources`: its tokenizer counts for all"
            self.problems.add(("models", name), message)
            return None
        where, source = model.source_for(None)
        if source is None:
            return None  # reported where a backend misses its source
        pinned = self._pinned(source, ("models", name, *where))
        identity = {**pinned, "format": source_format(source)}
        return Declared(name=name, config=source, identity=identity)

    def _pinned(self, source: Source, path: KeyPath) -> Mapping[str, Any]:
        try:
            return source_identity(source, self.lock)
        except UnpinnedError as error:
            self.unpinned.add(path, str(error))
            return {"unpinned": source_key(source)}

    def _prompts(self, name: str) -> Declared | None:
        """A prompt set as a recipe, whatever tokenizer it meets."""
        prompts = self.config.prompts.get(name)
        if prompts is None:
            return None
        declared = getattr(prompts, "sha256", None)
        file = prompt_file(prompts, self.root)
        found = self._sha256_of(file, ("prompts", name, "file")) if file else None
        if found and declared not in (None, found):
            message = f"is not that of the file, {found}; correct one of them"
            self.problems.add(("prompts", name, "sha256"), message)
        if sha256 := declared or found:
            return Declared(name=name, config=prompts, identity=prompts_identity(prompts, sha256))
        if isinstance(prompts, ShippedPrompts):
            shipped = [path.stem for path in (self.root / SHIPPED).glob("*.jsonl")]
            message = unknown("shipped prompt set", prompts.shipped, shipped)
            self.problems.add(("prompts", name, "shipped"), message)
        else:
            assert file is not None
            self._refuse_missing(file, ("prompts", name, "file"))
        return None

    def _sha256_of(self, file: Path, path: KeyPath) -> str | None:
        """Return the checksum of a file; None where it is no file, or not readable, which is a
        mistake."""
        try:
            return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
        except OSError as error:
            self.problems.add(path, f"{file}: {error.strerror}; change its permissions")
            return None

    def _refuse_missing(self, file: Path, path: KeyPath) -> None:
        if not file.is_file():
            what = "is no file" if file.exists() else "does not exist"
            self.problems.add(path, f"{file} {what}; paths start at the working directory")

    def _prompt_count(self, name: str) -> int | None:
        """Number of prompts of the set; None where it cannot be known yet."""
        prompts = self.config.prompts[name]
        if isinstance(prompts, SyntheticPrompts):
            return prompts.synthetic.count
        file = prompt_file(prompts, self.root)
        if file is None or not file.is_file():
            return prompts.limit
        try:
            available = count_entries(file)
        except PromptError as error:
            self.problems.add(("prompts", name), str(error))
            return None
        if prompts.limit is not None and prompts.limit > available:
            message = f"asks for {prompts.limit} of {available} prompts; lower it"
            self.problems.add(("prompts", name, "limit"), message)
        return prompts.limit or available

    def _trace(self, name: str) -> Declared | None:
        """A trace of arrivals by the content of its file."""
        trace = self.config.traces.get(name)
        if trace is None:
            return None
        file, path = Path(trace.file), ("traces", name, "file")
        self._refuse_missing(file, path)
        found = self._sha256_of(file, path)
        if found is None:
            return None
        if trace.sha256 not in (None, found):
            message = f"is not that of the file, {found}; correct one of them"
            self.problems.add(("traces", name, "sha256"), message)
        return Declared(name=name, config=trace, identity={"sha256": found, "model": trace.model})

    def _arrival_trace(self, name: str) -> ArrivalTrace | None:
        """The requests of a trace; None where it cannot be read, which is a problem."""
        if self.trace(name) is None:
            return None
        trace = self.config.traces[name]
        try:
            return read_trace(Path(trace.file), model=trace.model)
        except PromptError as error:
            self.problems.add(("traces", name), str(error))
            return None
