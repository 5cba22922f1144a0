"""A short way for ranking requests: from uvicorn's HTTP parser to the application, without ASGI.

ASGI costs a scope, an event, several messages and a walk through uvicorn's and Serve's middleware for each request.
``POST /v1/rank`` needs none of them if its body has arrived together with its head, as nearly every body does. Every
other request takes uvicorn's own way: other routes, longer bodies, pipelined requests, ``Expect`` and upgrades.

The protocol is uvicorn's, so connections, keep-alive, flow control and shutdown stay uvicorn's. ``DirectCycle`` stands
in for its request cycle while a request is answered.
"""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.ingress.asgi import Headers, Receive, Response, request_cycle

_PATH = b"/v1/rank"
_MAX_LAYERS = 16
_LINE = b"%b: %b\r\n"
DirectAnswer = Callable[[Headers, bytes, "DirectCycle"], None]
"""Answers a ranking request, given its headers and body. It calls the cycle's ``finish``, now or later."""


class _NoEvent:
    """Replaces the event on which an ASGI application waits."""

    def set(self) -> None:
        """Do nothing."""


_NO_EVENT = _NoEvent()


class DirectCycle:
    """A request that is answered directly, with the attributes of a request cycle that uvicorn's protocol uses."""

    __slots__ = (
        "_protocol",
        "disconnected",
        "keep_alive",
        "message_event",
        "on_finish",
        "response_complete",
    )

    def __init__(self, protocol: "DirectProtocol", *, keep_alive: bool) -> None:
        """Begin a request on a connection, which stays open after it if ``keep_alive`` is true."""
        self._protocol, self.keep_alive = protocol, keep_alive
        self.disconnected = self.response_complete = False
        self.message_event = _NO_EVENT
        self.on_finish: Callable[[], None] | None = None
        """Called when the request is finished."""

    def is_abandoned(self) -> bool:
        """Return whether the client has left."""
        return self.disconnected

    def finish(self, response: Response | None) -> None:
        """Send the answer, unless the client has left."""
        self.response_complete = True
        if self.on_finish is not None:
            self.on_finish()
        if response is not None and not self.disconnected:
            self._protocol.send(response, keep_alive=self.keep_alive)


class DirectProtocol(HttpToolsProtocol):
    """One connection."""

    _direct: DirectAnswer | None = None
    _body: bytes | None = None
    """The body so far of a request that may be answered directly. Otherwise None."""
    _lines_of: object = None
    _lines = b""

    def data_received(self, data: bytes) -> None:
        """Parse the data. A request whose body is not complete then takes uvicorn's way, which limits its time."""
        super().data_received(data)
        if self._body is not None:
            body, self._body = self._body, None
            if self.parser is not None and not self.transport.is_closing():
                self._begin_asgi()
                super().on_headers_complete()
                super().on_body(body)

    def on_message_begin(self) -> None:
        """Begin a request. Its ASGI scope is not made before it is needed."""
        self.url, self.headers, self.expect_100_continue, self._body = b"", [], False, None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Choose the way of the request."""
        expected = dict(self.headers).get(b"expect")
        self.expect_100_continue = expected is not None and expected.lower() == b"100-continue"
        if self._may_go_direct():
            self._body = b""
            return
        self._begin_asgi()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._body is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Answer the request."""
        if self._body is None:
            super().on_message_complete()
            return
        body, self._body = self._body, None
        assert self._direct is not None
        cycle = DirectCycle(self, keep_alive=self.parser.should_keep_alive())
        self.cycle = cycle  # type: ignore[assignment]
        self._direct(self.headers, body, cycle)

    def send(self, response: Response, *, keep_alive: bool) -> None:
        """Send an answer in one write."""
        parts = [STATUS_LINE[response.status], self._default_lines(), *map(_LINE.__mod__, response.headers)]
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", response.body)
        # Flow control is not needed: a connection has one answer at a time, and it is in memory already.
        self.transport.write(b"".join(parts))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _default_lines(self) -> bytes:
        """Return the lines of the server's own headers. uvicorn replaces their list once per second, for the date."""
        headers = self.server_state.default_headers
        if headers is not self._lines_of:
            self._lines_of, self._lines = headers, b"".join(map(_LINE.__mod__, headers))
        return self._lines

    def _may_go_direct(self) -> bool:
        if self.url != _PATH or self.parser.get_method() != b"POST":
            return False
        if self.expect_100_continue or self.parser.should_upgrade() or self.root_path:
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False  # pipelined
        if self._direct is None:
            self._direct = find_direct(self.app)
        return self._direct is not None

    def _begin_asgi(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)  # the scope has this list


def find_direct(app: Any) -> DirectAnswer | None:
    """Return the direct way into the application behind an ASGI application. None if it has none."""
    for _ in range(_MAX_LAYERS):
        if app is None:
            return None
        target = getattr(app, "direct_target", None)
        if target is not None:
            answer: DirectAnswer | None = target()
            return answer
        app = getattr(app, "app", None)
    return None


def is_direct(receive: Receive) -> bool:
    """Return whether ranking requests on the connection of an ASGI request go directly."""
    owner = getattr(getattr(request_cycle(receive), "on_response", None), "__self__", None)
    return isinstance(owner, DirectProtocol)
