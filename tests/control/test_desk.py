"""Settings are taken whole: listed, published, or refused with everything as before."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls import begin, end
from tidegate.config.settings import DeploymentPrice, DeploymentRow, Policy, Server, Settings
from tidegate.control.process import Desk, desk
from tidegate.control.registry import decisions
from tidegate.model.errors import ConfigError
from tidegate.model.record import PriceListed, encode
from tidegate.providers.catalog import load
from tidegate.stores.journal import Journal
from tidegate.stores.snapshot import read_snapshot


def row(name: str, provider: str = "vllm", price: str = "") -> DeploymentRow:
    stated = DeploymentPrice(currency="EUR", rates={"output_text": price}) if price else None
    return DeploymentRow(
        name=name, provider=provider, model=name, base_url="http://127.0.0.1:1/v1", price=stated
    )


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    settings = Settings(server=Server(state_dir=str(tmp_path)), deployments=(row("a"),))
    with desk(settings, load()) as taken:
        yield taken


def prices(at: Desk) -> int:
    return sum(isinstance(record, PriceListed) for record in decisions(at.layout.control_journal))


def test_taken_settings_are_published_and_their_prices_listed(at: Desk) -> None:
    before, listed = at.publisher.version, prices(at)
    version = at.take(Settings(deployments=(row("b", price="2"),), policy=Policy(retention_days=7)))
    snapshot = read_snapshot(at.layout.root)
    assert snapshot is not None
    assert (snapshot.version, [one.name for one in snapshot.deployments]) == (version, ["b"])
    assert version > before
    assert prices(at) > listed
    assert at.retention_days == 7


@pytest.mark.parametrize(
    "wrong",
    [
        Settings(deployments=(row("b", provider="nobody"),)),
        Settings(deployments=(row("b"),), aliases={"fast": ("c",)}),
    ],
    ids=["no such provider", "an alias that leads nowhere"],
)
def test_settings_that_cannot_be_served_change_nothing(at: Desk, wrong: Settings) -> None:
    before = read_snapshot(at.layout.root)
    with pytest.raises(ConfigError):
        at.take(wrong)
    assert read_snapshot(at.layout.root) == before
    assert not at.publisher.is_behind
    at.publisher.publish(at.registry)
    after = read_snapshot(at.layout.root)
    assert after is not None
    assert [one.name for one in after.deployments] == ["a"]


def test_calls_that_are_not_over_are_counted_by_gateway_oldest_first(at: Desk) -> None:
    async def main() -> list[int]:
        now_us = at.clock.wall_us()
        journals = [Journal.open(at.layout.gateway_journal, boot=boot) for boot in ("boot1", "boot2")]
        try:
            for ident in ("one", "two"):
                journals[0].begin(ident, encode(begin(ident, at=now_us)))
            await journals[0].synced(journals[0].end("one", encode(end("one", at=now_us))))
            at.catch_up()
            return [gateway.calls for gateway in at.open_calls()]
        finally:
            for journal in journals:
                await journal.close()

    assert asyncio.run(main()) == [1, 0]
    assert at.open_calls() == ()
