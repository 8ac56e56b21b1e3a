"""The catalogue: one golden file per row, which shows what a call looks like.

`python tests/providers/test_catalog.py` writes the files again; read the difference.
"""

import json
from collections.abc import Iterator
from datetime import date
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
from tidegate.providers import catalog
from tidegate.providers.auth import headers_for, models_url_for, url_for
from tidegate.providers.targets import targets

GOLDEN = Path(__file__).parent / "golden"
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
        "prices": provider.prices,
        "verified": provider.verified,
        "models_that_differ": {row.pattern: list(row.refuses) for row in provider.models},
    }


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


def test_the_rows_of_the_first_release_are_there() -> None:
    assert {
        *("openai", "anthropic", "azure", "azure-classic", "mistral", "openrouter", "xai", "scaleway"),
        *("ollama", "vllm", "llamacpp"),
    } <= set(ROWS)


def test_llamacpp_speaks_every_surface() -> None:
    assert set(ROWS["llamacpp"].paths) == set(get_args(Surface))


def test_reasoning_is_outside_for_xai_chat_and_inside_elsewhere() -> None:  # trap M16
    assert catalog.usage_rules(ROWS["xai"], "chat").reasoning == "outside"
    assert catalog.usage_rules(ROWS["xai"], "responses").reasoning == "inside"
    assert {catalog.usage_rules(row, "chat").reasoning for name, row in ROWS.items() if name != "xai"} == {
        "inside"
    }


def test_stated_costs_are_read_where_a_provider_states_them() -> None:  # trap M11
    stated = {
        name: (row.usage.cost_field, row.usage.cost_divisor)
        for name, row in ROWS.items()
        if row.usage.cost_field
    }
    assert stated == {"openrouter": ("cost", 1), "xai": ("cost_in_usd_ticks", 10**10)}


def test_only_promised_places_satisfy_an_eu_policy() -> None:
    accepted = {name for name, row in ROWS.items() if list(_eu(row))}
    assert accepted == {"openai", "azure", "azure-classic", "mistral", "openrouter", "scaleway"}
    assert "" not in {region for name, row in ROWS.items() if name != "scaleway" for region in _eu(row)}


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
