"""A static host for the page of examples/browser, which counts what it sends, and adds no header."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

PAGE = "/examples/browser/"


class StaticServer:
    """A server's address, what it has sent, and what it lacks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sent: list[tuple[str, int]] = []
        """Path and bytes of content of each answer that has any."""
        self.lacks: set[str] = set()
        """Paths that are answered with 404."""
        self.port = 0

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.port}{PAGE}?bundle=/bundle/"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The server answers, always at the same port."""
        with ThreadingHTTPServer(("127.0.0.1", self.port), partial(_Handler, self)) as server:
            self.port = server.server_address[1]
            Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield
            finally:
                server.shutdown()


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".wasm": "application/wasm"}

    def __init__(self, host: StaticServer, *arguments: Any) -> None:
        self.host = host
        super().__init__(*arguments, directory=str(host.root))

    def send_head(self) -> Any:
        if self.path.partition("?")[0] in self.host.lacks:
            return self.send_error(404)
        return super().send_head()

    def copyfile(self, source: Any, outputfile: BinaryIO) -> None:  # type: ignore[override]
        content = source.read()
        self.host.sent.append((self.path.partition("?")[0], len(content)))
        outputfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Nothing: tests print their own words alone."""
