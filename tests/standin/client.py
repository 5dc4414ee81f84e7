# What runs when a process on a Mac calls an Apple command: hand the call to the resident process, print its answer.
# A first line with the interpreter and one with COMMAND, this command's path on a Mac, are put above when a Mac boots.
# It starts for every call, so it imports next to nothing.
import _socket
import os
import sys

SOCKET = "/System/Standin/run/darwin.sock"
NO_ANSWER = 70


def main() -> int:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(SOCKET)
    fields = [COMMAND, str(len(sys.argv)), *sys.argv, *(f"{name}={value}" for name, value in os.environ.items())]  # noqa: F821
    request = b"\0".join(os.fsencode(field) for field in fields)
    standard_input = (0).to_bytes(4, sys.byteorder)
    sent = connection.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, standard_input)])
    connection.sendall(request[sent:])
    connection.shutdown(_socket.SHUT_WR)
    answer = b""
    for part in iter(lambda: connection.recv(1 << 16), b""):
        answer = tell(answer + part)
    return show(answer)


def tell(answer: bytes) -> bytes:
    """Print what a command says while it goes on, each as `+length`, a line's end and so many bytes; the rest stays."""
    while answer[:1] == b"+":
        head, ended, said = answer.partition(b"\n")
        if not ended or len(said) < int(head):
            break
        write(1, said[: int(head)])
        answer = said[int(head) :]
    return answer


def show(answer: bytes) -> int:
    if not answer:
        write(2, f"{COMMAND}: the stand-in Mac gave no answer; its log has the reason\n".encode())  # noqa: F821
        return NO_ANSWER
    head, _, output = answer.partition(b"\n")
    code, length = head.split()
    write(1, output[: int(length)])
    write(2, output[int(length) :])
    return int(code)


def write(stream: int, data: bytes) -> None:
    while data:
        data = data[os.write(stream, data) :]


if __name__ == "__main__":
    sys.exit(main())
