"""Scripts for calls that bring none: a queue used up in turn, some by the model's name, one for the rest."""

from collections import deque
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tidegate.upstream.script import PLAIN, Script, ScriptError, read

MAX_WAITING = 10_000
MAX_MODELS = 1_000
MAX_BYTES = 64 << 20


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A script for the next `times` calls, of one model and below one path where these are named."""

    script: Script
    times: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    model: str = ""
    prefix: str = ""


class _Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    queue: list[dict[str, Any]] = []
    models: dict[str, Script] = {}
    default: Script | None = None
    drop_connections: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class Scenario:
    """What waits for the calls to come. `drop_connections`: how many new connections are closed at once."""

    def __init__(self) -> None:
        self.queue: deque[Item] = deque()
        self.models: dict[str, Script] = {}
        self.default = PLAIN
        self.drop_connections = 0
        self._bytes = 0

    @property
    def idle(self) -> bool:
        """Nothing waits: every call is answered normally."""
        return not self.queue and not self.models and self.default is PLAIN

    def clear(self) -> None:
        """Forget everything."""
        self.queue.clear()
        self.models = {}
        self.default = PLAIN
        self.drop_connections = 0

    def add(self, raw: str | bytes) -> None:
        """Append what a plan, or a list that is its queue, holds; all or nothing. Raises ScriptError."""
        self._bytes = 0 if self.idle else self._bytes
        if self._bytes + len(raw) > MAX_BYTES:
            raise ScriptError(f"what waits would be over {MAX_BYTES >> 20} MB")
        listed = raw.lstrip()[:1] in ("[", b"[")
        plan = _Plan(queue=read(raw, list[dict[str, Any]])) if listed else read(raw, _Plan)
        items = [_item(number, value) for number, value in enumerate(plan.queue)]
        if len(self.queue) + len(items) > MAX_WAITING:
            raise ScriptError(f"the queue would hold over {MAX_WAITING} scripts")
        models = {**self.models, **plan.models}
        if len(models) > MAX_MODELS:
            raise ScriptError(f"over {MAX_MODELS} models would have a script")
        self._bytes += len(raw)
        self.queue.extend(items)
        self.models = models
        if plan.default is not None:
            self.default = PLAIN if plan.default == PLAIN else plan.default
        if plan.drop_connections is not None:
            self.drop_connections = plan.drop_connections

    def replace(self, raw: str | bytes) -> None:
        """Put a plan in the place of everything. Raises ScriptError and changes nothing where it is none."""
        other = Scenario()
        other.add(raw)
        self.queue, self.models, self.default = other.queue, other.models, other.default
        self.drop_connections, self._bytes = other.drop_connections, len(raw)

    def take(self, model: str, path: str) -> Script:
        """Return the script for one call, and use it up where it came from the queue."""
        for number, item in enumerate(self.queue):
            if item.model in ("", model) and path.startswith(item.prefix):
                self._use(number, item)
                return item.script
        return self.models.get(model, self.default)

    def take_unread(self, path: str) -> Script | None:
        """Return the next call's script, where it breaks the connection before the call's body is read.

        The model is in the body, so only an item for any model can do so.
        """
        for number, item in enumerate(self.queue):
            if path.startswith(item.prefix):
                if item.model or not item.script.breaks_at("reading"):
                    return None
                self._use(number, item)
                return item.script
        return None

    def drops(self) -> bool:
        """Whether a new connection is to be closed; one less remains."""
        if not self.drop_connections:
            return False
        self.drop_connections -= 1
        return True

    def shown(self) -> bytes:
        """Return what waits, as JSON."""
        return msgspec.json.encode(
            {
                "waiting": sum(item.times for item in self.queue),
                "models": sorted(self.models),
                "default": self.default is not PLAIN,
                "drop_connections": self.drop_connections,
            }
        )

    def _use(self, number: int, item: Item) -> None:
        if item.times == 1:
            del self.queue[number]
        else:
            self.queue[number] = msgspec.structs.replace(item, times=item.times - 1)


def _item(number: int, value: dict[str, Any]) -> Item:
    try:
        if "script" in value:
            return msgspec.convert(value, Item)
        return Item(script=msgspec.convert(value, Script))
    except (msgspec.ValidationError, ValueError) as error:
        raise ScriptError(f"script {number} of the queue cannot be used: {error}") from None
