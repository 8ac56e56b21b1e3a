"""Which reader a provider's file is for, by what stands in it."""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from tidegate.control.exports import anthropic_costs, anthropic_usage, console, openai_costs, openai_usage
from tidegate.control.exports.export import MOST_LINES, TOO_MANY, Export, Provider, joined
from tidegate.control.exports.pages import Repeats, Saved, pages

_Reader = Callable[[Saved, Repeats], Export]


class _Result(msgspec.Struct, frozen=True):
    object: str = ""
    amount: msgspec.Raw = msgspec.Raw()


class _Bucket(msgspec.Struct, frozen=True):
    results: list[_Result]


class _Page(msgspec.Struct, frozen=True):
    data: list[_Bucket]


def read_provider(provider: Provider, file: str, text: str, repeats: Repeats) -> Export:
    """Return one file: pages of the API, or a table of the console. Raises BadRequest with the place.

    `repeats` is shared by the files of one comparison. Pages of usage and of costs may stand together; one
    on which nothing was used is taken for what the others are.
    """
    if text.strip() and text.lstrip()[0] not in "[{":
        return console.read(provider, file, text, repeats)
    saved = list(pages(file, text))
    readers = [_reader(provider, one) for one in saved]
    usage = openai_usage.read if provider == "openai" else anthropic_usage.read
    default = next((reader for reader in readers if reader is not None), usage)
    found = [(reader or default)(one, repeats) for one, reader in zip(saved, readers, strict=True)]
    return replace(joined(found), more=found[-1].more)


def _reader(provider: Provider, saved: Saved) -> _Reader | None:
    page = saved.decoded(_Page)
    results = [result for bucket in page.data for result in bucket.results]
    if max(len(results), len(page.data)) > MOST_LINES:
        raise saved.place.error(TOO_MANY)
    if not results:
        return None
    if provider == "openai":
        return openai_costs.read if results[0].object == openai_costs.OBJECT else openai_usage.read
    return anthropic_costs.read if bytes(results[0].amount) else anthropic_usage.read
