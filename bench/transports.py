# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A command's way to the machine and back by each transport: `python -m bench.transports`.

Three real viam-servers: in plaintext, by TLS and by WebRTC, the last two with an API key. The
bridge's own channel sends each a SetVelocity in turn, in a network namespace with the loopback
alone, and the time until the answer is taken. The floor is plaintext, in the same run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import queue
import sys
import tempfile
import threading
import time
from typing import Any

import grpc

from bench.summary import conditions, finish, Summary, table
from support.certificates import Authority
from support.namespace import run_module_inside
from support.viam_server import ViamServer
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
    Transport,
)
from viam_session_bridge.core.requests import (
    Answer,
    Authenticate,
    Call,
    Move,
    Outcome,
    Request,
    StartSession,
)
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.viam.channel import Channel

KINDS = ('plaintext', 'TLS', 'WebRTC')
KEY_ID, KEY = '8cf0e0d2-53d3-4b8e-a59d-6d17ee4b8ec7', 'the-key'
PATIENCE = 60.0  # s
WARM_UP = 50  # commands
WINDOW = 60.0  # s; the first machine's session waits until the last machine has started


@dataclass
class Way:
    """One machine, a session there and how long commands took, in ms."""

    channel: Channel
    sid: str
    took: list[float]

    def ask(self, request: Request) -> Answer:
        """Send one call and wait for its answer."""
        answers: queue.Queue[Answer] = queue.Queue()
        call = Call(1, 'machine', request, timeout=5.0)
        self.channel.hand_over(call, lambda _, answer: answers.put(answer))
        answer = answers.get(timeout=PATIENCE)
        assert answer.outcome is Outcome.OK, answer
        return answer

    def drive(self) -> None:
        """Send one command and note how long it took."""
        began = time.monotonic()
        self.ask(Move('base', Velocity(x=0.1), self.sid))
        self.took.append(1e3 * (time.monotonic() - began))


def main() -> int:
    """Measure."""
    options = _options()
    status = run_module_inside('bench.transports', *sys.argv[1:])
    if status is not None:
        return status
    results: dict[str, Any] = conditions()
    with tempfile.TemporaryDirectory(prefix='transports-') as scratch, ExitStack() as stack:
        ways = {kind: stack.enter_context(_way(Path(scratch) / kind, kind)) for kind in KINDS}
        for _ in range(WARM_UP + options.commands):
            for way in ways.values():
                way.drive()
                time.sleep(1.0 / options.rate / len(ways))
        for way in ways.values():
            del way.took[:WARM_UP]
    seen = {kind: Summary.of(way.took) for kind, way in ways.items()}
    floor = seen[KINDS[0]]
    rows = [
        [kind, one.count, one.min, one.median, one.p99, one.max, one.median / floor.median]
        for kind, one in seen.items()
    ]
    print(table(['ms', 'n', 'min', 'median', 'p99', 'max', 'ratio'], rows))
    return finish([], {**results, **{k: asdict(one) for k, one in seen.items()}}, options.json)


@contextmanager
def _way(directory: Path, kind: str) -> Iterator[Way]:
    """Start a machine and connect to it."""
    directory.mkdir()
    if kind == 'plaintext':
        server, ca_file = ViamServer(directory, window=WINDOW), ''
    else:
        server, ca_file = _secured(directory, webrtc=kind == 'WebRTC')
    key = directory / 'key.json'
    key.touch(0o600)
    key.write_text(json.dumps({'api_key_id': KEY_ID, 'api_key': KEY}))
    machine = MachineConfiguration(
        'machine', server.address, not ca_file, 5.0, 256, False,
        transport=Transport.WEBRTC if kind == 'WebRTC' else Transport.DIRECT,
        ca_file=ca_file,
        credentials_file=str(key) if ca_file else '',
        trusted=Path(ca_file).read_bytes() if ca_file else None,
    )  # fmt: skip
    base = BaseConfiguration(
        'base', 'machine', 'base', ('/cmd_vel',), (), SessionsMode.AUTO, DriveMode.VELOCITY,
        0.0, 0.0, 0.0,
    )  # fmt: skip
    ready, failures = threading.Event(), list[BaseException]()
    with server:
        channel = Channel(
            machine, {'base': base}, lambda up: ready.set() if up else None, failures.append
        )
        channel.start()
        try:
            assert ready.wait(PATIENCE), f'{kind}: not connected'
            way = Way(channel, '', [])
            if machine.authenticates:
                way.ask(Authenticate())
            way.sid = way.ask(StartSession('')).sid
            yield way
            assert not failures, failures
        finally:
            channel.close()


def _secured(directory: Path, *, webrtc: bool) -> tuple[ViamServer, str]:
    authority = Authority(directory)
    trusted = authority.ca_file.read_bytes()
    handler = {'type': 'api-key', 'config': {'keys': [KEY_ID], KEY_ID: KEY}}
    extra = {'auth': {'handlers': [handler]}, **authority.issue('127.0.0.1').viam_network()}

    def connect(address: str) -> grpc.Channel:
        tls = grpc.ssl_channel_credentials(trusted)
        return grpc.secure_channel(address, tls, [('grpc.use_local_subchannel_pool', 1)])

    server = ViamServer(
        directory, window=WINDOW, extra=extra, webrtc=webrtc, connect=connect
    )
    return server, str(authority.ca_file)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Round trips by plaintext, TLS and WebRTC.')
    parser.add_argument('--commands', type=int, default=500, help='to each (default: 500)')
    parser.add_argument('--rate', type=float, default=50.0, help='Hz, to each (default: 50)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
