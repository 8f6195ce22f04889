"""Workers, each a thread, wait for each other; some come late, go away, or are strangers."""

import concurrent.futures
import socket
import time

import pytest

from gansynth_tf import rendezvous


def addresses(count):
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    found = [f"localhost:{opened.getsockname()[1]}" for opened in sockets]
    for opened in sockets:
        opened.close()
    return found


def connected(address):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            return socket.create_connection(("localhost", int(address.rpartition(":")[2])))
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nobody listens at {address}")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_none_goes_on_before_all_are_here(order):
    names = addresses(3)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = [pool.submit(rendezvous.meet, names, index) for index in order[:2]]
        done, _ = concurrent.futures.wait(first, timeout=1.0)
        assert not done
        last = pool.submit(rendezvous.meet, names, order[2])
        for worker in (*first, last):
            assert worker.result(timeout=20) is None
    for name in names:  # free again, for TensorFlow
        socket.create_server(("", int(name.rpartition(":")[2]))).close()


def test_one_that_has_gone_is_missing_again_and_strangers_do_not_count():
    names = addresses(3)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        chief = pool.submit(rendezvous.meet, names, 0)
        with connected(names[0]) as gone:
            gone.sendall(b"gansynth_tf worker 1 of 3\n")
            time.sleep(0.5)
        with connected(names[0]) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            second = pool.submit(rendezvous.meet, names, 2)
            done, _ = concurrent.futures.wait([chief, second], timeout=1.5)
            assert not done
            pool.submit(rendezvous.meet, names, 1).result(timeout=20)
        chief.result(timeout=20)
        second.result(timeout=20)


@pytest.mark.parametrize("index", [0, 1])
def test_an_address_that_is_taken_is_named(index):
    names = addresses(2)
    port = int(names[index].rpartition(":")[2])
    with socket.create_server(("", port)), pytest.raises(OSError, match="already in use") as caught:
        rendezvous.meet(names, index)
    assert caught.value.filename == names[index]
