from typing import get_args

import pytest

from tidegate.model.provider import PassThrough
from tidegate.policy.passing import Kind, kind_of, tells_usage

KNOWN = PassThrough(free=("/v1/moderations", ":countTokens"), keeps=("/v1/files",))

CASES: list[tuple[str, str, Kind]] = [
    ("GET", "/v1/models", "free"),
    ("HEAD", "/v1beta/models/m", "free"),
    ("GET", "/v1/files", "keeps"),
    ("GET", "/v1/batches/b", "keeps"),
    ("GET", "/v1/tunedmodels", "keeps"),
    ("DELETE", "/v1/fine_tuning/jobs/j", "keeps"),
    ("POST", "/v1/batches/b/cancel", "keeps"),
    ("POST", "/v1/responses/r/cancel", "keeps"),
    ("POST", "/v1/images/generations/cancel", "metered"),
    ("POST", "/v1/batches;x=1", "later"),
    ("POST", "/v1/files", "keeps"),
    ("POST", "/v1/files/f/parts", "keeps"),
    ("POST", "/v1/filesystem", "metered"),
    ("POST", "/V1/FILES", "metered"),
    ("POST", "/v1/moderations", "free"),
    ("POST", "/v1beta/models/m:countTokens", "free"),
    ("POST", "/v1beta/models/m:generateContent", "metered"),
    ("PUT", "/v1/images/generations", "metered"),
    ("POST", "/v1/batches", "later"),
    ("POST", "/v1/messages/batches", "later"),
    ("POST", "/V1/Fine_Tuning/jobs", "later"),
    ("POST", "/v1/threads/t/runs", "later"),
    ("POST", "/v1/videos", "later"),
    ("PATCH", "/v1beta/cachedContents/c", "later"),
    ("POST", "/v1beta/models/m:predictLongRunning", "later"),
    ("POST", "/v1beta/models/m:batchGenerateContent/", "later"),
    ("POST", "/v1/accounts/a/deployments", "later"),
    ("POST", "/openai/deployments/d/images/generations", "metered"),
]


@pytest.mark.parametrize(("method", "path", "expected"), CASES)
def test_a_call_is_of_a_kind(method: str, path: str, expected: Kind) -> None:
    assert kind_of(method, path, KNOWN) == expected


def test_every_kind_is_tried() -> None:
    assert {expected for *_, expected in CASES} == set(get_args(Kind))


def test_nothing_is_free_that_no_row_names() -> None:
    assert kind_of("POST", "/v1/moderations", PassThrough()) == "metered"


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/Audio/Speech/"])
def test_sound_alone_tells_no_usage(path: str) -> None:
    assert not tells_usage(path)


def test_a_transcription_tells_its_usage() -> None:
    assert tells_usage("/v1/audio/transcriptions")
