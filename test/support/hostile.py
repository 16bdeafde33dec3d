# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Publishers that mean harm; run as a program, `hostile_process.py` starts it.

`flood NODE FILE TOPIC RATE SPEEDS`: one publisher sends speeds (m/s forward, separated by commas,
`nan` and `inf` too) in turn.

`beats NODE FILE TOPIC RATE LENGTH`: one publisher sends heartbeats, each of which names another
node, by a name of so many characters.

`crowd NODE FILE TOPIC COUNT AT_ONCE SPEED`: COUNT publishers, so many at once, each of which
sends one command once it is heard, and goes; the last ones stay.

`many NODE FILE TOPICS COUNT RATE`: COUNT publishers, spread over topics (separated by commas),
send commands in turn, at that rate together.

RATE is in Hz, 0: as fast as it can. What was sent is noted in FILE right before each publish,
where SIGKILL does not undo it. Each says `heard` as soon as somebody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, cycle
import mmap
from pathlib import Path
import struct
import sys
import time
from typing import Any

from geometry_msgs.msg import Twist
import rclpy
from std_msgs.msg import String

SENT = struct.Struct('<qd')  # how many, and when the last left
_MATCHING = 20.0  # s
_POLL = 0.001  # s
_BEHIND = 0.1  # s that are made up for, so that the rate is what was asked for


class Note:
    """How many messages left, and when the last did, in a file that is memory of this process."""

    def __init__(self, path: str) -> None:
        Path(path).write_bytes(bytes(SENT.size))
        with open(path, 'r+b') as file:
            self._memory = mmap.mmap(file.fileno(), SENT.size)
        self.count = 0

    def one(self) -> None:
        self.count += 1
        SENT.pack_into(self._memory, 0, self.count, time.monotonic())


def flood(node: Any, note: Note, topic: str, rate: str, speeds: str) -> None:
    """Send commands for as long as this lives."""
    messages = cycle([twist(float(speed)) for speed in speeds.split(',')])
    send(node.create_publisher(Twist, topic, 10), note, float(rate), messages)


def beats(node: Any, note: Note, topic: str, rate: str, length: str) -> None:
    """Send heartbeats for as long as this lives."""
    messages = (String(data=f'{number:0{int(length)}}') for number in count())
    send(node.create_publisher(String, topic, 10), note, float(rate), messages)


def send(publisher: Any, note: Note, rate: float, messages: Iterator[Any]) -> None:
    """Send messages at a rate."""
    await_match([publisher])
    print('heard', flush=True)
    period = 1.0 / rate if rate else 0.0
    due = time.monotonic()
    for message in messages:
        note.one()
        publisher.publish(message)
        now = time.monotonic()
        due = max(due + period, now - _BEHIND)
        if due > now:
            time.sleep(due - now)


def crowd(node: Any, note: Note, topic: str, count: str, at_once: str, speed: str) -> None:
    """Come, send one command, and go, again and again; the last ones stay until this is killed."""
    message = twist(float(speed))
    while True:
        publishers = [node.create_publisher(Twist, topic, 1) for _ in range(int(at_once))]
        await_match(publishers)
        if not note.count:
            print('heard', flush=True)
        for publisher in publishers:
            note.one()
            publisher.publish(message)
        if note.count >= int(count):
            time.sleep(3600.0)
        for publisher in publishers:
            node.destroy_publisher(publisher)


def many(node: Any, note: Note, topics: str, count: str, rate: str) -> None:
    """Send commands from many publishers for as long as this lives."""
    names = cycle(topics.split(','))
    publishers = [node.create_publisher(Twist, next(names), 10) for _ in range(int(count))]
    await_match(publishers)
    print('heard', flush=True)
    period, message = 1.0 / float(rate), twist(0.1)
    due = time.monotonic()
    for publisher in cycle(publishers):
        note.one()
        publisher.publish(message)
        due = max(due + period, time.monotonic() - _BEHIND)
        # Several at once where they are due within a sleep that takes longer than that.
        if (wait := due - time.monotonic()) > _POLL / 2:
            time.sleep(wait)


def twist(speed: float) -> Twist:
    """Return a command."""
    message = Twist()
    message.linear.x = speed
    return message


def await_match(publishers: list[Any]) -> None:
    """Wait until each is heard."""
    deadline = time.monotonic() + _MATCHING
    while not all(publisher.get_subscription_count() for publisher in publishers):
        if time.monotonic() > deadline:
            raise RuntimeError('nobody listens')
        time.sleep(_POLL)


if __name__ == '__main__':
    what, name, path, *arguments = sys.argv[1:]
    rclpy.init(args=[])
    own_node = rclpy.create_node(name, start_parameter_services=False, enable_rosout=False)
    does: dict[str, Callable[..., None]] = {
        'flood': flood, 'beats': beats, 'crowd': crowd, 'many': many,
    }  # fmt: skip
    does[what](own_node, Note(path), *arguments)
