"""What real models wrote: the answers in DIR/routing, wherever a field holds one."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_FIELDS = ("out", "weak_response", "strong_response")


class Output(NamedTuple):
    """One answer, and where it stands."""

    source: str
    text: str


def outputs(folder: Path) -> Iterator[Output]:
    """Every answer of every JSON-lines file; files without answers give none."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                for text in _answers(json.loads(line)):
                    yield Output(f"{path.name}:{number}", text)


def _answers(row: dict[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        if name in _FIELDS and isinstance(value, str) and value:
            yield value
        elif name == "models" and isinstance(value, dict):
            for answer in value.values():
                if isinstance(answer, dict):
                    yield from _answers(answer)
