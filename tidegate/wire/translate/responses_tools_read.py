"""Read the tools of a Responses request, and whether they must be called."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from tidegate.model.message import Tool, ToolChoice
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.translate import responses_words as words
from tidegate.wire.translate.loss import Loss, decode, said
from tidegate.wire.translate.messages_request_read import tool_type
from tidegate.wire.translate.namespaces import Namespaces

_TOP = words.NamespaceTool(name="")


class Tools:
    """Collects the functions; `called` are those that the conversation has called, so they are loaded."""

    def __init__(
        self, names: Namespaces, called: AbstractSet[str], lost: list[Loss], ignored: list[str]
    ) -> None:
        self._names = names
        self._called = called
        self._lost = lost
        self._ignored = ignored

    def read(self, body: Body) -> tuple[Tool, ...]:
        """Return the tools. Raises BadRequest above `fields.MAX_ELEMENTS`."""
        raw = fields.bounded(body, "tools")
        pieces = decode(words.PIECES, raw, "tools", self._lost) if raw else []
        fields.check_count(len(pieces), "tools")
        found: list[Tool] = []
        for index, piece in enumerate(pieces):
            found += self._tool(bytes(piece), f"tools[{index}]")
            fields.check_count(len(found), "tools")
        return tuple(found)

    def _tool(self, raw: bytes, at: str) -> Iterator[Tool]:
        match kind := tool_type(raw):
            case "function":
                yield self._function(raw, at, _TOP)
            case "namespace":
                yield from self._namespace(raw, at)
            case _:
                self._lost.append(Loss(at, f"a tool of type `{kind[:64]}`"))

    def _namespace(self, raw: bytes, at: str) -> Iterator[Tool]:
        """Read the functions of a namespace, each with what the namespace says of itself (trap K7)."""
        namespace = decode(words.NAMESPACE, raw, at, self._lost)
        self._ignored.append(f"{at}.name")  # stands in the functions' names where they need it
        for index, inner in enumerate(namespace.tools):
            place = f"{at}.tools[{index}]"
            kind = tool_type(inner)
            if kind == "function":
                yield self._function(bytes(inner), place, namespace)
            else:
                self._lost.append(Loss(place, f"a tool of type `{kind[:64]}`"))

    def _function(self, raw: bytes, at: str, namespace: words.NamespaceTool) -> Tool:
        tool = decode(words.FUNCTION, raw, at, self._lost)
        name = self._names.flat(namespace.name, tool.name)
        deferred = bool(tool.defer_loading) and name not in self._called
        if tool.defer_loading and not deferred:
            self._ignored.append(f"{at}.defer_loading")
        if tool.allowed_callers not in (None, [], ["direct"]):
            self._lost.append(Loss(f"{at}.allowed_callers"))
        return Tool(
            name=name,
            description="\n\n".join(filter(None, (namespace.description, tool.description))),
            schema=tool.parameters if said(tool.parameters) else words.NONE,
            strict=tool.strict,
            deferred=deferred,
            at=at,
        )


def tool_choice(body: Body, lost: list[Loss]) -> ToolChoice | None:
    """Return the choice; one of tools that are not functions, or among some of them, is lost."""
    raw = body.value("tool_choice")
    if raw is None:
        return None
    if raw.startswith(b"{"):
        kind = tool_type(raw)
        if kind == "function":
            return ToolChoice(kind="named", name=decode(words.CHOICE, raw, "tool_choice", lost).name)
        lost.append(Loss("tool_choice", f"`{kind[:64]}`"))
        return None
    match choice := body.get("tool_choice", str):
        case "auto" | "none":
            return ToolChoice(kind=choice)
        case "required":
            return ToolChoice(kind="any")
        case other:
            lost.append(Loss("tool_choice", f"`{(other or '')[:32]}`"))
            return None
