# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Messages with the GID of their publisher, where rclpy gives it and where it does not (R1).

rclpy gives it from 9.1.1 on (Kilted). Before that it is read from rcl itself, by ctypes: the
library is the one that rclpy's own module is linked to, and the call the one that rclpy makes.
A struct that is laid out otherwise than expected would give wrong GIDs, so the layout is not
trusted but proved:

* rcl sets the whole ``rmw_message_info_t`` to zero before it asks the middleware, even where no
  message waits. A take from an empty subscription into a marked buffer shows how long the struct
  is; the graph shows how long a GID is, as rclpy was compiled with the same headers. A field more,
  or GIDs of another length, and the two do not fit together.
* Each message's info has, right before the GID, the address of the middleware's name. It is
  compared as a number, and never followed.

64-bit only. The struct has 64 bytes, with a GID of 16, on Jazzy and later; on Humble 72, of 24.

Cyclone DDS has a handle of its own in place of the GID, on every distribution; its public C API
has the GID of that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
import ctypes
from ctypes import (
    addressof,
    byref,
    c_int,
    c_int32,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
    POINTER,
    string_at,
)
import re
from struct import Struct
import sys
from time import monotonic, sleep
from typing import Any, TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
import rclpy.subscription

from viam_session_bridge.bounds import BoundedDict

T = TypeVar('T')

Received = tuple[bytes, bytes, 'int | None', int]
"""A serialized message, its publisher's GID, its number if it has one, when it was sent in ns."""

Take = Callable[[Any, type], 'Received | None']
"""Takes the oldest message from a subscription's handle, given its type; None: none waits."""

TAKE_FAILED = 401
"""RCL_RET_SUBSCRIPTION_TAKE_FAILED: no message waits."""

UNSUPPORTED = 2**64 - 1
"""The number of all messages where the middleware does not number them."""

GID_AT = 40
"""Bytes before the GID: two times, two numbers, and the address of the middleware's name."""

MARK = 0xA5
ROOM = 256
"""Bytes for an ``rmw_message_info_t``, several times what it needs."""

KEPT = 1 << 16
"""Bytes of the buffer for messages that are kept for the next one."""

ATTEMPTS = 10_000
"""Messages that may wait in a subscription that was just created."""

SHOWN_WITHIN = 1.0
"""Seconds within which the graph shows a subscription that was just created."""

HANDLE = 8
"""Bytes of a publication handle of Cyclone DDS, by which the rest of the GID is zero."""

HANDLES_KEPT = 1024

GUID = 16
"""Bytes of a DDS GUID, with which a built-in topic's sample of a publisher begins."""

UPDATE = (
    'update to ROS 2 Kilted or later, whose rclpy (9.1.1) names the publisher itself, or report '
    'this with the versions of rclpy, rcl and rmw'
)
ANOTHER = (
    'run the bridge and its publishers with RMW_IMPLEMENTATION=rmw_fastrtps_cpp, or report this '
    'with the version of the middleware'
)


class UnknownPublisherError(RuntimeError):
    """Who publishes a message cannot be told for sure, and is not to be guessed."""

    def __init__(self, why: str, remedy: str = UPDATE) -> None:
        super().__init__(f'cannot tell who publishes: {why}; {remedy}')


class Allocator(ctypes.Structure):
    _fields_ = [
        (name, c_void_p)
        for name in ('allocate', 'deallocate', 'reallocate', 'zero_allocate', 'state')
    ]


class Buffer(ctypes.Structure):
    """rcutils_uint8_array_t."""

    _fields_ = [
        ('data', c_void_p),
        ('length', c_size_t),
        ('capacity', c_size_t),
        ('allocator', Allocator),
    ]


def rclpy_has_gids() -> bool:
    """Return whether rclpy names the publisher of a message (Kilted; not Jazzy and Humble)."""
    info = getattr(rclpy.subscription, 'MessageInfo', None)
    return 'publisher_gid' in getattr(info, '__annotations__', {})


def taker(handle: Any, endpoints: Callable[[], Collection[bytes]]) -> Take:
    """
    Return what takes a subscription's messages, with the GIDs as rclpy or rcl has them.

    :param handle: the subscription's, whose messages so far may be lost
    :param endpoints: returns the GIDs of subscriptions in the graph, any of them
    :raises UnknownPublisherError: rcl is laid out otherwise than expected
    """
    if rclpy_has_gids():
        return take
    rcl = RclTaker(ctypes.PyDLL(_rclpy.__file__))  # which keeps the GIL, as rclpy does
    rcl.prove_layout(handle, _wait_for(lambda: max(map(len, endpoints()), default=0)) or 0)
    return rcl.take


def take(handle: Any, message_type: type) -> Received | None:
    """Take a message by rclpy."""
    taken = handle.take_message(message_type, True)
    if taken is None:
        return None
    serialized, info = taken
    gid = info['publisher_gid']
    if gid is None:
        raise UnknownPublisherError('the middleware names no publisher', ANOTHER)
    number = info['publication_sequence_number']
    return serialized, bytes(gid['data']), number, info['source_timestamp']


def _wait_for(find: Callable[[], T]) -> T:
    """Return what is found, within the time that the graph may take to show it."""
    end = monotonic() + SHOWN_WITHIN
    while not (found := find()) and monotonic() < end:
        sleep(0.002)
    return found


class RclTaker:
    """Takes messages by rcl's C API, into buffers of its own: for one thread."""

    def __init__(self, library: Any) -> None:
        """
        Prepare; the layout is to be proved before anything is taken.

        :param library: through which the functions of rcl, rcutils and rmw are found
        :raises UnknownPublisherError: it does not have them, or this is no 64-bit process
        """
        if ctypes.sizeof(c_void_p) != 8:
            raise UnknownPublisherError('the layout of message infos is only known for 64 bits')
        try:
            self._rcl_take = library.rcl_take_serialized_message
            self._release = library.rcutils_uint8_array_fini
            self._reset_error = library.rcutils_reset_error
            default_allocator = library.rcutils_get_default_allocator
            identifier = library.rmw_get_implementation_identifier
        except AttributeError as error:
            raise UnknownPublisherError(str(error)) from None
        self._rcl_take.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p]
        self._rcl_take.restype = c_int
        self._release.argtypes = [POINTER(Buffer)]
        self._reset_error.argtypes, self._reset_error.restype = [], None
        default_allocator.argtypes, default_allocator.restype = [], Allocator
        identifier.argtypes, identifier.restype = [], c_void_p
        self._identifier: int = identifier()
        self._buffer = Buffer(allocator=default_allocator())
        self._info = (c_uint8 * ROOM)()
        self._buffer_at, self._info_at = addressof(self._buffer), addressof(self._info)

    def __del__(self) -> None:
        if hasattr(self, '_buffer'):
            self._release(byref(self._buffer))

    def prove_layout(self, handle: Any, gid_length: int) -> None:
        """
        Find out whether message infos are laid out as expected; messages that wait are lost.

        :param gid_length: bytes of a GID in the graph
        :raises UnknownPublisherError: they are not
        """
        for _ in range(ATTEMPTS):
            ctypes.memset(self._info_at, MARK, ROOM)
            if not self._take_into_buffers(handle):
                break
        else:
            raise UnknownPublisherError('messages come faster than they can be taken')
        info = bytes(self._info)
        size = ROOM - len(info.lstrip(b'\0'))
        if info[size:] != bytes([MARK]) * (ROOM - size):
            raise UnknownPublisherError('rcl does not set message infos to zero in one piece')
        least = GID_AT + gid_length + 1  # a bool comes last, then the padding
        if not least <= size <= -(-least // 8) * 8:
            raise UnknownPublisherError(
                f'a message info of {size} bytes does not go with GIDs of {gid_length} bytes'
            )
        self._unpack = Struct(f'=qqQQQ{gid_length}s').unpack_from

    def take(self, handle: Any, _: type) -> Received | None:
        """Take a message."""
        if not self._take_into_buffers(handle):
            return None
        sent, _received, number, _reception, identifier, gid = self._unpack(self._info)
        if identifier != self._identifier:
            raise UnknownPublisherError(
                f"a message info has {identifier:#x} where the address of the middleware's name "
                f'was expected, {self._identifier:#x}'
            )
        buffer = self._buffer
        serialized = string_at(buffer.data, buffer.length)
        if buffer.capacity > KEPT:
            self._release(byref(buffer))
        return serialized, gid, None if number == UNSUPPORTED else number, sent

    def _take_into_buffers(self, handle: Any) -> bool:
        with handle:
            code = self._rcl_take(handle.pointer, self._buffer_at, self._info_at, None)
        if code and code != TAKE_FAILED:
            self._reset_error()
            raise _rclpy.RCLError(f'rcl_take_serialized_message returned {code}')
        return not code


class CycloneGids:
    """The graph's GIDs for the publication handles that rmw_cyclonedds_cpp has in messages."""

    def __init__(
        self, library: Any, domain: int, endpoints: Callable[[], Collection[bytes]]
    ) -> None:
        """
        Find the subscription.

        :param library: libddsc, as it is loaded
        :param domain: the ROS domain, which is the DDS domain
        :param endpoints: returns the GIDs that may be the subscription's, as the graph shows them
        :raises UnknownPublisherError: the library is not as expected
        """
        try:
            self._participants = library.dds_lookup_participant
            self._children = library.dds_get_children
            self._guid = library.dds_get_guid
            self._matched = library.dds_get_matched_publication_data
            self._free = library.dds_builtintopic_free_endpoint
        except AttributeError as error:
            raise UnknownPublisherError(str(error), ANOTHER) from None
        self._participants.argtypes = [c_uint32, c_void_p, c_size_t]
        self._children.argtypes = [c_int32, c_void_p, c_size_t]
        self._guid.argtypes = [c_int32, c_void_p]
        self._matched.argtypes, self._matched.restype = [c_int32, c_uint64], c_void_p
        self._free.argtypes, self._free.restype = [c_void_p], None
        self._known: BoundedDict[bytes, bytes] = BoundedDict(HANDLES_KEPT)
        self._reader = _wait_for(lambda: self._find(domain, endpoints()))
        if not self._reader:
            raise UnknownPublisherError(
                'Cyclone DDS has no subscription with a GID that the graph shows', ANOTHER
            )

    def gid_of(self, gid: bytes) -> bytes | None:
        """
        Return what the graph has for a GID in a message; None where its publisher left already.

        The first time 0.4 ms.
        """
        if any(gid[HANDLE:]):  # no handle: a GUID does not end with zeros
            return gid
        known = self._known.get(gid)
        if known is None:
            found = self._matched(self._reader, int.from_bytes(gid[:HANDLE], sys.byteorder))
            if not found:
                return None
            known = self._known[gid] = string_at(found, GUID).ljust(len(gid), b'\0')
            self._free(found)
        return known

    def translated(self, take: Take) -> Take:
        """
        Return what takes messages with the graph's GIDs in place of handles.

        A message whose publisher left before its first was taken is dropped: it was no client yet.
        """

        def take_translated(handle: Any, message_type: type) -> Received | None:
            while (taken := take(handle, message_type)) is not None:
                serialized, gid, number, sent = taken
                found = self.gid_of(gid)
                if found is not None:
                    return serialized, found, number, sent
            return None

        return take_translated

    def _find(self, domain: int, gids: Collection[bytes]) -> int:
        """Return this process's entity that has one of the GIDs; 0: there is none (yet)."""
        entities = _listed(lambda *room: self._participants(domain, *room))
        while entities:
            entity = entities.pop()
            guid = (c_uint8 * GUID)()
            has_guid = self._guid(entity, addressof(guid)) == 0
            if has_guid and bytes(guid) in {gid[:GUID] for gid in gids}:
                return entity
            entities += _listed(lambda *room, entity=entity: self._children(entity, *room))
        return 0


def cyclone_gids(domain: int, endpoints: Callable[[], Collection[bytes]]) -> CycloneGids:
    """Return the GIDs by the library that this process has loaded; as ``CycloneGids``."""
    with open('/proc/self/maps') as maps:
        loaded = re.search(r'/\S*/libddsc\.so\S*', maps.read())
    if loaded is None:
        raise UnknownPublisherError('libddsc of Cyclone DDS is not loaded', ANOTHER)
    return CycloneGids(ctypes.CDLL(loaded[0]), domain, endpoints)


def _listed(write: Callable[[int | None, int], int]) -> list[int]:
    """Return the entities that a function writes, which returns how many there are."""
    count = max(write(None, 0), 0)
    room = (c_int32 * count)()
    return room[: max(write(addressof(room), count), 0)] if count else []
