"""The scripted provider in a thread, on a free port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tidegate.upstream import Settings, Upstream, app
from tidegate.upstream.server import listen, server

STOP_S = 10.0


@dataclass(frozen=True)
class Running:
    """A provider under test. `base_url` ends without `/v1`."""

    base_url: str
    app: Upstream


@contextmanager
def scripted_upstream(**settings: Any) -> Iterator[Running]:
    """Serve until the `with` ends; options are those of `Settings`, the port aside."""
    chosen = Settings(**{"port": 0, **settings})
    provider = app(chosen)
    with listen(chosen) as sock:
        serving = server(provider)
        thread = threading.Thread(target=serving.run, args=([sock],), daemon=True)
        thread.start()
        try:
            yield Running(f"http://127.0.0.1:{sock.getsockname()[1]}", provider)
        finally:
            serving.should_exit = True
            thread.join(STOP_S)
            assert not thread.is_alive(), "the scripted provider did not stop"
