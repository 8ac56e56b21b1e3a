"""Functions within namespaces, which other dialects do not have (trap K7): one flat name for each."""

from collections import Counter
from typing import NamedTuple

import msgspec

from tidegate.wire.body import Body

SEPARATOR = "__"


class _Listed(msgspec.Struct):
    name: str = ""
    type: str = ""
    tools: "list[_Listed]" = []


_listed = msgspec.json.Decoder(list[_Listed])


class Place(NamedTuple):
    """A function's namespace, empty for one at the top, and its name there."""

    namespace: str
    name: str


class Namespaces:
    """The names of one request's functions.

    A function keeps its own name where no other has it, else its namespace stands before it.
    """

    __slots__ = ("_flat", "_places")

    def __init__(self, places: list[Place]) -> None:
        names = Counter(place.name for place in places)
        taken = {place.name for place in places if not place.namespace}
        self._flat: dict[Place, str] = {}
        self._places: dict[str, Place] = {}
        for place in dict.fromkeys(place for place in places if place.namespace):
            flat = place.name if names[place.name] == 1 else place.namespace + SEPARATOR + place.name
            if flat in taken:
                continue  # two that would be one: the client's own names say no more
            taken.add(flat)
            self._flat[place] = flat
            self._places[flat] = place

    def flat(self, namespace: str, name: str) -> str:
        """Return the name that another dialect knows a function by."""
        return self._flat.get(Place(namespace, name), name)

    def place(self, flat: str) -> Place:
        """Return where the function of a flat name stands."""
        return self._places.get(flat, Place("", flat))


def namespaces_of(body: Body) -> Namespaces:
    """Return the names of a request's functions; none where its tools cannot be read."""
    raw = body.value("tools") or b"[]"
    try:
        tools = _listed.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return Namespaces([])
    places: list[Place] = []
    for tool in tools:
        if tool.type == "namespace":
            places += [Place(tool.name, inner.name) for inner in tool.tools]
        elif tool.name:
            places.append(Place("", tool.name))
    return Namespaces(places)
