"""Workers wait for each other here, where Python hears signals.

TensorFlow waits too, but deaf: it takes SIGTERM for itself and listens to it once all are there.
So the chief lets the others in one by one, and tells them to begin when none is missing. Its
address is free again by then, for TensorFlow.
"""

import contextlib
import errno
import select
import socket
import time
from collections.abc import Sequence

_HELLO, _BEGIN = "gansynth_tf worker {} of {}\n", b"begin\n"
_POLL_SECONDS = 0.2
_CONNECT_SECONDS = 2.0


def meet(addresses: Sequence[str], index: int) -> None:
    """Returns when every worker has called it.

    Args:
      addresses: HOST:PORT of every worker, the chief's first.
      index: of this worker.

    Raises:
      OSError: another process listens at this worker's address.
    """
    host, port = _host_and_port(addresses[index])
    with _listening(host, port) as server:
        if index == 0:
            _gather(server, len(addresses))
    if index:
        _join(_host_and_port(addresses[0]), _HELLO.format(index, len(addresses)).encode())


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(("", port))
    except OSError as error:
        reason = "Address already in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise OSError(error.errno, f"{reason} (TF_CONFIG)", f"{host}:{port}") from error


def _gather(server: socket.socket, count: int) -> None:
    """The chief's part: until ``count - 1`` others are here at once."""
    expected = {_HELLO.format(index, count).encode() for index in range(1, count)}
    with contextlib.ExitStack() as opened:
        here: dict[socket.socket, bytes] = {}
        while set(here.values()) != expected:
            readable, _, _ = select.select([server, *here], [], [], _POLL_SECONDS)
            for connection in readable:
                if connection is server:
                    guest = opened.enter_context(server.accept()[0])
                    guest.settimeout(_CONNECT_SECONDS)
                    hello = _received(guest, max(map(len, expected), default=0))
                    if hello in expected:
                        here[guest] = hello
                elif not _received(connection, 1):  # it has ended
                    del here[connection]
        for connection in here:
            with contextlib.suppress(OSError):
                connection.sendall(_BEGIN)
        for connection in here:  # the others close first, so that the address is free at once
            connection.settimeout(_CONNECT_SECONDS)
            _received(connection, 1)


def _join(chief: tuple[str, int], hello: bytes) -> None:
    """Any other's part: until the chief says so. A chief that ends is waited for again."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(chief, _CONNECT_SECONDS) as own:
            own.sendall(hello)
            own.settimeout(None)
            while not select.select([own], [], [], _POLL_SECONDS)[0]:
                pass
            if own.recv(len(_BEGIN)) == _BEGIN:
                return
        time.sleep(_POLL_SECONDS)


def _received(connection: socket.socket, size: int) -> bytes:
    """What has come, at most ``size`` bytes; nothing where the other side has ended."""
    try:
        return connection.recv(size)
    except OSError:
        return b""
