# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Who published a message (R1): rcl, Cyclone DDS, and libraries that are not as expected.

The false libraries write memory as the real ones do, so that what is proved is what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import ctypes
import struct
import time
from types import SimpleNamespace
from typing import Any, TYPE_CHECKING, TypeVar

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')

from geometry_msgs.msg import Twist, Vector3  # noqa: E402
from rclpy.impl.implementation_singleton import rclpy_implementation  # noqa: E402
from rclpy.serialization import deserialize_message  # noqa: E402
from rclpy.utilities import get_rmw_implementation_identifier  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from viam_session_bridge.ros import publisher_gids  # noqa: E402
from viam_session_bridge.ros.publisher_gids import (  # noqa: E402
    Allocator,
    Buffer,
    cyclone_gids,
    CycloneGids,
    KEPT,
    RclTaker,
    Received,
    take,
    TAKE_FAILED,
    taker,
    UnknownPublisherError,
    UNSUPPORTED,
)
from viam_session_bridge.ros.subscription import OutsideExecutor  # noqa: E402

if TYPE_CHECKING:
    from rclpy.node import Node

T = TypeVar('T')
BOUND = 30.0  # s
NAME_AT = 0x7F12_3456_7890
"""The address of the middleware's name."""
GID, GID_OF_HUMBLE = bytes(range(1, 17)), bytes(range(1, 25))
POINTER = 0x5500_1234


class Handle:
    """A subscription's, which has a pointer while it is in use."""

    pointer = 0

    def __enter__(self) -> None:
        self.pointer = POINTER

    def __exit__(self, *_: object) -> None:
        self.pointer = 0


def info(gid: bytes = GID, name_at: int = NAME_AT, number: int = 7) -> bytes:
    """Return an `rmw_message_info_t`."""
    return struct.pack(f'=qqQQQ{len(gid)}s?', 10**18, 5, number, 6, name_at, gid, False)


class FalseRcl:
    """What is called of rcl, rcutils and rmw."""

    def __init__(self, size: int = 64, zero: bytes | None = None) -> None:
        """
        Make one whose subscription has no message.

        :param size: of its message infos
        :param zero: what it makes of them before it takes; None: zeros
        """
        self.messages: list[tuple[bytes, bytes]] = []  # serialized, info
        self.endless = False
        self.code = 0
        self.resets = 0
        self.released: list[int] = []  # capacities
        self._memory: Any = None
        zeros = bytes(size) if zero is None else zero

        def take(pointer: int, buffer_at: int, info_at: int, allocation: None) -> int:
            assert pointer == POINTER
            ctypes.memmove(info_at, zeros, len(zeros))
            if self.code:
                return self.code
            if not self.messages:
                return TAKE_FAILED
            serialized, written = self.messages[0] if self.endless else self.messages.pop(0)
            ctypes.memmove(info_at, written, len(written))
            buffer = Buffer.from_address(buffer_at)
            self._memory = ctypes.create_string_buffer(serialized, max(len(serialized), 1))
            buffer.data, buffer.length = ctypes.addressof(self._memory), len(serialized)
            buffer.capacity = len(serialized)
            return 0

        def release(buffer: Any) -> None:
            self.released.append(buffer._obj.capacity)
            buffer._obj.data = buffer._obj.length = buffer._obj.capacity = 0

        def reset() -> None:
            self.resets += 1

        self.library = SimpleNamespace(
            rcl_take_serialized_message=take,
            rcutils_get_default_allocator=lambda: Allocator(),
            rcutils_uint8_array_fini=release,
            rcutils_reset_error=reset,
            rmw_get_implementation_identifier=lambda: NAME_AT,
        )


def proved(rcl: FalseRcl, gid_length: int = 16) -> Callable[[], Received | None]:
    """Return what takes a message, with the layout proved."""
    taker = RclTaker(rcl.library)
    taker.prove_layout(Handle(), gid_length)
    return lambda: taker.take(Handle(), String)


@pytest.mark.parametrize(
    ('size', 'gid'),
    [(64, GID), (57, GID), (72, GID_OF_HUMBLE)],
    ids=['Jazzy and later', 'with its padding left out', 'Humble'],
)
def test_a_layout_that_is_right_is_accepted(size: int, gid: bytes) -> None:
    rcl = FalseRcl(size)
    take = proved(rcl, len(gid))
    assert take() is None
    rcl.messages += [(b'one', info(gid)), (b'', info(gid, number=8))]
    assert take() == (b'one', gid, 7, 10**18)
    assert take() == (b'', gid, 8, 10**18)
    assert take() is None


@pytest.mark.parametrize(
    ('rcl', 'gid_length'),
    [
        (FalseRcl(72), 16),
        (FalseRcl(80), 24),
        (FalseRcl(56), 16),
        (FalseRcl(64), 24),
        (FalseRcl(72), 20),
        (FalseRcl(64), 0),
        (FalseRcl(0), 16),
        (FalseRcl(zero=bytes(40) + b'\xa5' * 17 + bytes(7)), 16),
        (FalseRcl(256), 16),
    ],
    ids=[
        'a field before or behind the GID', "a field more than Humble's", 'a field less',
        'a longer GID in the graph', 'a GID of another length', 'nothing in the graph',
        'nothing set to zero', 'not in one piece', 'far too long',
    ],
)  # fmt: skip
def test_a_layout_that_is_not_right_is_refused_with_a_remedy(
    rcl: FalseRcl, gid_length: int
) -> None:
    with pytest.raises(UnknownPublisherError, match=r'cannot tell who publishes: .*; update to '):
        proved(rcl, gid_length)


def test_messages_that_waited_are_taken_before_the_proof() -> None:
    rcl = FalseRcl()
    rcl.messages = [(b'old', info(bytes([0xA5]) * 16))] * 500
    assert proved(rcl)() is None


def test_a_layout_that_cannot_be_proved_for_messages_that_never_end_is_refused() -> None:
    rcl = FalseRcl()
    rcl.messages, rcl.endless = [(b'again', info())], True
    with pytest.raises(UnknownPublisherError, match='faster than they can be taken'):
        proved(rcl)


@pytest.mark.parametrize(
    'written',
    [
        info(name_at=0x7F12_3456_7891),
        info(name_at=0),
        struct.pack('=qqQQ?7xQ16s', 1, 2, 3, 4, False, NAME_AT, GID),
    ],
    ids=['a foreign identifier', 'no identifier', 'as long, but with the bool first'],
)
def test_a_message_whose_info_is_laid_out_otherwise_is_refused(written: bytes) -> None:
    rcl = FalseRcl()
    take = proved(rcl)
    rcl.messages.append((b'message', written))
    with pytest.raises(UnknownPublisherError, match="address of the middleware's name"):
        take()


@pytest.mark.parametrize(
    'name', list(vars(FalseRcl().library)), ids=str
)
def test_a_library_that_lacks_a_function_is_refused(name: str) -> None:
    rcl = FalseRcl()
    delattr(rcl.library, name)
    with pytest.raises(UnknownPublisherError, match=name):
        RclTaker(rcl.library)


def test_an_error_of_rcl_is_raised_and_not_left_to_the_next_call() -> None:
    rcl = FalseRcl()
    take = proved(rcl)
    rcl.code = 1
    with pytest.raises(RuntimeError, match='rcl_take_serialized_message returned 1'):
        take()
    assert rcl.resets == 1


def test_the_buffer_of_a_huge_message_is_not_kept_and_none_at_the_end() -> None:
    rcl = FalseRcl()
    take = proved(rcl)
    rcl.messages += [(b'x' * (KEPT + 1), info()), (b'small', info())]
    for _ in range(2):
        assert take() is not None
    assert rcl.released == [KEPT + 1]
    del take
    assert rcl.released == [KEPT + 1, 5]


def test_a_middleware_that_does_not_number_messages_gives_none() -> None:
    rcl = FalseRcl()
    take = proved(rcl)
    rcl.messages.append((b'message', info(number=UNSUPPORTED)))
    taken = take()
    assert taken is not None
    assert taken[2] is None


def test_rclpy_that_names_no_publisher_is_refused() -> None:
    message_info = {'publisher_gid': None, 'publication_sequence_number': 1, 'source_timestamp': 1}
    handle = SimpleNamespace(take_message=lambda *_: (b'message', message_info))
    with pytest.raises(UnknownPublisherError, match='RMW_IMPLEMENTATION=rmw_fastrtps_cpp'):
        take(handle, String)


# The real one

cyclone = get_rmw_implementation_identifier() == 'rmw_cyclonedds_cpp'
not_cyclone = pytest.mark.skipif(
    cyclone, reason='a message of Cyclone DDS has a handle in place of the GID, and no number'
)


@contextmanager
def a_node(domain: int) -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context, args=[], domain_id=domain)
    node = rclpy.create_node('taker', context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        context.shutdown()


def gids_on(node: Node, topic: str) -> set[bytes]:
    return {bytes(info.endpoint_gid) for info in node.get_publishers_info_by_topic(topic)}


def taken_soon(take: Callable[[], T | None]) -> T:
    end = time.monotonic() + BOUND
    while (taken := take()) is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    return taken


@pytest.fixture
def node(own_ros_domain: int) -> Iterator[Node]:
    with a_node(own_ros_domain) as node:
        yield node


@not_cyclone
@pytest.mark.parametrize('native', [True, False], ids=['as here', 'by rcl'])
def test_each_message_has_the_gid_that_the_graph_shows(
    node: Node, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not native:
        monkeypatch.setattr(publisher_gids, 'rclpy_has_gids', lambda: False)
    subscription = node.create_subscription(
        Twist, 'cmd_vel', lambda _: None, 10, callback_group=OutsideExecutor()
    )
    take = taker(subscription.handle, lambda: gids_on(node, '/parameter_events'))
    publishers = [node.create_publisher(Twist, 'cmd_vel', 10) for _ in range(3)]
    seen: dict[bytes, float] = {}
    sent = time.time_ns()
    for number in range(100):
        publisher: Any = publishers[number % 3]
        publisher.publish(Twist(linear=Vector3(x=float(number % 3))))
        serialized, gid, count, source = taken_soon(lambda: take(subscription.handle, Twist))
        x = deserialize_message(serialized, Twist).linear.x
        assert x == number % 3
        assert seen.setdefault(gid, x) == x
        assert count == number // 3 + 1
        assert abs(source - sent) < 1e9 * BOUND
    assert set(seen) == gids_on(node, '/cmd_vel')


@not_cyclone
def test_rcl_and_rclpy_agree(node: Node) -> None:
    handles = [
        node.create_subscription(
            String, 'heartbeat', lambda _: None, 10, callback_group=OutsideExecutor()
        ).handle
        for _ in range(2)
    ]
    rcl = RclTaker(ctypes.PyDLL(rclpy_implementation.__file__))
    rcl.prove_layout(handles[0], 16)
    publisher: Any = node.create_publisher(String, 'heartbeat', 10)
    for data in ('', '/teleop', 'x' * 100_000):
        publisher.publish(String(data=data))
        serialized, gid, number, sent = taken_soon(lambda: rcl.take(handles[0], String))
        by_rclpy, info = taken_soon(lambda: handles[1].take_message(String, True))
        assert serialized == by_rclpy
        assert deserialize_message(serialized, String).data == data
        assert number == info['publication_sequence_number']
        assert sent == info['source_timestamp']
        native: Any = info.get('publisher_gid') or {'data': gid}
        assert bytes(native['data']) == gid


# Cyclone DDS

READER, OTHERS, WRITER = b'r' * 16, b'o' * 16, b'w' * 16


def handle_in(number: int, length: int = 16) -> bytes:
    """Return a publication handle as a message's info has it."""
    return number.to_bytes(8, 'little').ljust(length, b'\0')


class FalseDdsc:
    """What is called of libddsc."""

    def __init__(self) -> None:
        self.children = {1: [2, 3], 2: [], 3: [4, 5], 4: [], 5: []}
        self.guids = {1: b'p' * 16, 4: OTHERS, 5: READER}
        self.matched = {(5, 77): WRITER}
        self.asked = 0
        self.on_loan: dict[int, Any] = {}

        def listed(entities: list[int], room_at: int | None, room: int) -> int:
            if room_at is not None:
                ctypes.memmove(room_at, struct.pack(f'={room}i', *entities[:room]), 4 * room)
            return len(entities)

        def guid(entity: int, at: int) -> int:
            if entity not in self.guids:
                return -9  # DDS_RETCODE_ILLEGAL_OPERATION
            ctypes.memmove(at, self.guids[entity], 16)
            return 0

        def data(reader: int, handle: int) -> int | None:
            self.asked += 1
            found = self.matched.get((reader, handle))
            if found is None:
                return None
            loan = ctypes.create_string_buffer(found + b'and more', 64)
            self.on_loan[ctypes.addressof(loan)] = loan
            return ctypes.addressof(loan)

        def free(at: int) -> None:
            del self.on_loan[at]

        self.library = SimpleNamespace(
            dds_lookup_participant=lambda domain, *room: listed([1] * (domain == 42), *room),
            dds_get_children=lambda entity, *room: listed(self.children[entity], *room),
            dds_get_guid=guid,
            dds_get_matched_publication_data=data,
            dds_builtintopic_free_endpoint=free,
        )

    def gids(self) -> CycloneGids:
        return CycloneGids(self.library, 42, lambda: [b'before' + bytes(10), READER])


@pytest.mark.parametrize('length', [16, 24])
def test_a_handle_is_looked_up_once_and_gives_the_graphs_gid(length: int) -> None:
    ddsc = FalseDdsc()
    gids = ddsc.gids()
    for _ in range(10):
        assert gids.gid_of(handle_in(77, length)) == WRITER.ljust(length, b'\0')
    assert (ddsc.asked, ddsc.on_loan) == (1, {})


def test_a_gid_that_is_no_handle_stays() -> None:
    ddsc = FalseDdsc()
    assert ddsc.gids().gid_of(WRITER) == WRITER
    assert ddsc.asked == 0


def test_a_message_of_one_that_left_unheard_is_dropped_and_one_of_a_known_publisher_is_not() -> (
    None
):
    ddsc = FalseDdsc()
    waiting: list[Received] = [
        (b'unknown', handle_in(78), None, 1), (b'first', handle_in(77), None, 2),
        (b'unknown', handle_in(78), None, 3), (b'second', handle_in(77), None, 4),
    ]  # fmt: skip

    def take(handle: object, message_type: type) -> Received | None:
        return waiting.pop(0) if waiting else None

    translated = ddsc.gids().translated(take)
    assert translated(None, String) == (b'first', WRITER, None, 2)
    ddsc.matched.clear()
    assert translated(None, String) == (b'second', WRITER, None, 4)
    assert translated(None, String) is None


def test_a_subscription_that_the_graph_shows_late_is_waited_for() -> None:
    shown: Iterator[list[bytes]] = iter([[], [b'z' * 16], [READER]])
    ddsc = FalseDdsc()
    gids = CycloneGids(ddsc.library, 42, lambda: next(shown))
    assert gids.gid_of(handle_in(77)) == WRITER


@pytest.mark.parametrize(
    ('domain', 'graph'),
    [(42, [b'x' * 16]), (41, [READER]), (42, [])],
    ids=['a GID of another form', 'another domain', 'nothing in the graph'],
)
def test_a_subscription_that_is_not_found_is_refused(
    domain: int, graph: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_gids, 'SHOWN_WITHIN', 0.05)
    with pytest.raises(UnknownPublisherError, match='RMW_IMPLEMENTATION=rmw_fastrtps_cpp'):
        CycloneGids(FalseDdsc().library, domain, lambda: graph)


@pytest.mark.parametrize('name', list(vars(FalseDdsc().library)))
def test_a_libddsc_that_lacks_a_function_is_refused(name: str) -> None:
    ddsc = FalseDdsc()
    delattr(ddsc.library, name)
    with pytest.raises(UnknownPublisherError, match=name):
        ddsc.gids()


@pytest.mark.skipif(cyclone, reason='libddsc is loaded here')
def test_where_libddsc_is_not_loaded_that_is_said() -> None:
    with pytest.raises(UnknownPublisherError, match='libddsc of Cyclone DDS is not loaded'):
        cyclone_gids(0, list)
