# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Peers on a port of 127.0.0.1 that are no machines: mute, noisy, foreign, or half of one."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import itertools
import os
import socket
import ssl
import threading
import uuid

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from support.ports import free_port
from viam_session_bridge.viam import messages as wire

HUGE = 100 * 1024 * 1024  # bytes
_CHUNK = 16 * 1024  # bytes
_KEPT = 1024 * 1024  # bytes of what was received


class Peer:
    """A listener that has one thread for each of its connections."""

    def __init__(self, port: int = 0, certificate: tuple[str, str] | None = None) -> None:
        """
        Listen.

        :param certificate: paths of a certificate and its key, to speak TLS (and offer h2)
        """
        self.port = port or free_port()
        self.address = f'127.0.0.1:{self.port}'
        self.connections = 0
        self.received = b''
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
            self._tls.set_alpn_protocols(['h2'])
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(('127.0.0.1', self.port))
        threading.Thread(target=self._accept, name='bad peer', daemon=True).start()

    def stop(self) -> None:
        """Close the port and all connections."""
        with self._lock:
            for connection in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def speak(self, connection: socket.socket) -> None:
        """Do to one connection what this peer does; it is closed afterwards."""
        while self._receive(connection):
            pass

    def _receive(self, connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        if len(self.received) < _KEPT:
            self.received += data
        return data

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with self._lock:
                    self._open.add(connection)
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls is not None:
                with self._tls.wrap_socket(connection, server_side=True) as tls:
                    self.speak(tls)
            else:
                self.speak(connection)
        with self._lock:
            self._open.discard(connection)


class Silent(Peer):
    """Takes connections and what comes, and says nothing."""


class HangsUp(Peer):
    """Takes connections and closes them."""

    def speak(self, connection: socket.socket) -> None:
        """Close it."""


class Http1(Peer):
    """A web server of the old kind."""

    def speak(self, connection: socket.socket) -> None:
        """Say so, whatever comes."""
        self._receive(connection)
        connection.sendall(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
        super().speak(connection)


class Noise(Peer):
    """Sends random bytes without end."""

    def speak(self, connection: socket.socket) -> None:
        """Send for as long as someone takes it."""
        while True:
            connection.sendall(os.urandom(_CHUNK))


class Http2(Peer):
    """
    Speaks HTTP/2 and answers each call with a gRPC response of its own making.

    Everything is answered with an empty message and OK, where a subclass does not do otherwise.
    """

    def __init__(self, port: int = 0) -> None:
        self.headers: list[tuple[str, str]] = []
        super().__init__(port)

    def speak(self, connection: socket.socket) -> None:
        """Read requests and answer them, with what flow control allows."""
        _Conversation(self, connection).run()

    def greet(self, talk: _Conversation) -> None:
        """Handle that the other end has sent what it begins with."""

    def answer(self, talk: _Conversation, stream: int, path: str) -> None:
        """Answer one call."""
        talk.ok(stream)


class _Conversation:
    """One HTTP/2 connection of a peer."""

    def __init__(self, peer: Http2, connection: socket.socket) -> None:
        self._peer = peer
        self._connection = connection
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self._h2 = h2.connection.H2Connection(config)
        self._paths: dict[int, str] = {}
        self._bodies: dict[int, Iterator[bytes]] = {}

    def run(self) -> None:
        self._h2.initiate_connection()
        self._flush()
        with contextlib.suppress(h2.exceptions.ProtocolError):
            while data := self._peer._receive(self._connection):
                for event in self._h2.receive_data(data):
                    self._take(event)
                self._pump()
                self._flush()
        self._flush()

    def ok(self, stream: int, message: bytes = b'') -> None:
        """Answer with a message and OK."""
        self.begin(stream)
        self._h2.send_data(stream, _framed(len(message)) + message)
        self._h2.send_headers(stream, [('grpc-status', '0')], end_stream=True)

    def begin(self, stream: int) -> None:
        """Send the headers of an answer."""
        self._h2.send_headers(stream, [(':status', '200'), ('content-type', 'application/grpc')])

    def pour(self, stream: int, body: Iterator[bytes]) -> None:
        """Send chunks, each of at most 16 KiB, as fast as they are taken."""
        self.begin(stream)
        self._bodies[stream] = body

    def reset(self, stream: int, code: h2.errors.ErrorCodes) -> None:
        """Break a call off."""
        self._h2.reset_stream(stream, code)

    def go_away(self) -> None:
        """Say goodbye as a server does that shuts down; nothing was done since stream 0."""
        self._h2.close_connection(last_stream_id=0)
        self._flush()
        raise ConnectionAbortedError

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            headers = [(name.decode(), value.decode()) for name, value in event.headers]
            self._paths[event.stream_id] = dict(headers)[':path']
            self._peer.headers += headers
        elif isinstance(event, h2.events.SettingsAcknowledged):
            self._peer.greet(self)
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._bodies.pop(event.stream_id, None)
        elif isinstance(event, h2.events.StreamEnded):
            with contextlib.suppress(h2.exceptions.StreamClosedError):
                self._peer.answer(self, event.stream_id, self._paths.pop(event.stream_id))

    def _pump(self) -> None:
        for stream, body in [*self._bodies.items()]:
            with contextlib.suppress(h2.exceptions.StreamClosedError):
                while self._h2.local_flow_control_window(stream) >= _CHUNK:
                    self._h2.send_data(stream, next(body))
                    self._flush()

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._connection.sendall(data)


class Huge(Http2):
    """Answers each call with a message of 100 MB, and with more than that."""

    def answer(self, talk: _Conversation, stream: int, path: str) -> None:
        """Begin to."""
        talk.pour(stream, itertools.chain([_framed(HUGE)], itertools.repeat(bytes(_CHUNK))))


class Endless(Http2):
    """Answers each call with messages without end."""

    def answer(self, talk: _Conversation, stream: int, path: str) -> None:
        """Begin to."""
        talk.pour(stream, itertools.repeat(_framed(0) * (_CHUNK // 5)))


class GoesAway(Http2):
    """Sends GOAWAY at each call, as a proxy does whose server is gone."""

    def answer(self, talk: _Conversation, stream: int, path: str) -> None:
        """Go away."""
        talk.go_away()


class GoesAwayAtOnce(Http2):
    """Sends GOAWAY to whoever connects."""

    def greet(self, talk: _Conversation) -> None:
        """Go away."""
        talk.go_away()


class Resets(Http2):
    """Breaks each call off."""

    code = h2.errors.ErrorCodes.INTERNAL_ERROR

    def answer(self, talk: _Conversation, stream: int, path: str) -> None:
        """Break it off."""
        talk.reset(stream, self.code)


class HalfMachine(Http2):
    """Starts sessions as a machine does; what it does otherwise is a subclass's."""

    window = 2.0  # s
    sid = ''  # empty: one of its own for each session

    def answer(self, talk: _Conversation, stream: int, path: str) -> None:
        """Start sessions; take care of the rest."""
        if path == wire.START_SESSION.path:
            window = wire.to_duration(self.window)
            sid = self.sid or str(uuid.uuid4())
            started = wire.START_SESSION.response(id=sid, heartbeat_window=window)
            talk.ok(stream, started.SerializeToString())
        else:
            self.rest(talk, stream, path)

    def rest(self, talk: _Conversation, stream: int, path: str) -> None:
        """Answer any other call."""
        talk.ok(stream)


class ResetsAfterStart(HalfMachine):
    """Starts sessions, and breaks all other calls off."""

    def rest(self, talk: _Conversation, stream: int, path: str) -> None:
        """Break it off."""
        talk.reset(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)


class NeverStops(HalfMachine):
    """Does all but answer a Stop."""

    def rest(self, talk: _Conversation, stream: int, path: str) -> None:
        """Answer what is no Stop."""
        if path != wire.STOP.path:
            talk.ok(stream)


class NoWindow(HalfMachine):
    """A machine whose sessions have a window of nothing."""

    window = 0.0


class BadSessionId(HalfMachine):
    """A machine whose sessions have an id that no call can take along."""

    sid = 'a\nb'


def _framed(length: int) -> bytes:
    """Return what stands before a gRPC message of so many bytes."""
    return bytes(1) + length.to_bytes(4, 'big')
