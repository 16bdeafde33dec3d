# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The thread of a base's commands: one at a time, and none is lost when it ends (R14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
import threading

import pytest

from viam_session_bridge.machine.calls import Answer, Outcome
from viam_session_bridge.machine.mover import Mover

BOUND = 30.0  # s
OK = Answer(Outcome.OK)


@pytest.fixture
def mover() -> Iterator[Mover]:
    mover = Mover('main')
    yield mover
    mover.close()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'mover of main']


def until(event: threading.Event) -> Callable[[], Answer]:
    """Return a call that lasts until the event."""
    return lambda: OK if event.wait(BOUND) else Answer(Outcome.TIMED_OUT)


def test_the_answer_comes_from_its_own_thread(mover: Mover) -> None:
    answers: SimpleQueue[tuple[Answer, threading.Thread]] = SimpleQueue()
    assert mover.take(lambda: OK, lambda answer: answers.put((answer, threading.current_thread())))
    answer, thread = answers.get(timeout=BOUND)
    assert answer is OK
    assert thread.name == 'mover of main'


def test_it_makes_one_call_at_a_time(mover: Mover) -> None:
    end, answers = threading.Event(), SimpleQueue[Answer]()
    assert mover.take(until(end), answers.put)
    assert not mover.take(lambda: OK, answers.put)
    end.set()
    assert answers.get(timeout=BOUND) is OK
    assert answers.empty()


def test_the_next_call_may_be_handed_over_when_the_answer_comes(mover: Mover) -> None:
    taken: SimpleQueue[bool] = SimpleQueue()
    mover.take(lambda: OK, lambda _: taken.put(mover.take(lambda: OK, lambda _: taken.put(True))))
    assert [taken.get(timeout=BOUND) for _ in range(2)] == [True, True]


def test_closed_it_makes_the_call_that_is_under_way_and_takes_none() -> None:
    mover = Mover('main')
    end, answers = threading.Event(), SimpleQueue[Answer]()
    assert mover.take(until(end), answers.put)
    (thread,) = threads()
    mover.close()
    assert not mover.take(lambda: OK, answers.put)
    end.set()
    assert answers.get(timeout=BOUND) is OK
    thread.join(BOUND)
    assert not thread.is_alive()
    assert not mover.take(lambda: OK, answers.put)


def test_no_call_is_lost_in_a_race_with_the_end() -> None:
    for _ in range(500):
        mover, barrier = Mover('main'), threading.Barrier(2)
        answers: SimpleQueue[Answer] = SimpleQueue()
        taken: SimpleQueue[bool] = SimpleQueue()

        def hand_over(
            mover: Mover = mover, barrier: threading.Barrier = barrier,
            answers: SimpleQueue[Answer] = answers, taken: SimpleQueue[bool] = taken,
        ) -> None:  # fmt: skip
            barrier.wait(BOUND)
            taken.put(mover.take(lambda: OK, answers.put))

        handing_over = threading.Thread(target=hand_over)
        handing_over.start()
        barrier.wait(BOUND)
        mover.close()
        handing_over.join(BOUND)
        if taken.get(timeout=BOUND):
            assert answers.get(timeout=BOUND) is OK
