"""One message to one target: what goes over the wire, what counts as taken, and what is never said."""

import hashlib
import hmac
import socket
import ssl
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.support.receivers import RAW_KEY, SECRET, MailServer, mail_server, receiver
from tests.support.tls import contexts
from tidegate.config.secret import Secret
from tidegate.config.settings import AlertTarget
from tidegate.control import delivering
from tidegate.control.delivering import Outcome, cut_after, scrubbed
from tidegate.control.notify import deliver, signature, slack_body
from tidegate.control.notify_email import send_email
from tidegate.model.alert import Message, Observation
from tidegate.model.errors import ConfigError

AT_US = 1_794_052_800_000_000
PASSWORD = "hush-hush-0123"
ENV = {"SECRET": SECRET, "PASSWORD": PASSWORD}
ABOUT = Observation(
    event="key_refused",
    subject="gpt",
    text="The provider refuses the key of deployment gpt.",
    facts={"deployment": "gpt", "code": "invalid_api_key"},
    team="web",
)
MESSAGE = Message(id="msg_1", kind="started", about=ABOUT, since_us=AT_US, at_us=AT_US)


def webhook(url: str, **facts: Any) -> AlertTarget:
    return AlertTarget(
        **{"name": "hook", "kind": "webhook", "url": url, "secret": Secret(env="SECRET"), **facts}
    )


def send(target: AlertTarget, env: dict[str, str] | None = None) -> Outcome:
    return deliver(target, MESSAGE, ENV if env is None else env, AT_US + 5_000_000)


def test_a_webhook_is_signed_as_the_specification_says() -> None:
    with receiver() as server:
        assert send(webhook(server.url + "?a=b")) == Outcome(ok=True, said="answered 204")
        (posted,) = server.posted
    assert posted.path == "/hook?a=b"
    assert (posted.headers["webhook-id"], posted.headers["webhook-timestamp"]) == ("msg_1", "1794052805")
    assert posted.headers["content-type"] == "application/json"
    assert posted.is_signed()
    assert not posted.is_signed(RAW_KEY[:-1])
    assert posted.told == {
        "type": "alert.started",
        "timestamp": "2026-11-07T12:00:00Z",
        "data": {
            "event": "key_refused",
            "subject": "gpt",
            "team": "web",
            "text": "The provider refuses the key of deployment gpt.",
            "since": "2026-11-07T12:00:00Z",
            "facts": {"deployment": "gpt", "code": "invalid_api_key"},
        },
    }


def test_a_signature_is_a_hmac_over_id_time_and_body() -> None:
    wanted = hmac.new(RAW_KEY, b'msg_2.7.{"a": 1}', hashlib.sha256).digest()
    assert signature(SECRET, "msg_2", 7, b'{"a": 1}') == "v1," + b64encode(wanted).decode()


@pytest.mark.parametrize(
    "secret",
    ["hush", "whsec_", "whsec_@@@@", b64encode(RAW_KEY).decode(), "whsec_" + b64encode(bytes(23)).decode()],
)
def test_an_unusable_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        signature(secret, "msg", 0, b"")
    assert secret.removeprefix("whsec_") in ("", "@@@@") or secret not in caught.value.message


ANSWERS = [
    ((200, "", "taken"), True, "answered 200 taken", 0),
    ((299, "", ""), True, "answered 299", 0),
    ((302, "location: http://127.0.0.1:1/\r\n", ""), False, "answered 302; redirects are not followed", 0),
    ((400, "", "no\x1b[2J\nmore"), False, "answered 400 no [2J more", 0),
    ((410, "", "gone"), False, "answered 410 gone", 0),
    ((429, "retry-after: 120\r\n", ""), False, "answered 429", 120),
    ((503, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n", ""), False, "answered 503", 0),
    ((503, "retry-after: 99999999999\r\n", ""), False, "answered 503", 0),
]


@pytest.mark.parametrize(("answer", "ok", "said", "wait_s"), ANSWERS, ids=lambda value: str(value)[:30])
def test_only_a_status_of_2xx_is_success(
    answer: tuple[int, str, str], ok: bool, said: str, wait_s: int
) -> None:
    with receiver(answers=[answer]) as server:
        assert send(webhook(server.url)) == Outcome(ok=ok, said=said, retry_after_s=wait_s)
        assert len(server.posted) == 1


def test_what_an_answer_echoes_of_secrets_is_not_said() -> None:
    with receiver() as server:
        server.answers.append((500, "", f"bad {SECRET} at {server.url}/x"))
        target = AlertTarget(name="chat", kind="slack", url_secret=Secret(env="URL"))
        said = send(target, {"URL": f"{server.url}/T0/B0/s3cr3t-0"}).said
        assert "s3cr3t-0" not in said
        server.answers.append((404, "", "no_hook s3cr3t-0-1-2 in B0"))
        assert (
            send(target, {"URL": f"{server.url}/T0/B0/s3cr3t-0-1-2"}).said
            == "answered 404 no_hook [secret] in B0"
        )
        server.answers.append((500, "", f"key {SECRET.removeprefix('whsec_')}"))
        assert send(webhook(server.url)).said == "answered 500 key [secret]"
        server.answers.append((500, "", f"bad {SECRET}"))
        assert send(webhook(server.url)).said == "answered 500 bad [secret]"


def test_a_slack_message_is_text_that_slack_does_not_read_as_markup() -> None:
    sly = Message(
        id="m",
        kind="started",
        about=Observation(event="unpriced_model", subject="<!channel>", text="a & b <!here> @here"),
        since_us=AT_US,
        at_us=AT_US,
    )
    assert b"<" not in slack_body(sly)
    assert b"@here" not in slack_body(sly)
    with receiver() as server:
        target = AlertTarget(name="chat", kind="slack", url_secret=Secret(env="URL"))
        assert send(target, {"URL": server.url}).ok
        (posted,) = server.posted
    assert posted.told == {
        "text": "Tidegate alert: key refused, gpt\nThe provider refuses the key of deployment gpt.",
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


BROKEN = [
    ("http://127.0.0.1:9/x", "Connection refused"),
    ("http://nowhere.invalid/x", "its host name is not found"),
]


@pytest.mark.parametrize(("url", "said"), BROKEN)
def test_what_cannot_be_reached_is_said_without_its_address(url: str, said: str) -> None:
    assert send(webhook(url)) == Outcome(ok=False, said=said)


MISSING = [
    (webhook("http://127.0.0.1:9/", secret=Secret(env="NONE")), "the environment variable NONE is not set"),
    (
        AlertTarget(name="chat", kind="slack", url_secret=Secret(env="PASSWORD")),
        "the address that url_secret names cannot be used: expected a URL such as https://host/path",
    ),
]


@pytest.mark.parametrize(("target", "said"), MISSING, ids=["no secret", "no address"])
def test_a_secret_that_is_not_there_is_told_as_the_outcome(target: AlertTarget, said: str) -> None:
    assert send(target) == Outcome(ok=False, said=said)


def test_a_connection_that_lasts_too_long_is_cut() -> None:
    ours, theirs = socket.socketpair()
    started_s = time.monotonic()
    with ours, theirs, cut_after(lambda: ours, 0.05):
        ours.settimeout(10)
        assert ours.recv(1) == b""
    assert time.monotonic() - started_s < 5


def test_a_connection_that_comes_late_or_anew_is_cut_too() -> None:
    held: list[socket.socket] = []
    started_s = time.monotonic()
    with cut_after(lambda: held[-1] if held else None, 0.05):
        time.sleep(0.2)
        for _ in range(2):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                held.append(ours)
                ours.settimeout(10)
                assert ours.recv(1) == b""
    assert time.monotonic() - started_s < 5


def test_what_others_say_becomes_one_short_line() -> None:
    assert scrubbed("a\r\nb\x1b\u202e" + "c" * 999, ("c" * 999,)) == "a  b  [secret]"
    assert len(scrubbed("x" * 999, ())) == delivering.MOST_SAID


def mail_target(server: MailServer, **facts: Any) -> AlertTarget:
    fields: dict[str, Any] = {
        "name": "mail",
        "kind": "email",
        "smtp": f"127.0.0.1:{server.port}",
        "sender": "tidegate@example.com",
        "to": ("ops@example.com", "ann@example.com"),
    }
    return AlertTarget(**(fields | facts))


USER: dict[str, Any] = {"user": "me", "password": Secret(env="PASSWORD")}


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, whose certificate this process trusts."""
    server, _ = contexts(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    return server


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_tls_with_its_password(tls: ssl.SSLContext, security: str) -> None:
    with mail_server(tls=tls, at_once=security == "tls") as server:
        outcome = send(mail_target(server, security=security, **USER))
        assert outcome == Outcome(ok=True, said="taken by the mail server")
        (mail,) = server.mails
    assert server.to == [["ops@example.com", "ann@example.com"]]
    assert "AUTH over TLS" in server.log
    assert "DATA over TLS" in server.log
    assert mail["subject"] == "[Tidegate] alert: key refused, gpt"
    assert (mail["from"], mail["to"]) == ("tidegate@example.com", "ops@example.com, ann@example.com")
    assert mail["message-id"] == "<msg_1@example.com>"
    body = mail.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().splitlines()[0] == "The provider refuses the key of deployment gpt."
    assert "code: invalid_api_key" in body.decode()


def test_a_mail_server_without_tls_gets_neither_password_nor_message(tls: ssl.SSLContext) -> None:
    with mail_server(tls=tls, offers_tls=False) as server:
        assert not send(mail_target(server, **USER)).ok
        assert not server.mails
        assert "AUTH" not in " ".join(server.log)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_another_host_is_refused(tls: ssl.SSLContext, security: str) -> None:
    with mail_server(tls=tls, at_once=security == "tls") as server:
        elsewhere = f"localhost:{server.port}"
        outcome = send(mail_target(server, security=security, smtp=elsewhere, **USER))
        assert not outcome.ok
        assert outcome.said.startswith("its certificate is not valid: Hostname mismatch")
        assert not server.mails


def test_a_webhook_goes_over_tls_to_whom_its_address_names(tls: ssl.SSLContext) -> None:
    with receiver(tls=tls) as server:
        assert send(webhook(server.url.replace("http:", "https:"))).ok
        said = send(webhook(f"https://localhost:{server.port}/hook")).said
        assert said.startswith("its certificate is not valid: Hostname mismatch")
        assert len(server.posted) == 1


def test_a_webhook_whose_certificate_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    stranger, _ = contexts(tmp_path)
    with receiver(tls=stranger) as server:
        said = send(webhook(server.url.replace("http:", "https:"))).said
        assert said.startswith("its certificate is not valid")
        assert server.posted == []


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    stranger, _ = contexts(tmp_path)
    with mail_server(tls=stranger) as server:
        outcome = send(mail_target(server, **USER))
        assert not outcome.ok
        assert outcome.said.startswith("its certificate is not valid")
        assert not server.mails


def test_mail_that_is_taken_is_taken_whatever_the_farewell_is(tls: ssl.SSLContext) -> None:
    with mail_server(tls=tls, farewell="421 busy") as server:
        assert send(mail_target(server, **USER)).ok
        assert len(server.mails) == 1


@pytest.mark.parametrize("greeting", ["554 go away", "220-one\r\n220-two"])
def test_a_mail_server_that_does_not_greet_gets_nothing(greeting: str) -> None:
    with mail_server(greeting=greeting) as server:
        started_s = time.monotonic()
        outcome = send_email(mail_target(server, security="none"), MESSAGE, ENV, total_s=0.3)
        assert not outcome.ok
        assert time.monotonic() - started_s < 5
        assert server.mails == []


def test_the_encoded_password_is_not_echoed(tls: ssl.SSLContext) -> None:
    with mail_server(tls=tls, knows=("me", "another"), echoes=True) as server:
        outcome = send(mail_target(server, **USER))
    assert outcome.said == "the mail server says 535 not [secret]"


def test_a_refused_password_is_not_echoed(tls: ssl.SSLContext) -> None:
    with mail_server(tls=tls, knows=("me", "another")) as server:
        outcome = send(mail_target(server, **USER))
    assert outcome == Outcome(ok=False, said="the mail server says 535 not [secret]")


def test_recipients_that_are_refused_are_named() -> None:
    with mail_server(refused=("ann@example.com",)) as server:
        outcome = send(mail_target(server, security="none"))
        said = "taken by the mail server, but not for ann@example.com"
        assert outcome == Outcome(ok=True, said=said, partly=True)
        assert server.to == [["ops@example.com"]]
    with mail_server(refused=("ann@example.com", "ops@example.com")) as server:
        outcome = send(mail_target(server, security="none"))
        assert outcome == Outcome(ok=False, said="refused for ann@example.com, ops@example.com")


def test_a_label_cannot_add_a_line_to_a_mails_head() -> None:
    sly = Observation(event="unpriced_model", subject="x\r\nBcc: all@example.com", text="t")
    message = Message(id="msg_2", kind="started", about=sly, since_us=AT_US, at_us=AT_US)
    with mail_server() as server:
        assert deliver(mail_target(server, security="none"), message, ENV, AT_US).ok
        assert "bcc" not in server.mails[0]
