import socket

from operations.ssh import prompt_transport


def test_small_packets_are_not_held_back():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        transport = prompt_transport(sock)
        nagle_is_off = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.close()

    assert nagle_is_off
