"""Everything that experiments refer to by name, looked up and identified once."""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from llm_energy.config.engines import (
    EngineImportError,
    EngineTable,
    available_backends,
    read_engine,
)
from llm_energy.config.identity import (
    Declared,
    UnpinnedError,
    environment_identity,
    model_identity,
    prompt_file,
    prompts_identity,
    source_format,
    source_identity,
)
from llm_energy.config.inputs import FilePrompts, ShippedPrompts, Source, SyntheticPrompts
from llm_energy.config.lock import Lock, source_key
from llm_energy.config.model import CampaignConfig
from llm_energy.config.problems import KeyPath, Problems, listed, unknown


class Catalogue:
    """The backends, models and prompt sets of a campaign.

    A look-up returns None where something is wrong with the entry; that is added to `problems`, or
    to `unpinned` where only the pin is missing.
    """

    def __init__(
        self,
        config: CampaignConfig,
        *,
        root: Path,
        lock: Lock,
        problems: Problems,
        unpinned: Problems,
    ) -> None:
        self.config = config
        self.root = root
        self.lock = lock
        self.problems = problems
        self.unpinned = unpinned
        self.tables = self._engine_tables()
        # Many experiments ask for the same few entries.
        self.environment = cache(self._environment)
        self.model = cache(self._model)
        self.tokenizer = cache(self._tokenizer)
        self.prompts = cache(self._prompts)
        self.prompt_count = cache(self._prompt_count)

    def _engine_tables(self) -> dict[str, EngineTable]:
        available = available_backends(self.root)
        tables = {}
        for name in self.config.backends:
            path = ("backends", name)
            if name not in available:
                self.problems.add(path, unknown("backend", name, available))
                continue
            try:
                tables[name] = read_engine(self.root, name)
            except EngineImportError as error:
                self.problems.add(path, f"its engine module cannot be read: {error}")
        return tables

    def _environment(self, backend: str) -> Declared | None:
        config = self.config.backends.get(backend)
        if config is None or backend not in self.tables:
            return None
        try:
            identity = environment_identity(self.root, backend, config, self.lock)
        except UnpinnedError as error:
            self.unpinned.add(("backends", backend, "environment"), str(error))
            identity = {"unpinned": backend}
        return Declared(name=backend, config=config, identity=identity)

    def _model(self, name: str, backend: str) -> Declared | None:
        model, table = self.config.models.get(name), self.tables.get(backend)
        if model is None or table is None:
            return None
        own = backend in model.sources
        source = model.sources[backend] if own else model.source
        path: KeyPath = ("models", name, "sources", backend) if own else ("models", name, "source")
        if source is None:
            self.problems.add(path, f"is missing, and {backend} has none of its own; add a source")
            return None
        pinned = self._pinned(source, path)
        identity = model_identity(source, pinned, table.model_formats)
        if identity is None:
            wanted, native = listed(table.model_formats), source_format(source)
            message = f"{backend} reads {wanted}, and {native} cannot be converted to it"
            remedy = f"give it a source of its own under sources.{backend}"
            self.problems.add(path, f"{message}; {remedy}")
            return None
        return Declared(name=name, config=source, identity=identity)

    def _tokenizer(self, name: str) -> Declared | None:
        model = self.config.models.get(name)
        source = model.tokenizer_source() if model else None
        if model is None or source is None:
            return None
        tail = ("source",) if model.source else ("sources", min(model.sources))
        pinned = self._pinned(source, ("models", name, *tail))
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
        if isinstance(prompts, SyntheticPrompts):
            return Declared(name=name, config=prompts, identity=prompts_identity(prompts, None))
        sha256 = getattr(prompts, "sha256", None)
        if prompt_file(prompts, self.root) is not None:
            found = self._read(name)
            if found is not None and sha256 not in (None, _sha256(found)):
                actual = _sha256(found)
                message = f"is not that of the file; it has {actual}"
                self.problems.add(("prompts", name, "sha256"), message)
            if found is None and sha256 is None:
                self._report_missing(name)
                return None
            sha256 = sha256 or _sha256(found or b"")
        return Declared(name=name, config=prompts, identity=prompts_identity(prompts, sha256))

    def _read(self, name: str) -> bytes | None:
        """The content of the prompt set's file on this machine, if it is there."""
        path = prompt_file(self.config.prompts[name], self.root)
        return path.read_bytes() if path is not None and path.is_file() else None

    def _report_missing(self, name: str) -> None:
        prompts = self.config.prompts[name]
        if isinstance(prompts, ShippedPrompts):
            shipped = [path.stem for path in (self.root / "config/prompts").glob("*.jsonl")]
            message = unknown("shipped prompt set", prompts.shipped, shipped)
            self.problems.add(("prompts", name, "shipped"), message)
        elif isinstance(prompts, FilePrompts):
            message = f"{prompts.file} does not exist; paths start at the working directory"
            self.problems.add(("prompts", name, "file"), message)

    def _prompt_count(self, name: str) -> int | None:
        """How many prompts the set has; None where that cannot be known yet."""
        prompts = self.config.prompts[name]
        if isinstance(prompts, SyntheticPrompts):
            return prompts.synthetic.count
        content = self._read(name)
        if content is None:
            return prompts.limit
        if Path(getattr(prompts, "file", "")).suffix == ".gz":
            content = gzip.decompress(content)
        available = sum(1 for line in content.splitlines() if line.strip())
        if prompts.limit is not None and prompts.limit > available:
            path = ("prompts", name, "limit")
            self.problems.add(path, f"asks for {prompts.limit} of {available} prompts")
        return prompts.limit or available


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
