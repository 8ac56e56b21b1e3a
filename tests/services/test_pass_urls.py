import msgspec
import pytest

from tidegate.model.errors import BadRequest
from tidegate.model.provider import Deployment, PassThrough
from tidegate.providers.catalog import load
from tidegate.services.pass_urls import CREDENTIALS, pass_url, spoken_at
from tidegate.services.state import outbound_of

OPENAI, GOOGLE = load()["openai"], load()["google"]


def deployed(base_url: str, **more: object) -> Deployment:
    return msgspec.convert(
        {"name": "d", "provider": "p", "model": "*", "names": ["*"], "base_url": base_url, **more},
        Deployment,
    )


@pytest.mark.parametrize(
    ("base_url", "below", "path", "expected"),
    [
        ("https://a.example/v1", "", "/v1/images", "https://a.example/v1/images"),
        ("https://a.example", "", "/v1/images", "https://a.example/v1/images"),
        ("https://a.example/x/v1beta/openai", "/v1beta/openai", "/v1beta/m", "https://a.example/x/v1beta/m"),
        ("https://a.example/proxy/acme", "/v1beta/openai", "/m", "https://a.example/proxy/acme/m"),
    ],
)
def test_a_path_is_added_to_what_the_provider_counts_from(
    base_url: str, below: str, path: str, expected: str
) -> None:
    provider = msgspec.structs.replace(OPENAI, pass_through=PassThrough(below=below))
    assert pass_url(deployed(base_url), provider, path, b"") == expected


@pytest.mark.parametrize("name", sorted(CREDENTIALS))
def test_no_credential_goes_on(name: bytes) -> None:
    sent = b"a=1&" + name.title() + b"=tg_x&b=%20&%" + b"%02x" % name[0] + name[1:] + b"=tg_y"
    assert pass_url(deployed("https://a.example"), OPENAI, "/m", sent) == "https://a.example/m?a=1&b=%20"


def test_the_deployments_query_stands_where_the_client_has_none() -> None:
    one = deployed("https://a.example", query={"api-version": "2"})
    assert pass_url(one, OPENAI, "/m", b"").endswith("/m?api-version=2")
    assert pass_url(one, OPENAI, "/m", b"api-version=3").endswith("/m?api-version=3")


@pytest.mark.parametrize("query", [b"a=\r\nx: y", b"a=\xe4", b"a= b", b"a=1#b"])
def test_what_is_no_query_is_refused(query: bytes) -> None:  # case 14
    with pytest.raises(BadRequest, match="query"):
        pass_url(deployed("https://a.example"), OPENAI, "/m", query)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1beta/openai/chat/completions", "POST /v1/chat/completions"),
        ("/V1beta/openai/Chat/Completions/", "POST /v1/chat/completions"),
        ("/v1beta/models/m:generateContent", ""),
    ],
)
def test_a_path_that_is_a_surface_here_is_known(path: str, expected: str) -> None:
    outbound = outbound_of(deployed(GOOGLE.base_url), GOOGLE, {})
    assert spoken_at(outbound, path) == expected
