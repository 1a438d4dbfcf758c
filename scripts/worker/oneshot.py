"""Answer one question in an engine's environment, without a supervisor: JSON in, JSON out.

    {"op": "describe", "backend": B}                  -> {"engine_version", "python_version"}
    {"op": "tokenize", "backend": B, "model_path": P,
     "texts": [..], "template_date": ISO or null}     -> {"token_ids": [[..], ..]}
    {"op": "texts", "backend": B, "model_path": P,
     "token_ids": [[..], ..]}                         -> {"texts": [..]}
    {"op": "convert", "source": GGUF, "target": FOLDER,
     "dtype": D}                                      -> {"files": [name, ..]}

A failure is {"error": message} and exit code 1; what engines print goes to stderr.
"""

import json
import os
import platform
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from worker import protocol
from worker.engines.base import Engine, EngineError, find_engine, resolve_options
from worker.records import RecordError, read_record
from worker.serving.texts import same_text


def _prepared_engine(backend: str) -> Engine:
    """Return the adapter of a backend, in a process whose environment is what its engine needs."""
    engine = find_engine(backend)()
    os.environ.update(engine.environment(resolve_options(engine.OPTIONS, {})))
    return engine


@dataclass(frozen=True)
class Describe:
    backend: str

    def answer(self) -> dict[str, Any]:
        engine = _prepared_engine(self.backend)
        return {
            "engine_version": engine.version(),
            "python_version": platform.python_version(),
        }


@dataclass(frozen=True)
class Tokenize:
    backend: str
    model_path: str
    texts: tuple[str, ...]
    template_date: str | None

    def answer(self) -> dict[str, Any]:
        day = None if self.template_date is None else date.fromisoformat(self.template_date)
        engine = _prepared_engine(self.backend)
        try:
            ids = engine.tokenize(self.model_path, self.texts, template_date=day)
        finally:
            engine.close()
        return {"token_ids": ids}


@dataclass(frozen=True)
class Texts:
    """The texts that stand for prompts where a server takes no token ids."""

    backend: str
    model_path: str
    token_ids: tuple[tuple[int, ...], ...]

    def answer(self) -> dict[str, Any]:
        shorter = [ids[1:] for ids in self.token_ids]
        engine = _prepared_engine(self.backend)
        try:
            texts = engine.detokenize(self.model_path, [*self.token_ids, *shorter])
        finally:
            engine.close()
        again = Tokenize(self.backend, self.model_path, tuple(texts), None).answer()["token_ids"]
        count = len(self.token_ids)
        return {
            "texts": [
                self._choice(i, (texts[i], texts[i + count]), (again[i], again[i + count]))
                for i in range(count)
            ]
        }

    def _choice(self, place: int, texts: Sequence[str], again: Sequence[list[int]]) -> str:
        whole = same_text(self.token_ids[place], *again)
        if whole is None:
            raise EngineError(
                f"prompt {place}: its {len(self.token_ids[place])} tokens are {len(again[0])} when "
                "their text is split again, so that no text stands for it; choose other prompts"
            )
        return texts[0] if whole else texts[1]


@dataclass(frozen=True)
class Convert:
    source: str
    target: str
    dtype: str

    def answer(self) -> dict[str, Any]:
        from worker.convert import convert

        return {"files": convert(Path(self.source), Path(self.target), dtype=self.dtype)}


OPERATIONS: Mapping[str, type[Describe | Tokenize | Texts | Convert]] = {
    "describe": Describe,
    "tokenize": Tokenize,
    "texts": Texts,
    "convert": Convert,
}


def answer(question: bytes) -> dict[str, Any]:
    """Return the answer to one question, with the key `error` where it failed."""
    try:
        message = protocol.decode(question)
        op = message.pop("op", None)
        if op not in OPERATIONS:
            return {"error": f"op: must be one of {', '.join(OPERATIONS)}, not {op!r}"}
        return read_record(OPERATIONS[op], message, op).answer()
    except (EngineError, RecordError, protocol.ProtocolError) as error:
        return {"error": str(error)}
    except Exception as error:  # an engine may raise anything, and the host wants one line
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> int:
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what libraries print must not mix with the answer
        result = answer(sys.stdin.buffer.read())
        answers.write(json.dumps(result) + "\n")
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main())
