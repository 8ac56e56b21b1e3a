"""From aiohttp's exceptions to ours: what happened and how far it got, without what was sent."""

import os
import ssl

import aiohttp

from tidegate.providers.transport import Phase, Sent, TransportError, place


def connect_failure(error: Exception, url: str) -> TransportError:
    """Word what kept a connection from being made; nothing was sent."""
    where = place(url)
    phase: Phase = "connect"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause = error.certificate_error
            detail = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "refused"
            text, phase = f"the certificate of {where} is not accepted: {detail}", "tls"
        case aiohttp.ClientConnectorSSLError():
            text, phase = f"no TLS with {where}: {error.os_error.strerror or 'the handshake failed'}", "tls"
        case TimeoutError():
            text = f"no connection to {where} within the limit"
        case aiohttp.ClientConnectorDNSError():
            text = f"the name of {where} is not found"
        case aiohttp.ClientConnectorError():
            text = f"no connection to {where}: {_word(error.os_error)}"
        case ValueError() | aiohttp.NonHttpUrlClientError():
            text = f"the address of the call to {where} cannot be used"
        case _:
            text = f"no connection to {where}: {type(error).__name__}"
    return TransportError(text, sent="no", got_bytes=False, phase=phase)


def reply_failure(error: Exception, url: str, *, sent: Sent, uploaded: bool) -> TransportError:
    """Word what kept a reply's head from coming once there was a connection."""
    where = place(url)
    got_bytes = False
    phase: Phase = "first_byte" if uploaded else "send"
    match error:
        case TimeoutError():
            text = f"{where} {'sent no reply' if uploaded else 'took no complete request'} within the limit"
        case aiohttp.ClientResponseError():
            # aiohttp gives these the status 400, which is its own word and not the provider's
            text, got_bytes, phase = f"the head of {where}'s reply is malformed or too large", True, "read"
        case aiohttp.ServerDisconnectedError() if not isinstance(error.message, str):
            text, got_bytes, phase = f"{where} closed the connection inside its reply's head", True, "read"
        case aiohttp.ServerDisconnectedError():
            text = f"{where} closed the connection without a reply"
        case OSError():
            text = f"the connection to {where} broke: {_word(error)}"
        case ValueError():
            text, sent, phase = f"a header of the call to {where} holds a control character", "no", "connect"
        case _:
            text = f"the call to {where} failed: {type(error).__name__}"
    timed_out = isinstance(error, TimeoutError)
    return TransportError(text, sent=sent, got_bytes=got_bytes, phase=phase, timed_out=timed_out)


def body_failure(error: Exception, url: str) -> TransportError:
    """Word what cut a reply's body."""
    detail = "cut" if isinstance(error, aiohttp.ClientPayloadError) else type(error).__name__
    if isinstance(error, OSError):
        detail = _word(error)
    return TransportError(
        f"the reply of {place(url)} broke off: {detail}", sent="maybe", got_bytes=True, phase="read"
    )


def _word(error: OSError) -> str:
    """Return the system's word for an error; aiohttp puts the whole URL into its own."""
    return os.strerror(error.errno) if error.errno else type(error).__name__
