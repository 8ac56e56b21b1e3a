"""What the demo's local model writes at temperature 0 where a small model tends to go round in circles."""

import contextlib
import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.early_stop.pieces import Piece
from tidegate.cli.demo.weights import SMOLLM2, cache_folder, is_whole

MAX_TOKENS = 1_600
READY_S = 60.0
TAIL_CHARS = 2_000
LOOPING = 0.15
"""Text that says something compresses to about half; an end that compresses to less than this goes round."""

PROMPTS = (
    *(
        "List one hundred animals.",
        "List all the cities you know.",
        "Name two hundred fruits and vegetables.",
    ),
    *("Write a very long story about a ship.", "Write a poem of one hundred lines about rain."),
    *("Explain, in great detail, how a clock works.", "Write the complete history of bread."),
    *("Give me one hundred tips for a better life.", "List the advantages of walking, as many as you can."),
    *("Write a long dialogue between a cat and a dog.", "Describe every day of a year in a village."),
    *("Write a Python program with fifty functions.", "Write a JSON list of one hundred people."),
    *("Write an HTML page with a long table.", "Write SQL that inserts one hundred customers."),
    *("Schreibe eine lange Geschichte über einen Fluss.", "Nenne hundert deutsche Städte."),
    *("Écris un long conte sur un renard.", "Cite cent villes de France."),
    *("Escribe un cuento largo sobre un faro.", "Enumera cien palabras en español."),
    *("Scrivi una lunga favola su una volpe.", "Elenca cento città italiane."),
    *("Count from one to five hundred in words.", "Recite the alphabet again and again, without an end."),
    *(
        "What is the meaning of life? Think step by step, for as long as you can.",
        "Prove that one equals two.",
    ),
    *("Write a list of synonyms for good, as long as possible.", "Write song lyrics with a long refrain."),
    *("Write a letter that never ends.", "Translate the word water into every language."),
    *("List the numbers that can be divided by seven.", "Keep writing the word banana."),
    *("Write a legal contract with one hundred clauses.", "Write a detailed report about a meeting."),
    *("Invent one hundred names for a robot.", "Write a recipe with one hundred steps."),
)


class Skipped(Exception):  # noqa: N818 - named for the fact
    """Why the local model cannot be asked."""


class Written(NamedTuple):
    """One answer. `degenerate`: it met its limit, and its end goes round; judged without the watch."""

    prompt: str
    pieces: list[Piece]
    degenerate: bool


def written(prompts: int) -> Iterator[Written]:
    """Ask the model, prompt by prompt. Raises Skipped."""
    path = cache_folder(os.environ, sys.platform, Path.home()) / "models" / SMOLLM2.file
    if importlib.util.find_spec("xllamacpp") is None:
        raise Skipped("xllamacpp, which runs the model, is not installed")
    if not path.is_file() or not is_whole(SMOLLM2, path):
        raise Skipped(f"{SMOLLM2.title} is not in the cache; `tidegate demo` downloads it")
    with _served(path) as (url, key):
        for prompt in PROMPTS[:prompts]:
            pieces, finish = _ask(url, key, prompt)
            yield Written(prompt, pieces, finish == "length" and goes_round("".join(p.text for p in pieces)))


def goes_round(text: str) -> bool:
    """Whether the end of a text repeats itself, by how far it compresses."""
    end = text[-TAIL_CHARS:].encode("utf-8", "replace")
    return len(zlib.compress(end, 9)) < LOOPING * len(end)


@contextlib.contextmanager
def _served(path: Path) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as place:
        key, key_file, log = secrets.token_urlsafe(24), Path(place) / "key", Path(place) / "log"
        key_file.touch(mode=0o600)
        key_file.write_text(key)
        command = [sys.executable, "-m", "tidegate.cli.demo.model_server", str(path), str(key_file), "small"]
        with (
            log.open("wb") as out,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out) as child,
        ):
            try:
                yield _ready(child, log), key
            finally:
                child.terminate()


def _ready(child: "subprocess.Popen[bytes]", log: Path) -> str:
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s and child.poll() is None:
        found = re.search(r"serving at (http://\S+)", log.read_text("utf-8", "replace"))
        if found:
            with (
                contextlib.suppress(urllib.error.URLError),
                urllib.request.urlopen(f"{found[1]}/health", timeout=5),
            ):
                return found[1]
        time.sleep(0.1)
    raise Skipped(f"the model's server did not start within {READY_S:.0f} s")


def _ask(url: str, key: str, prompt: str) -> tuple[list[Piece], str]:
    body = {
        "model": "small",
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
        "stream": True,
    }
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    pieces, finish = [], ""
    with urllib.request.urlopen(request, timeout=600) as reply:
        for line in reply:
            data = line.removeprefix(b"data: ").strip()
            if not line.startswith(b"data: ") or data == b"[DONE]":
                continue
            for choice in json.loads(data).get("choices", ()):
                if text := choice["delta"].get("content"):
                    pieces.append(Piece("text", text))
                finish = choice.get("finish_reason") or finish
    return pieces, finish
