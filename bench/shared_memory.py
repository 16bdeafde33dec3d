# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What killed processes leave in /dev/shm: with Fast DDS half a megabyte each, for good.

`fastdds shm clean` would take what others left too; this takes the segments of our own only.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
import re

_LOCK = re.compile(r'/dev/shm/fast(dds|rtps)_[0-9a-f]{16}_el')


def segment_locks(pid: int) -> set[Path]:
    """Return the locks of a running process's own segments, for :func:`remove` after its end."""
    files = Path(f'/proc/{pid}/fd')
    return {Path(target) for target in map(_target, files.iterdir()) if _LOCK.fullmatch(target)}


def remove(locks: set[Path]) -> None:
    """Remove the segments whose owner holds the lock no more."""
    for lock in locks:
        try:
            descriptor = os.open(lock, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.with_name(lock.name.removesuffix('_el')).unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ''
