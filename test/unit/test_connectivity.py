# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What is known of a connection, by grpcio's inner channel and by its public way.

Against a real gRPC server, with the oldest grpcio and with the pinned one.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
import threading
import time
from typing import Any

import grpc
import pytest

from viam_session_bridge.viam.connectivity import Connectivity, connectivity_of

BOUND = 30.0  # s
SHORT = 0.2  # s
IDLE, READY = grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.READY
PRIVATE = ['_channel', 'check_connectivity_state', 'watch_connectivity_state']


class Lacking:
    """A channel of a grpcio that has something else in one place."""

    def __init__(self, real: Any, missing: str) -> None:
        self._real, self._missing = real, missing

    def __getattr__(self, name: str) -> Any:
        if name == self._missing:
            raise AttributeError(name)
        there = getattr(self._real, name)
        return Lacking(there, self._missing) if name == '_channel' else there


class Server:
    """A gRPC server without any service."""

    def __init__(self, address: str = '127.0.0.1:0') -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        self.address = f'127.0.0.1:{self._server.add_insecure_port(address)}'
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait(BOUND)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(params=['', *PRIVATE], ids=lambda missing: f'without {missing or "nothing"}')
def connectivity(request: pytest.FixtureRequest, server: Server) -> Iterator[Connectivity]:
    channel = grpc.insecure_channel(server.address)
    connectivity = connectivity_of(Lacking(channel, request.param) if request.param else channel)
    yield connectivity
    connectivity.leave()
    channel.close()


def wait_for(wanted: grpc.ChannelConnectivity, connectivity: Connectivity) -> None:
    """Wait for a state, never longer than for the next change."""
    end = time.monotonic() + BOUND
    while (state := connectivity.state(connect=False)) is not wanted:
        assert time.monotonic() < end, state
        connectivity.wait(state, BOUND)


def test_a_channel_connects_when_it_is_told_to(connectivity: Connectivity) -> None:
    assert connectivity.state(connect=False) is IDLE
    connectivity.wait(IDLE, SHORT)
    assert connectivity.state(connect=False) is IDLE
    connectivity.state(connect=True)
    wait_for(READY, connectivity)


def test_a_wait_for_a_change_ends_with_its_time(connectivity: Connectivity) -> None:
    connectivity.state(connect=True)
    wait_for(READY, connectivity)
    began = time.monotonic()
    connectivity.wait(READY, SHORT)
    assert SHORT - 0.01 <= time.monotonic() - began < BOUND
    assert connectivity.state(connect=True) is READY


def test_the_end_of_a_connection_ends_a_wait(connectivity: Connectivity, server: Server) -> None:
    connectivity.state(connect=True)
    wait_for(READY, connectivity)
    stopping = threading.Timer(SHORT, server.stop)
    stopping.start()
    began = time.monotonic()
    connectivity.wait(READY, BOUND)
    assert time.monotonic() - began < BOUND / 2
    assert connectivity.state(connect=False) is not READY
    stopping.join(BOUND)


def test_a_channel_whose_connection_ended_connects_again_when_told_to(
    connectivity: Connectivity, server: Server
) -> None:
    connectivity.state(connect=True)
    wait_for(READY, connectivity)
    server.stop()
    wait_for(IDLE, connectivity)
    another = Server(server.address)
    try:
        connectivity.state(connect=True)
        wait_for(READY, connectivity)
    finally:
        another.stop()


def test_a_wait_for_what_has_changed_already_is_none(connectivity: Connectivity) -> None:
    connectivity.state(connect=True)
    wait_for(READY, connectivity)
    began = time.monotonic()
    connectivity.wait(IDLE, BOUND)
    assert time.monotonic() - began < BOUND / 2
