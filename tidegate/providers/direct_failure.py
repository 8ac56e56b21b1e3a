"""What went wrong with a call of our own client, in the words of the seam; nothing of what was sent."""

import os
import ssl

from tidegate.providers.transport import Phase, Sent, TransportError, place


def unusable(url: str) -> TransportError:
    """Word an address that is none."""
    return _unsent(f"the address of the call to {place(url)} cannot be used", "connect")


def bad_header(url: str) -> TransportError:
    """Word a header that would break the head."""
    return _unsent(f"a header of the call to {place(url)} holds a control character", "connect")


def closed_before_write(url: str) -> TransportError:
    """Word a connection that was gone when the request should have been written."""
    return _unsent(f"{place(url)} closed the connection without a reply", "send")


def connect_failure(error: Exception, where: str, *, connected: bool) -> TransportError:
    """Word what kept a connection from being made. `connected`: TCP was, TLS was not."""
    match error:
        case ssl.SSLCertVerificationError():
            text = f"the certificate of {where} is not accepted: {error.verify_message}"
            return _unsent(text, "tls")
        case ssl.SSLError():
            return _unsent(f"no TLS with {where}: {error.reason or 'the handshake failed'}", "tls")
        case OSError() if connected:
            return _unsent(f"no TLS with {where}: {os_word(error)}", "tls")
        case LookupFailedError():
            return _unsent(f"the name of {where} is not found", "connect")
        case OSError():
            return _unsent(f"no connection to {where}: {os_word(error)}", "connect")
        case _:
            return _unsent(f"no connection to {where}: {type(error).__name__}", "connect")


def no_connection_in_time(where: str) -> TransportError:
    """Word a place in the pool, or a connection, that did not come within the limit."""
    return _unsent(f"no connection to {where} within the limit", "connect")


def no_head_in_time(url: str, *, uploaded: bool, got_bytes: bool) -> TransportError:
    """Word a reply whose head did not come within the limit."""
    what = "sent no reply" if uploaded else "took no complete request"
    phase: Phase = "first_byte" if uploaded else "send"
    text = f"{place(url)} {what} within the limit"
    return TransportError(text, sent="maybe", got_bytes=got_bytes, phase=phase, timed_out=True)


def lost_before_head(error: Exception | None, url: str, *, uploaded: bool, got_bytes: bool) -> TransportError:
    """Word a connection that ended before a reply's head was whole."""
    where = place(url)
    phase: Phase = "read" if got_bytes else "first_byte" if uploaded else "send"
    if error is not None:
        text = f"the connection to {where} broke: {_word(error)}"
    elif got_bytes:
        text = f"{where} closed the connection inside its reply's head"
    else:
        text = f"{where} closed the connection without a reply"
    return TransportError(text, sent="maybe", got_bytes=got_bytes, phase=phase)


def broken_off(error: Exception | None, url: str) -> TransportError:
    """Word what cut a reply's body."""
    detail = "cut" if error is None else _word(error)
    text = f"the reply of {place(url)} broke off: {detail}"
    return TransportError(text, sent="maybe", got_bytes=True, phase="read")


def in_reply(url: str, what: str, *, phase: Phase, got_bytes: bool = True) -> TransportError:
    """Word what is wrong with a reply; `what` goes on after `the reply of host:port`."""
    sent: Sent = "maybe"
    return TransportError(f"the reply of {place(url)} {what}", sent=sent, got_bytes=got_bytes, phase=phase)


class LookupFailedError(OSError):
    """A host's name has no address."""


def os_word(error: OSError) -> str:
    """Return the system's word for an error."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _word(error: Exception) -> str:
    return os_word(error) if isinstance(error, OSError) else type(error).__name__


def _unsent(text: str, phase: Phase) -> TransportError:
    return TransportError(text, sent="no", got_bytes=False, phase=phase)
