"""Recorded runs of agents and what a reader made of them, in the layout of the data's `SOURCES.md`."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

Label = Literal["loop", "borderline", "clean"]
Half = Literal["tuned", "held out"]


class Recorded(msgspec.Struct, frozen=True):
    """One run, as a line of a file has it."""

    id: str
    messages: list[dict[str, Any]]
    model: str | None = None
    dialect: str = "openai_chat"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A run with its label; of a loop, its first call (from 0) and its kind."""

    run: Recorded
    label: Label
    from_call: int = 0
    kind: str = ""

    @property
    def half(self) -> Half:
        """By a hash of the run's id. Rules were made looking at `tuned` alone."""
        return "held out" if hashlib.sha256(self.run.id.encode()).digest()[0] & 1 else "tuned"


def read(folder: Path) -> list[Labelled]:
    """Return every run of a folder. Raises ValueError for a folder without runs or labels."""
    place = folder / "agents" if (folder / "agents").is_dir() else folder
    files = sorted(place.glob("*.jsonl.gz"))
    if not files or not (place / "LOOPS.tsv").exists():
        raise ValueError(f"{folder}: no runs (agents/*.jsonl.gz) with their LOOPS.tsv are there")
    loops = {row[0]: row for row in _rows(place / "LOOPS.tsv")}
    borderline = {row[0] for row in _rows(place / "BORDERLINE.tsv")}
    found: list[Labelled] = []
    for file in files:
        with gzip.open(file, "rb") as lines:
            for line in lines:
                run = msgspec.json.decode(line, type=Recorded)
                if run.dialect != "openai_chat":
                    raise ValueError(f"{file.name}: {run.id} is in {run.dialect}; only openai_chat is read")
                row = loops.get(run.id)
                if row is not None:
                    found.append(Labelled(run, "loop", int(row[1]), row[2]))
                else:
                    found.append(Labelled(run, "borderline" if run.id in borderline else "clean"))
    return found


def _rows(path: Path) -> Iterator[list[str]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            if line:
                yield line.split("\t")
