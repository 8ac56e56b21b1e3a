"""The scripted provider: three dialects, scripted latency, faults and usage; it renders by itself.

It shares no code with `tidegate.wire`, so that a mistake there cannot hide behind the same mistake here.
"""

from tidegate.upstream.asgi import Upstream
from tidegate.upstream.settings import Settings

__all__ = ["Settings", "Upstream", "app"]


def app(settings: Settings | None = None) -> Upstream:
    """Return the ASGI application."""
    return Upstream(settings or Settings())
