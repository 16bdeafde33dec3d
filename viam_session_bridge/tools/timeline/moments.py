# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The times that --from and --to take: pure."""

from __future__ import annotations

from datetime import datetime, timedelta

_TIMES = ('%H:%M', '%H:%M:%S', '%H:%M:%S.%f')
_DAYS = ('%Y-%m-%d ', '%Y-%m-%dT')


def moment(text: str, begin: float, end: float) -> float:
    """
    Return the time (s since the epoch) that a text means in a log, ValueError for none.

    :param text: s after the log's begin, or before its end where negative; else a local clock
        time, the last one there was at the log's end, or one with a date
    """
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        return _clock_time(text, end)
    if not abs(seconds) < 1e10:
        raise ValueError(f'{text!r} is no time')
    return end + seconds if text.startswith('-') else begin + seconds


def _clock_time(text: str, end: float) -> float:
    for day in ('', *_DAYS):
        for time in _TIMES:
            try:
                read = datetime.strptime(text, day + time)
            except ValueError:
                continue
            return read.timestamp() if day else _last_before(read, end)
    raise ValueError(
        f'{text!r} is no time: give seconds (12.5, -60 before the end), 14:02:11 or '
        '2026-05-04T14:02:11'
    )


def _last_before(time: datetime, end: float) -> float:
    last = datetime.fromtimestamp(end)
    on_that_day = datetime.combine(last.date(), time.time())
    # Up to the second that the end is in: that is how it is shown.
    if on_that_day.timestamp() > end + 1.0:
        on_that_day -= timedelta(days=1)
    return on_that_day.timestamp()
