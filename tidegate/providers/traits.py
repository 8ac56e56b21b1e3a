"""What a translation must know of the model it writes for, from the catalogue's rows."""

from typing import Literal

from tidegate.model.message import TargetTraits
from tidegate.model.provider import Provider
from tidegate.providers.catalog import capabilities, model_row, output_limit_field, refused_fields

DEFAULT_MAX_OUTPUT = 4096
"""For a dialect that wants a limit, where neither the client nor the row says one."""

_PREFILLS: dict[str | None, Literal["no", "plain", "prefix"]] = {"taken": "plain", "marked": "prefix"}


def traits_of(provider: Provider, model: str) -> TargetTraits:
    """The traits of one model; what nobody says is taken to be possible, and a provider's refusal tells."""
    able, row = capabilities(provider, model), model_row(provider, model)
    own = provider.translation
    limit = row.max_output_tokens if row is not None else None
    limit_field = output_limit_field(provider, model, "chat")
    return TargetTraits(
        refuses=refused_fields(provider, model),
        images=able.images is not False,
        image_urls=able.image_urls is not False,
        documents=able.documents is not False,
        tools=able.tools is not False,
        structured_output=able.json_schema is not False,
        prefill=_PREFILLS.get(able.prefill, "no"),
        system_in_messages=own.system_in_messages,
        cache_marks=own.cache_marks,
        top_k=own.top_k,
        reasoning_field=own.reasoning_field,
        tool_ids=own.tool_ids,
        output_limit_field="max_tokens" if limit_field == "max_tokens" else "max_completion_tokens",
        default_max_output=min(limit or DEFAULT_MAX_OUTPUT, DEFAULT_MAX_OUTPUT),
    )
