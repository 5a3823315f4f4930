# SPDX-License-Identifier: Apache-2.0
# zun-cni, a CNI plugin that asks zun's network daemon. Written here by `zund cni install`; make it anew rather than change it.
# An engine waits for this at every start of a sandbox, so nothing is imported that is not needed: what a call costs is mostly the
# interpreter's start. The daemon does everything; this carries the question and the answer, and knows what to say without one.
from _blake2 import blake2b
from _socket import AF_INET, SOCK_STREAM, socket
from posix import _exit, environ, open, read, urandom, write  # noqa: A004 - that of the system
from time import monotonic, sleep

ENDPOINT = "@ENDPOINT@"
PATIENCE_SECONDS = 5.0  # a daemon that is away may be starting again
ANSWER_SECONDS = 60.0
VERSIONS = ["0.3.1", "0.4.0", "1.0.0"]
TRY_AGAIN, BAD_ENVIRONMENT, BAD_CONTENT, UNTRUSTED = (
    11,
    4,
    6,
    101,
)  # codes of the CNI specification; from 100 on our own


def read_all(descriptor: int) -> bytes:
    pieces = []
    while piece := read(descriptor, 65536):
        pieces.append(piece)
    return b"".join(pieces)


def finish(document: bytes, code: int) -> None:
    while document:
        document = document[write(1, document) :]
    _exit(code)  # without taking the interpreter apart


def version_of(config: bytes) -> str:
    told = config.partition(b'"cniVersion"')[2].partition(b'"')[2].partition(b'"')[0].decode("ascii", "replace")
    return told if told in VERSIONS else VERSIONS[-1]


def quoted(text: str) -> str:
    return '"' + "".join(one if one.isascii() and one.isprintable() and one not in '"\\' else "?" for one in text) + '"'


def fail(config: bytes, code: int, message: str, details: object) -> None:
    head = '{"cniVersion": %s, "code": %d, "msg": %s, "details": %s}'
    finish((head % (quoted(version_of(config)), code, quoted(message), quoted(str(details)))).encode(), 1)


def answer_version(config: bytes) -> None:
    supported = ", ".join(map(quoted, VERSIONS))
    finish(f'{{"cniVersion": {quoted(version_of(config))}, "supportedVersions": [{supported}]}}'.encode(), 0)


def seal(key: bytes, nonce: bytes, about: bytes, body: bytes) -> bytes:
    return blake2b(nonce + b"\n" + about + b"\n" + body, key=key, digest_size=32).hexdigest().encode()


def connect(deadline: float) -> tuple[socket, bytes]:
    while True:
        try:
            descriptor = open(ENDPOINT, 0)
            host, port, key = read_all(descriptor).split()
            connection = socket(AF_INET, SOCK_STREAM)
            connection.settimeout(max(0.1, deadline - monotonic()))
            connection.connect((host.decode(), int(port)))
            return connection, bytes.fromhex(key.decode())
        except PermissionError:
            raise
        except (OSError, ValueError):
            if monotonic() >= deadline:
                raise
            sleep(0.1)


def ask(body: bytes) -> tuple[bytes, bytes]:
    started = monotonic()
    connection, key = connect(started + PATIENCE_SECONDS)
    nonce = urandom(16).hex().encode()
    head = b"POST /cni HTTP/1.1\r\nHost: zun-cni\r\nConnection: close\r\nContent-Length: %d\r\nZun-Nonce: %b\r\nZun-Seal: %b\r\n\r\n"
    connection.sendall(head % (len(body), nonce, seal(key, nonce, b"/cni", body)) + body)
    answer = b""
    while True:
        left = started + ANSWER_SECONDS - monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        connection.settimeout(left)
        piece = connection.recv(65536)
        if not piece:
            break
        answer += piece
    if not answer:
        raise ConnectionResetError("it hung up")
    head, _, document = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    status = first.split(b" ")[1] if b" " in first else b""
    shown = [line.partition(b":")[2].strip() for line in lines if line.lower().startswith(b"zun-seal:")]
    if shown != [seal(key, nonce, status, document)]:
        raise ValueError("the answer is not sealed by the daemon")
    return status, document


def main() -> None:
    config = read_all(0)
    command = environ.get(b"CNI_COMMAND", b"")
    if command == b"VERSION":
        answer_version(config)
    if not command:
        fail(
            config,
            BAD_ENVIRONMENT,
            "zun-cni is run by a container engine, which tells it what to do in CNI_COMMAND.",
            "",
        )
    told = b"\0".join(name + b"=" + value for name, value in environ.items() if name.startswith(b"CNI_"))
    try:
        status, document = ask(told + b"\0\0" + config)
    except PermissionError as error:
        fail(config, UNTRUSTED, "Only the user that zun's network daemon runs as may use it.", error)
    except OSError as error:
        fail(config, TRY_AGAIN, "Zun's network daemon does not answer; see whether zund runs.", error)
    except ValueError as error:
        fail(config, UNTRUSTED, "What answered is not zun's network daemon; see whether zund runs.", error)
    else:
        finish(document, 0 if status == b"200" else 1)


if __name__ == "__main__":
    main()
