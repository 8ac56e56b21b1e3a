"""Recorded traffic sent through a served Tidegate, and what it recorded of each call."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.acceptance.test_replay import (
    ONE_ATTEMPT,
    SURFACES,
    UNASKED,
    Recorded,
    call,
    client_body,
    exchanges,
    provider_row,
)
from tests.support.served import deployment, served

Row = dict[str, Any]


Cards = dict[str, dict[str, str]]
"""The rates of every card that an amount was recorded by, by the id that its row pins."""


def replayed(directory: Path) -> tuple[Cards, list[tuple[Row, Row]]]:
    """The price cards of the record, and each exchange with the row of its one attempt."""
    rows = [one for dialect in SURFACES for one in exchanges(dialect) if client_body(one) is not None]
    return asyncio.run(_replay(rows, directory))


async def _replay(rows: list[Row], directory: Path) -> tuple[Cards, list[tuple[Row, Row]]]:
    upstream, loop = Recorded(), asyncio.get_running_loop()
    server = await asyncio.start_server(upstream.connection, "127.0.0.1", 0, limit=1 << 24)
    config = _config(rows, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    context = served(directory, config, env={"PROVIDER_KEY": "sk-not-a-real-key-000000"})
    here = await loop.run_in_executor(None, context.__enter__)
    try:
        key = await loop.run_in_executor(None, here.key)
        for exchange in rows:
            upstream.current = exchange
            await call(here, exchange, key, json.dumps(client_body(exchange)).encode())
        requests = await loop.run_in_executor(None, here.settled, len(rows))
        attempts = {row["request_id"]: row for row in here.attempts()}
        cards = {
            row["price_id"]: json.loads(row["content"])["rates"]
            for row in here.rows("SELECT price_id, content FROM price_card")
        }
    finally:
        server.close()
        await loop.run_in_executor(None, context.__exit__, None, None, None)
    assert len(requests) == len(attempts) == len(rows)
    return cards, [(one, attempts[request["id"]]) for one, request in zip(rows, requests, strict=True)]


def _config(rows: list[Row], base_url: str) -> str:
    config = '[policy]\nunpriced = "flag"\n' + ONE_ATTEMPT
    for dialect, provider in sorted({(one["dialect"], one["provider"]) for one in rows}):
        more = {"stream_usage": '"always"'} if provider in UNASKED else {}
        row = provider_row(dialect, provider)
        secret = '{ env = "PROVIDER_KEY" }'
        config += deployment(f"{dialect}-{provider}", row, base_url, "*", key=secret, **more)
    first = rows[0]
    return config + f'\n[aliases]\ndefault = ["{first["dialect"]}-{first["provider"]}/unnamed"]\n'
