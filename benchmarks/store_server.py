"""A server that speaks S3 on this machine, behind a proxy that counts and delays requests, and has faults on demand."""

import http.client
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import unquote

import pytest
from moto.server import ThreadedMotoServer

BUCKET = "bucket-of-tests"
KEY_ID, SECRET = "AKIDOFTESTS7531", "secret-of-tests-9642"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}


@dataclass
class StoreServer:
    """The proxy in front of the server."""

    address: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each, in order."""
    delay_s: float = 0.0
    """Before each answer, as a line far away has."""
    ignored: tuple[str, ...] = ()
    """Headers that the server does not know, such as If-None-Match."""
    before: Callable[[str, str], None] = lambda method, path: None
    """Called before a request is passed on."""
    refusal: Callable[[str, str], str] = lambda method, path: ""
    """The status and the code that a request is answered with in place of what it asks for, as "403 AccessDenied"; or
    "gone" for no answer."""
    seconds: float = 0.0
    """The seconds that the server itself took."""
    root: str = f"s3://{BUCKET}"

    def count(self, method: str, part: str = "") -> int:
        """The requests by that method whose path has that part."""
        return sum(1 for found, path in self.requests if found == method and part in path)


@contextmanager
def store_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreServer]:
    """A running server with an empty bucket, which addresses with s3:// lead to."""
    from whyport.runtime.store import client

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    proxy.daemon_threads = True
    server = StoreServer(f"http://127.0.0.1:{proxy.server_address[1]}")
    _Handler.server_of_tests, _Handler.behind = server, (host, port)
    thread = Thread(target=proxy.serve_forever, args=(0.01,), daemon=True)  # seconds until it sees that it is to end
    thread.start()
    for name, value in {**ENVIRONMENT, client.ENDPOINT: server.address}.items():
        monkeypatch.setenv(name, value)
    client.use_endpoint(server.address)
    for method, path in (("POST", "/moto-api/reset"), ("PUT", f"/{BUCKET}")):
        asked = http.client.HTTPConnection(host, port)
        asked.request(method, path)
        assert asked.getresponse().status == 200
        asked.close()
    try:
        yield server
    finally:
        proxy.shutdown()
        proxy.server_close()
        moto.stop()


def environment(server: StoreServer) -> dict[str, str]:
    """The environment of another process that uses the server."""
    return os.environ | ENVIRONMENT | {"AWS_ENDPOINT_URL": server.address}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_tests: StoreServer
    behind: tuple[str, int]
    lock = Lock()

    def _pass_on(self) -> None:
        server = self.server_of_tests
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(self.path)
        with self.lock:
            server.requests.append((self.command, path))
        server.before(self.command, path)
        if refusal := server.refusal(self.command, path):
            self._refuse(refusal)
            return
        began = time.perf_counter()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in server.ignored}
        asked = http.client.HTTPConnection(*self.behind)
        asked.request(self.command, self.path, body, headers)
        answer = asked.getresponse()
        content = answer.read()
        with self.lock:
            server.seconds += time.perf_counter() - began
        time.sleep(server.delay_s)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)
        asked.close()

    def _refuse(self, refusal: str) -> None:
        if refusal == "gone":
            self.close_connection = True
            return
        status, code = refusal.split()
        content = f"<?xml version='1.0'?>\n<Error><Code>{code}</Code></Error>".encode()
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""
