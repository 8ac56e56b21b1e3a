"""One Tidegate in front of one scripted provider, for all tests of a module."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.served import Served, deployment, served
from tests.support.upstream import Running, scripted_upstream

PRICE = '{ currency = "EUR", rates = { input_uncached = "0.5", cache_read = "0.1", output_text = "2" } }'
CONFIG = """
[aliases]
fast = ["small"]

[[prices.fx]]
base = "USD"
quote = "EUR"
rate = "0.9"
date = 2026-01-01
source = "test"
"""


@dataclass
class Stage:
    """What a test needs: the product, its provider, and a key of tenant acme, team web."""

    served: Served
    upstream: Running
    key: str

    @property
    def base_url(self) -> str:
        return self.served.base_url


def config(upstream: str) -> str:
    """All dialects of the scripted provider, and one deployment that nobody answers, one without a price.

    `local` speaks no Responses.
    """
    return (
        deployment("small", "vllm", f"{upstream}/v1", "small", names='["small", "gpt-small"]', price=PRICE)
        + deployment(
            "claude", "anthropic-compatible", upstream, "claude-x", key='{ env = "ANTHROPIC" }', price=PRICE
        )
        + deployment(
            "dead", "openai-compatible", "http://127.0.0.1:9/v1", "dead", key='{ env = "OTHER" }', price=PRICE
        )
        + deployment(
            "talk", "openai-compatible", f"{upstream}/v1", "talk", key='{ env = "OTHER" }', price=PRICE
        )
        + deployment("local", "sglang", f"{upstream}/v1", "local", price=PRICE)
        + deployment("free", "vllm", f"{upstream}/v1", "unpriced-model")
        + CONFIG
    )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    secrets = {"ANTHROPIC": "sk-ant-secret-of-the-provider", "OTHER": "sk-other-secret-of-the-provider"}
    with (
        scripted_upstream(keep_requests=200) as upstream,
        served(tmp_path_factory.mktemp("served"), config(upstream.base_url), env=secrets) as running,
    ):
        yield Stage(running, upstream, running.key(team="web"))
