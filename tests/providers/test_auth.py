"""Where a call goes and which headers it carries."""

import msgspec
import pytest

from tidegate.model.errors import ConfigError, Unsupported
from tidegate.model.provider import Deployment
from tidegate.providers.auth import headers_for, key_url_for, models_url_for, url_for
from tidegate.providers.catalog import load

ROWS = load()


def target(provider: str, **fields: object) -> Deployment:
    one = Deployment(name="one", provider=provider, model="m", names=("m",), base_url="https://h/v1")
    return msgspec.structs.replace(one, **fields)


def test_the_key_travels_as_the_provider_wants_it() -> None:
    assert headers_for(ROWS["openai"], target("openai"), "S") == {"authorization": "Bearer S"}
    assert headers_for(ROWS["azure"], target("azure"), "S") == {"api-key": "S"}
    assert headers_for(ROWS["anthropic"], target("anthropic"), "S")["x-api-key"] == "S"


def test_a_missing_key_is_an_error_only_where_one_is_needed() -> None:
    assert headers_for(ROWS["vllm"], target("vllm"), "") == {}
    with pytest.raises(ConfigError, match="'one' has no key"):
        headers_for(ROWS["openai"], target("openai"), "")


def test_the_version_of_the_client_goes_before_that_of_the_row() -> None:  # trap K2
    row = ROWS["anthropic"]
    assert headers_for(row, target("anthropic"), "S")["anthropic-version"] == "2023-06-01"
    sent = {"anthropic-version": "2026-10-21", "anthropic-beta": "a,b"}
    headers = headers_for(row, target("anthropic"), "S", sent)
    assert headers == {**sent, "x-api-key": "S"}


def test_other_headers_of_the_client_stay_behind() -> None:  # case 15
    sent = {"openai-organization": "org", "authorization": "Bearer theirs", "x-forwarded-for": "1"}
    assert headers_for(ROWS["openai"], target("openai"), "S", sent) == {"authorization": "Bearer S"}


def test_the_operators_headers_win_but_never_over_the_key() -> None:
    one = target("anthropic", headers={"Anthropic-Version": "x", "X-API-Key": "theirs", "x-team": "ml"})
    headers = headers_for(ROWS["anthropic"], one, "S", {"anthropic-version": "2026-10-21"})
    assert headers == {"anthropic-version": "x", "x-api-key": "S", "x-team": "ml"}


def test_the_query_and_the_path_of_azure_are_filled_and_quoted() -> None:
    one = target("azure-classic", path_model="a/b?c", query={"api-version": "2025-04-01-preview"})
    assert url_for(ROWS["azure-classic"], one, "chat") == (
        "https://h/v1/openai/deployments/a%2Fb%3Fc/chat/completions?api-version=2025-04-01-preview"
    )


def test_a_surface_that_is_not_spoken_is_refused() -> None:
    with pytest.raises(Unsupported, match="does not speak messages"):
        url_for(ROWS["openai"], target("openai"), "messages")


def test_the_list_of_models_has_an_address_where_there_is_one() -> None:
    assert models_url_for(ROWS["openai"], target("openai")) == "https://h/v1/models"
    assert (
        models_url_for(ROWS["azure-classic"], target("azure-classic"))
        == "https://h/v1/openai/models?api-version=2024-10-21"
    )
    assert models_url_for(ROWS["cohere"], target("cohere")) == ""


def test_a_key_is_probed_where_the_list_is_open_to_everybody() -> None:
    assert key_url_for(ROWS["openrouter"], target("openrouter")) == "https://h/v1/key"
    assert key_url_for(ROWS["openai"], target("openai")) == ""
