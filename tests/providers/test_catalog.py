"""The catalogue: one golden file per row, which shows what a call looks like.

`python tests/providers/test_catalog.py` writes the files again; read the difference.
"""

import json
from collections.abc import Iterator
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tidegate.config.secret import Secret
from tidegate.config.settings import DeploymentRow, Settings
from tidegate.model.errors import ConfigError
from tidegate.model.provider import ErrorClass, ModelRow, Provider
from tidegate.model.reply import ErrorFacts
from tidegate.model.request import Surface
from tidegate.policy.classify_error import classify
from tidegate.policy.residency import satisfies
from tidegate.policy.retry_after import stated_wait
from tidegate.providers import catalog
from tidegate.providers.auth import headers_for, key_url_for, models_url_for, url_for
from tidegate.providers.targets import targets

GOLDEN = Path(__file__).parent / "golden"
PRICE_ROWS = Path(str(resources.files("tidegate.services") / "prices"))
LOCAL = {"ollama", "vllm", "llamacpp", "lmstudio", "sglang"}
COMPATIBLE = {"openai-compatible", "anthropic-compatible"}
ROWS = catalog.load()


def deployed(provider: Provider, region: str = "") -> Any:
    """One deployment of a row, with what it needs and nothing more."""
    row = DeploymentRow(
        name="one",
        provider=provider.name,
        model="a-model",
        key=Secret(env="K") if provider.auth.required else None,
        base_url="" if provider.base_url else "http://127.0.0.1:9/v1",
        region=region,
        resource="res" if "resource" in provider.takes else "",
        deployment="dep" if "deployment" in provider.takes else "",
    )
    found, problems = targets(Settings(deployments=(row,)), ROWS)
    assert problems == ()
    return found[0]


def described(provider: Provider) -> dict[str, Any]:
    """What a call to a row looks like, one line a fact."""
    target = deployed(provider)
    secret = "SECRET" if provider.auth.required or provider.auth.env else ""
    return {
        "urls": {surface: url_for(provider, target, surface) for surface in provider.paths},
        "models": models_url_for(provider, target),
        "models_listed": provider.models_listed,
        "key_probe": key_url_for(provider, target),
        "headers": headers_for(provider, target, secret),
        "passes": list(provider.client_headers),
        "output_limit": {
            surface: catalog.output_limit_field(provider, "a-model", surface) for surface in provider.paths
        },
        "stream_usage": {
            surface: catalog.stream_usage(provider, "a-model", surface) for surface in provider.paths
        },
        "usage": {
            surface: msgspec.to_builtins(catalog.usage_rules(provider, surface)) for surface in provider.paths
        },
        "regions": {
            name: [url_for(provider, deployed(provider, name), next(iter(provider.paths))), region.residency]
            for name, region in provider.regions.items()
        },
        "eu": sorted(_eu(provider)),
        "disconnect": provider.disconnect,
        "default_output_limit": provider.default_output_limit,
        "max_body_bytes": provider.max_body_bytes,
        "capabilities": said(provider.capabilities),
        "refuses": list(provider.refuses),
        "ignores": list(provider.ignores),
        "overlong": provider.overlong,
        "limits": [said(limit) for limit in provider.limits],
        "prices": provider.prices,
        "verified": provider.verified,
        "models_that_differ": {
            row.pattern: {
                "context": row.context_tokens,
                "output": row.max_output_tokens,
                "refuses": list(row.refuses),
                "capabilities": said(row.capabilities),
            }
            for row in provider.models
        },
    }


def said(struct: msgspec.Struct) -> dict[str, Any]:
    """The fields of a struct that say something."""
    every: dict[str, Any] = msgspec.to_builtins(struct)
    return {name: value for name, value in every.items() if value not in (None, "", [], ())}


def _eu(provider: Provider) -> Iterator[str]:
    """The regions that a policy "EU only" accepts; the empty one is no region at all."""
    for region in ("", *provider.regions):
        target = deployed(provider, region)
        if satisfies(target.residency, target.jurisdiction, "eu"):
            yield region


def text_of(provider: Provider) -> str:
    return json.dumps(described(provider), indent=2) + "\n"


@pytest.mark.parametrize("name", ROWS)
def test_a_call_looks_as_recorded(name: str) -> None:
    assert (GOLDEN / f"{name}.json").read_text(encoding="utf-8") == text_of(ROWS[name])


def test_every_golden_file_has_a_row() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_where_and_when_it_was_read(name: str) -> None:
    row = ROWS[name]
    assert row.source
    assert all(model.source for model in row.models)
    for checked in (row.checked, *(model.checked for model in row.models)):
        assert date.fromisoformat(checked) <= date(2026, 12, 31)


@pytest.mark.parametrize("name", ROWS)
def test_an_address_has_no_slash_at_its_end(name: str) -> None:
    row = ROWS[name]
    addresses = [row.base_url, *(region.base_url for region in row.regions.values())]
    assert not [url for url in addresses if url.endswith("/") or (url and not url.startswith("https://"))]
    assert not [path for path in row.paths.values() if not path.startswith("/")]


def test_servers_of_ones_own_have_no_address_and_need_no_key() -> None:
    without = {name for name, row in ROWS.items() if not row.base_url}
    assert without == LOCAL | COMPATIBLE
    assert not [name for name in without if ROWS[name].auth.required or ROWS[name].residency != "unknown"]


def test_every_promised_row_is_there() -> None:
    assert {
        *("openai", "anthropic", "azure", "azure-classic", "mistral", "openrouter", "xai", "scaleway"),
        *("google", "groq", "deepseek", "together", "fireworks", "cerebras", "cohere", "huggingface"),
        *("ovhcloud", "ionos", "nebius", "stackit", "infomaniak"),
        *LOCAL,
    } <= set(ROWS)


def test_llamacpp_speaks_every_surface() -> None:
    assert set(ROWS["llamacpp"].paths) == set(get_args(Surface)) - {"pass"}


def test_reasoning_is_outside_in_chat_where_a_provider_counts_so() -> None:  # trap M16
    outside = {name for name, row in ROWS.items() if catalog.usage_rules(row, "chat").reasoning == "outside"}
    assert outside == {"xai", "google"}
    assert catalog.usage_rules(ROWS["xai"], "responses").reasoning == "inside"


def test_stated_costs_are_read_where_a_provider_states_them() -> None:  # trap M11
    stated = {
        name: (row.usage.cost_field, row.usage.cost_divisor)
        for name, row in ROWS.items()
        if row.usage.cost_field
    }
    assert stated == {"openrouter": ("cost", 1), "xai": ("cost_in_usd_ticks", 10**10)}


def test_only_promised_places_satisfy_an_eu_policy() -> None:
    accepted = {name for name, row in ROWS.items() if list(_eu(row))}
    everywhere = {"scaleway", "ovhcloud", "ionos", "stackit"}
    assert accepted == everywhere | {"openai", "azure", "azure-classic", "mistral", "openrouter"}
    assert everywhere == {name for name in accepted if "" in _eu(ROWS[name])}


def test_switzerland_is_a_place_of_its_own() -> None:
    target = deployed(ROWS["infomaniak"])
    assert satisfies(target.residency, target.jurisdiction, "ch")
    assert not satisfies(target.residency, target.jurisdiction, "eu")


@pytest.mark.parametrize("name", ROWS)
def test_a_price_is_looked_up_under_a_name_of_the_book(name: str) -> None:
    listed = {path.stem for path in PRICE_ROWS.glob("*.jsonl")}
    row = ROWS[name]
    assert row.prices == "" or row.prices in listed
    assert row.prices or name not in listed


@pytest.mark.parametrize("name", ROWS)
def test_limit_headers_are_told_in_full_or_not_at_all(name: str) -> None:
    for limit in ROWS[name].limits:
        assert limit.limit or limit.remaining
        assert bool(limit.reset) == (limit.reset_form is not None)
        named = (limit.limit, limit.remaining, limit.reset)
        assert all(header == header.lower() for header in named)


@pytest.mark.parametrize("name", ROWS)
def test_the_reset_of_every_limit_is_a_wait_that_is_read(name: str) -> None:
    now_us = 1_764_000_000_000_000
    forms = {
        "duration": "5s",
        "seconds": "5.0",
        "milliseconds": "5000",
        "instant": "2025-11-24T16:00:05Z",
        "epoch_ms": "1764000005000",
    }
    for limit in ROWS[name].limits:
        if limit.reset_form is not None:
            headers = {limit.remaining: "0", limit.reset: forms[limit.reset_form]}
            assert stated_wait(headers, now_us=now_us) == 5_000_000, limit


ERRORS: list[tuple[str, int, ErrorFacts, bool, ErrorClass]] = [
    ("openai", 429, ErrorFacts(type="insufficient_quota", code="insufficient_quota"), True, "money"),
    ("openai", 429, ErrorFacts(code="credit_balance_exhausted"), False, "money"),
    ("openai", 429, ErrorFacts(code="rate_limit_exceeded"), True, "rate"),
    ("openai", 503, ErrorFacts(code="server_is_overloaded"), True, "overload"),
    ("openai", 400, ErrorFacts(type="invalid_request_error", code="model_not_found"), False, "model"),
    ("openai", 400, ErrorFacts(code="context_length_exceeded"), False, "context"),
    ("anthropic", 429, ErrorFacts(type="rate_limit_error"), True, "rate"),
    ("anthropic", 429, ErrorFacts(code="enforced_spend_limit_reached"), False, "money"),
    ("anthropic", 402, ErrorFacts(type="billing_error"), False, "money"),
    ("anthropic", 529, ErrorFacts(type="overloaded_error"), False, "overload"),
    ("anthropic", 400, ErrorFacts(message="prompt is too long: 9 tokens > 5"), False, "context"),
    ("azure", 429, ErrorFacts(message="System is experiencing high demand"), True, "overload"),
    ("azure", 429, ErrorFacts(code="429", message="Rate limit is exceeded"), True, "rate"),
    ("azure", 400, ErrorFacts(code="content_filter"), False, "filter"),
    ("azure-classic", 404, ErrorFacts(code="DeploymentNotFound"), False, "model"),
    ("mistral", 400, ErrorFacts(type="invalid_model", code="1500"), False, "model"),
    ("mistral", 429, ErrorFacts(message="service tier capacity exceeded"), False, "overload"),
    ("openrouter", 402, ErrorFacts(code="402"), True, "rate"),
    ("openrouter", 402, ErrorFacts(code="402"), False, "money"),
    ("openrouter", 400, ErrorFacts(message="This endpoint's maximum context length is 1"), False, "context"),
    ("openrouter", 400, ErrorFacts(message="Model x does not exist"), False, "model"),
    ("scaleway", 403, ErrorFacts(), False, "key"),
    ("scaleway", 422, ErrorFacts(), False, "model"),
    ("deepseek", 400, ErrorFacts(message="Model Not Exist"), False, "model"),
    ("fireworks", 412, ErrorFacts(), False, "money"),
    ("groq", 498, ErrorFacts(), False, "overload"),
    ("groq", 413, ErrorFacts(), False, "context"),
    ("llamacpp", 400, ErrorFacts(type="exceed_context_size_error"), False, "context"),
    ("llamacpp", 500, ErrorFacts(message="input (9 tokens) is too large to process."), False, "context"),
    ("llamacpp", 503, ErrorFacts(message="Loading model"), False, "overload"),
    ("vllm", 400, ErrorFacts(message="This model's maximum context length is 9"), False, "context"),
    ("google", 400, ErrorFacts(type="INVALID_ARGUMENT", code="API_KEY_INVALID"), False, "key"),
    ("google", 400, ErrorFacts(message="API key not valid. Please pass a valid one."), False, "key"),
    ("google", 429, ErrorFacts(type="RESOURCE_EXHAUSTED"), False, "rate"),
    ("google", 402, ErrorFacts(), False, "money"),
    ("google", 500, ErrorFacts(message="The input context is too long"), False, "context"),
    ("google", 500, ErrorFacts(message="It took too long"), False, "upstream"),
    ("google", 504, ErrorFacts(type="DEADLINE_EXCEEDED"), False, "overload"),
    ("google", 404, ErrorFacts(type="NOT_FOUND"), False, "model"),
    ("google", 400, ErrorFacts(message="exceeds the maximum number of tokens allowed"), False, "context"),
    ("cohere", 498, ErrorFacts(message="blocked input"), False, "filter"),
    ("cohere", 400, ErrorFacts(message="too many tokens: the limit is 9"), False, "context"),
    ("cohere", 402, ErrorFacts(), False, "money"),
    ("ovhcloud", 403, ErrorFacts(message="Invalid or revoked token"), False, "key"),
    ("ovhcloud", 403, ErrorFacts(message="Resource tag x is forbidden"), False, "model"),
    ("ovhcloud", 429, ErrorFacts(), False, "rate"),
    ("ionos", 429, ErrorFacts(), True, "rate"),
    ("nebius", 402, ErrorFacts(message="budget"), False, "money"),
    ("nebius", 404, ErrorFacts(message="The model x does not exist"), False, "model"),
    ("stackit", 403, ErrorFacts(), False, "key"),
    ("infomaniak", 401, ErrorFacts(), False, "key"),
    ("groq", 424, ErrorFacts(), False, "upstream"),
    ("together", 403, ErrorFacts(message="inputs tokens + max_new_tokens must be <= 9"), False, "context"),
    ("together", 504, ErrorFacts(), False, "overload"),
    ("together", 404, ErrorFacts(code="region_unavailable"), False, "model"),
    ("fireworks", 403, ErrorFacts(), False, "key"),
    ("cerebras", 403, ErrorFacts(), False, "key"),
    ("cerebras", 400, ErrorFacts(message="Current length is 9 while limit is 5"), False, "context"),
    ("cerebras", 429, ErrorFacts(message="We are experiencing high traffic"), False, "overload"),
    ("xai", 400, ErrorFacts(message="Incorrect API key provided"), False, "key"),
    ("lmstudio", 400, ErrorFacts(message="anything"), False, "bad"),
]


@pytest.mark.parametrize(("name", "status", "error", "retry_after", "expected"), ERRORS)
def test_errors_are_classified_by_their_row(  # trap M17
    name: str, status: int, error: ErrorFacts, retry_after: bool, expected: ErrorClass
) -> None:
    assert classify(ROWS[name].errors, status=status, error=error, has_retry_after=retry_after) == expected


@pytest.mark.parametrize(
    ("model", "refuses"),
    [
        ("claude-opus-4-5", ()),
        ("claude-opus-4-6", ("prefill",)),
        ("claude-opus-5", ("prefill", "temperature", "top_p", "top_k")),
        ("claude-opus-5-5-20261001", ("prefill", "temperature", "top_p", "top_k", "tool_choice")),
    ],
)
def test_the_longest_pattern_of_a_model_wins(model: str, refuses: tuple[str, ...]) -> None:
    row = catalog.model_row(ROWS["anthropic"], model)
    assert (row.refuses if row else ()) == refuses


@pytest.mark.parametrize(
    ("name", "model", "field", "expected"),
    [
        ("anthropic", "claude-opus-4-5-20251101", "prefill", "taken"),
        ("anthropic", "claude-opus-4-6", "prefill", "refused"),
        ("anthropic", "claude-of-tomorrow", "prefill", "refused"),
        ("anthropic", "claude-opus-5", "tool_choice", True),
        ("anthropic", "claude-opus-5-5", "tool_choice", False),
        ("mistral", "mistral-large-latest", "prefill", "marked"),
        ("mistral", "codestral-2508", "images", False),
        ("mistral", "mistral-large-2512", "images", True),
        ("groq", "openai/gpt-oss-20b", "images", False),
        ("groq", "openai/gpt-oss-20b", "json_schema", True),
        ("groq", "openai/gpt-oss-20b", "json_schema_excludes", ("stream", "tools")),
        ("groq", "another", "json_schema", False),
        ("ollama", "any", "tool_choice", False),
        ("openrouter", "any", "tools", None),
        ("lmstudio", "any", "prefill", None),
    ],
)
def test_what_a_model_takes_is_its_rows_word_or_its_providers(
    name: str, model: str, field: str, expected: object
) -> None:
    assert getattr(catalog.capabilities(ROWS[name], model), field) == expected


def test_refused_fields_are_the_providers_and_the_models() -> None:
    row = ModelRow(pattern="odd", refuses=("seed",))
    provider = msgspec.structs.replace(ROWS["groq"], models=(row,))
    assert catalog.refused_fields(provider, "even") == set(provider.refuses)
    assert catalog.refused_fields(provider, "odd") == {*provider.refuses, "seed"}


def test_a_model_row_goes_before_its_provider() -> None:
    row = ModelRow(
        pattern="odd-*", output_limit_field="max_completion_tokens", stream_usage="never", surfaces=("chat",)
    )
    provider = msgspec.structs.replace(ROWS["vllm"], models=(row,))
    assert catalog.output_limit_field(provider, "odd-1", "chat") == "max_completion_tokens"
    assert catalog.output_limit_field(provider, "even-1", "chat") == "max_tokens"
    assert catalog.stream_usage(provider, "odd-1", "chat") == "never"
    assert catalog.stream_usage(provider, "odd-1", "messages") == "own"
    assert catalog.surfaces(provider, "odd-1") == ("chat",)


@pytest.mark.parametrize(
    "text",
    [
        "providers = [",
        "[[providers]]\nname = 'x'\n",
        "[[providers]]\nname = 'x'\ntitle = 'X'\npaths = {}\nsource = ''\nchecked = ''\nmore = 1\n",
        "[[providers]]\nname = 'x'\ntitle = 'X'\npaths = { speech = '/a' }\nsource = ''\nchecked = ''\n",
        "[[providers]]\nname = 'x'\ntitle = 'X'\npaths = {}\nsource = ''\nchecked = ''\n" * 2,
    ],
)
def test_a_wrong_row_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="catalogue"):
        catalog.parse(text)


if __name__ == "__main__":
    for each in ROWS.values():
        (GOLDEN / f"{each.name}.json").write_text(text_of(each), encoding="utf-8")
