"""Texts written for this, in five languages: poems with refrains, and clauses of contracts."""

import tomllib
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "texts"


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))


_clauses, _poems = _load("clauses.toml"), _load("poems.toml")

PLACES: list[str] = _clauses.pop("places")
CLAUSES: dict[str, list[str]] = {language: found["clauses"] for language, found in _clauses.items()}
"""With places for `thing`, `place`, `days` and `sum`."""
THINGS: dict[str, list[str]] = {language: found["things"] for language, found in _clauses.items()}
POEM_LANGUAGES = tuple(_poems)
REFRAINS: dict[str, str] = {language: found["refrain"] for language, found in _poems.items()}


def words(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


def stanzas(language: str) -> list[str]:
    """Return a poem's stanzas without its refrain."""
    poem: str = _poems[language]["poem"]
    return poem.split("\n\n")


def song(language: str, times: int) -> str:
    """Return a poem with its refrain so many times after every stanza."""
    refrain = "\n".join([REFRAINS[language]] * times)
    return "\n\n".join(f"{stanza}\n\n{refrain}" for stanza in stanzas(language)) + "\n"
