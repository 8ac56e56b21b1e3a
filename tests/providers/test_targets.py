"""Rows of the configuration against the catalogue: complete, or told what is wrong."""

from typing import Any

import msgspec
import pytest

from tidegate.config.secret import Secret
from tidegate.config.settings import DeploymentPrice, DeploymentRow, Settings
from tidegate.model.price import Override, PriceSection
from tidegate.model.provider import Deployment
from tidegate.providers.catalog import load
from tidegate.providers.targets import price_section, targets

ROWS = load()
KEY = Secret(env="K")


def row(provider: str, **fields: Any) -> DeploymentRow:
    return DeploymentRow(name="one", provider=provider, model="m", **fields)


def one(provider: str, **fields: Any) -> Deployment:
    found, problems = targets(Settings(deployments=(row(provider, **fields),)), ROWS)
    assert [problem for problem in problems if problem.level == "error"] == []
    return found[0]


BAD: list[tuple[DeploymentRow, str, str]] = [
    (row("opnai", key=KEY), "deployments[0].provider", "did you mean 'openai'?"),
    (row("zzz", key=KEY), "deployments[0].provider", "known: openai, anthropic"),
    (row("OpenAI", key=KEY), "deployments[0].provider", "no provider is called 'OpenAI'"),
    # a local server's address is never a default
    (row("ollama"), "deployments[0]", "state base_url"),
    (row("vllm"), "deployments[0]", "state base_url"),
    (row("openai-compatible"), "deployments[0]", "state base_url"),
    (row("openai"), "deployments[0]", 'key = { env = "OPENAI_API_KEY" }'),
    (row("openai", key=KEY, region="eu1"), "deployments[0].region", "did you mean 'eu'?"),
    (row("azure", key=KEY), "deployments[0]", "needs 'resource'"),
    (row("azure-classic", key=KEY, resource="r"), "deployments[0]", "needs 'deployment'"),
    (row("openai", key=KEY, resource="r"), "deployments[0].resource", "no use for it"),
    (row("openai", key=KEY, api_version="1"), "deployments[0].api_version", "no use for it"),
    (
        row("azure", key=KEY, resource="r", headers={"API-Key": "x"}),
        "deployments[0].headers.API-Key",
        "`key`",
    ),
]


@pytest.mark.parametrize(("given", "path", "says"), BAD)
def test_what_does_not_fit_is_told_by_path(given: DeploymentRow, path: str, says: str) -> None:
    found, problems = targets(Settings(deployments=(given,)), ROWS)
    assert found == ()
    assert [problem.path for problem in problems] == [path]
    assert says in problems[0].message


def test_a_key_in_the_clear_is_a_warning_beyond_this_machine() -> None:
    def warned(url: str, **fields: Any) -> bool:
        _, problems = targets(Settings(deployments=(row("vllm", base_url=url, **fields),)), ROWS)
        return bool(problems)

    assert warned("http://10.0.0.9:8000/v1", key=KEY)
    assert not warned("http://10.0.0.9:8000/v1")
    assert not warned("http://127.0.0.1:8000/v1", key=KEY)
    assert not warned("http://[::1]:8000/v1", key=KEY)
    assert not warned("https://10.0.0.9/v1", key=KEY)


def test_names_default_to_the_model_and_the_secret_is_a_reference() -> None:
    target = one("openai", key=KEY)
    assert (target.names, target.secret, target.base_url) == (("m",), "env:K", "https://api.openai.com/v1")


def test_stated_names_replace_the_model() -> None:
    assert one("openai", key=KEY, names=("x", "y", "x")).names == ("x", "y")


def test_a_region_brings_its_address_and_its_promise() -> None:
    target = one("mistral", key=KEY, region="eu")
    assert target.base_url == "https://api.eu.mistral.ai/v1"
    assert (target.residency, target.jurisdiction) == ("selectable", "eu")


def test_another_address_carries_no_promise_of_the_provider() -> None:
    assert one("scaleway", key=KEY).residency == "contractual"
    assert one("scaleway", key=KEY, base_url="https://proxy.example/v1").residency == "unknown"


def test_the_operators_own_promise_wins() -> None:
    target = one("vllm", base_url="http://127.0.0.1:8000/v1/", region="eu", residency="contractual")
    assert (target.residency, target.jurisdiction, target.base_url) == (
        "contractual",
        "eu",
        "http://127.0.0.1:8000/v1",
    )


def test_an_azure_deployment_is_sent_and_its_model_is_priced() -> None:
    target = one("azure", key=KEY, resource="res", deployment="dep", api_version="preview")
    assert target.base_url == "https://res.openai.azure.com/openai/v1"
    assert (target.model, target.price_model, target.path_model) == ("dep", "m", "dep")
    assert (target.names, target.query) == (("m",), {"api-version": "preview"})


def test_prices_go_by_the_books_names_of_providers() -> None:
    price = DeploymentPrice(currency="EUR", rates={"input": "1"})
    stated = Override(provider="openai", model="n", currency="USD", rates={"input": "2"})
    settings = Settings(
        deployments=(row("xai", key=KEY, region="r", price=price),),
        prices=PriceSection(
            override=(stated, msgspec.structs.replace(stated, provider="scaleway"), stated),
        ),
    )
    rows = price_section(settings, ROWS).override
    assert [one.provider for one in rows] == ["openai", "scaleway", "openai", "x-ai"]
    assert (rows[3].model, rows[3].region, rows[3].currency) == ("m", "r", "EUR")
