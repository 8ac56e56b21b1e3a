"""A provider may send bytes that are no text: they are counted or passed over, never raised."""

import pytest

from tidegate.model.provider import UsageRules
from tidegate.model.request import Surface
from tidegate.wire.registry import CODECS

BROKEN = [
    b'{"type":"\xff"}',
    b'{"choices":[{"delta":{"content":"\xff"}}]}',
    b'{"error":{"message":"\xff"}}',
    b"\xff",
]


@pytest.mark.parametrize("surface", CODECS)
@pytest.mark.parametrize("raw", BROKEN)
def test_bytes_that_are_no_text_are_not_raised(surface: Surface, raw: bytes) -> None:  # trap S5
    codec = CODECS[surface]
    watcher = codec.watch_stream(UsageRules(), injected_usage=False)
    assert watcher.event(b"", raw)
    assert not watcher.facts.complete
    assert codec.read_reply(raw, UsageRules()).usage is None
    assert codec.read_error(raw).error is not None
