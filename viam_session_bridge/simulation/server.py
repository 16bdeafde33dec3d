# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated machine as a server: a listening address and the threads behind it."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
import os
import re
import socket
import threading

import grpc

from viam_session_bridge.simulation.base import BaseState, Driver, PROMPT
from viam_session_bridge.simulation.machine import Machine
from viam_session_bridge.simulation.service import Service

# Made when they are needed: a call that waits holds one.
_WORKERS = 128
_OPTIONS = (
    # A port that is in use is an error, not shared.
    ('grpc.so_reuseport', 0),
    # viam-server lets clients ping every 5 s, with or without calls.
    ('grpc.http2.min_ping_interval_without_data_ms', 5000),
    ('grpc.keepalive_permit_without_calls', 1),
)


class SimulatedMachine:
    """
    A Viam machine without hardware: real gRPC (plain), viam-server's session rules, wheeled bases.

    Serves from when it is made until ``stop``, or as a context manager. ``window`` is the
    heartbeat window in seconds, 0.03 to 60; ``record`` the path of a file that every call is
    appended to (see ``CallRecord``); ``driver`` makes calls of its bases slow, or hang. ValueError
    names what is wrong with an argument; OSError: it cannot listen there, or cannot open the
    record.

        with SimulatedMachine(bases=['left', 'right'], window=0.5) as machine:
            channel = grpc.insecure_channel(machine.address)
            ...
            machine.state('left').moving
    """

    def __init__(
        self,
        address: str = '127.0.0.1:0',
        bases: Iterable[str] = ('base',),
        window: float = 2.0,
        record: str | os.PathLike[str] | None = None,
        driver: Driver = PROMPT,
    ):
        _check_address(address)
        names = tuple(bases)
        if not names or '' in names or len(set(names)) < len(names):
            raise ValueError(f'bases must be one or more different names, not {list(names)}')
        self._machine = Machine(names, window, record, driver)
        workers = ThreadPoolExecutor(_WORKERS + len(names), 'simulated-machine')
        self._server = grpc.server(workers, options=_OPTIONS)
        self._server.add_generic_rpc_handlers(Service(self._machine).handlers())
        self._workers = workers
        try:
            self.port: int = _listen(self._server, address)
        except OSError:
            workers.shutdown()
            self._machine.close()
            raise
        unix = address.startswith('unix:')
        self.address = address if unix else f'{address.rpartition(":")[0]}:{self.port}'
        self._expiry = threading.Thread(
            target=self._machine.run_expiry, name='simulated-machine-expiry', daemon=True
        )
        self._expiry.start()
        self._server.start()

    def state(self, base: str) -> BaseState:
        """Return where a base is and how it moves, unrecorded; Refused if there is none."""
        return self._machine.state(base)

    def stop(self) -> None:
        """End all calls and threads, and close the port; the second time does nothing."""
        self._machine.end()
        self._server.stop(grace=None).wait()
        self._expiry.join()
        self._workers.shutdown()
        self._machine.close()

    def __enter__(self) -> 'SimulatedMachine':
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _check_address(address: str) -> None:
    """Raise ValueError unless the address is HOST:PORT or unix:PATH."""
    if re.fullmatch(r'unix:.+', address):
        return
    host_port = re.fullmatch(r'(\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):(\d{1,5})', address)
    if host_port is None or int(host_port[2]) > 65535:
        raise ValueError(f'address must be HOST:PORT (0 to 65535) or unix:PATH, not {address!r}')


def _listen(server: grpc.Server, address: str) -> int:
    """Return the port; OSError, with the reason, if the address is not free or not ours."""
    host, _, port = address.rpartition(':')
    listening = 0
    try:
        if host != 'unix' and int(port):
            # Tried before, because gRPC does not report the reason.
            family = socket.AF_INET6 if host.startswith('[') else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host.strip('[]'), int(port)))
        # Where it cannot listen, grpcio 1.51 returns 0 and later versions raise RuntimeError.
        listening = server.add_insecure_port(address)
        reason = 'gRPC refused it'
    except OSError as error:
        reason = error.strerror or str(error)
    except RuntimeError as error:
        reason = str(error)
    if not listening:
        raise OSError(f'cannot listen on address {address}: {reason}; choose another one')
    return listening
