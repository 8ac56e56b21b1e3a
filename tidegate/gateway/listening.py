"""Listening sockets, made before there is a process that serves them."""

import socket

from tidegate.config.settings import host_port
from tidegate.model.errors import ConfigError


def bound(address: str, backlog: int = 128) -> socket.socket:
    """A listening TCP socket. Raises ConfigError where the address cannot be had."""
    host, port = host_port(address)
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise ConfigError(f"cannot listen on {address}: {error.strerror}; choose another address") from None
    sock.listen(backlog)
    sock.setblocking(False)
    return sock
