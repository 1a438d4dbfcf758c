"""Chat templates rendered as on one date: many print today's, and token ids must not change."""

from datetime import date, datetime, time

from worker.engines.base import EngineError
from worker.gguf import GgufError, read_metadata

DIRECTIVES = (*(f"-{letter}" for letter in "dmHIMSjy"), *"aAbBcdDeFgGhHIjklmMnpPrRStTuUVwWxXyY")
"""Directives of strftime that do not depend on the time zone, each after a `%`."""


def midnight(day: date) -> datetime:
    """Return the moment that a template takes for now."""
    return datetime.combine(day, time())


def rendered_on(template: str, day: date) -> str:
    """Return a template that engines other than Transformers render as it does on `day`.

    They define `strftime_now` themselves, which a macro of that name hides. llama.cpp also defines
    `date_string` and `datetime`, which Transformers does not. Only string methods that all engines
    have are used, and no blank or line end is added to what is rendered.
    """
    now = midnight(day)
    values = "".join(f".replace('%{d}', '{now.strftime('%' + d)}')" for d in DIRECTIVES)
    return (
        f"{{%- macro strftime_now(format) -%}}{{{{- format{values} -}}}}{{%- endmacro %}}\n"
        "{%- set date_string = not_defined %}\n{%- set datetime = not_defined %}\n"
        f"{template}"
    )


def template_of_gguf(model_path: str) -> str:
    """Return the chat template of a GGUF file.

    Raises:
        EngineError: it has none, and engines would take another model's; or it cannot be read.
    """
    try:
        template = read_metadata(model_path).get("tokenizer.chat_template")
    except GgufError as error:
        raise EngineError(str(error)) from error
    if not isinstance(template, str) or not template.strip():
        raise EngineError(no_template(model_path))
    return template


def no_template(model_path: str) -> str:
    """Return the message about a model without a chat template."""
    return (
        f"{model_path}: the model has no chat template; set `chat_template: false`, or take a "
        "model that has one"
    )
