# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What others import and the bridge hardly ever needs: loaded when it is first used.

ROS's messages import numpy for arrays, of which the bridge's messages have none. gRPC imports its
asyncio half, and with it asyncio and ssl. Protobuf imports its Python implementation, though it
uses the one in C. Together they take 16 MB, and a tenth of a second at the start.
:class:`importlib.util.LazyLoader` would load a module as soon as it is imported twice.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

SELDOM_USED = (
    'numpy', 'grpc.aio', 'asyncio', 'ssl', 'google.protobuf.internal.python_message',
)  # fmt: skip

_lock = threading.Lock()  # two threads may use one at once, as diagnoses of two machines use ssl


class LazyModule(ModuleType):
    """Stands for a module until somebody uses an attribute of it."""

    def __getattr__(self, name: str) -> Any:
        """
        Return an attribute of the module itself.

        :raises AttributeError: also for `__file__` and the like before it is loaded: who goes
            through all modules looks them up
        """
        with _lock:
            if sys.modules.get(self.__name__) is self:
                if name.startswith('__') and name != '__path__':
                    raise AttributeError(f'{self.__name__} is not loaded: it has no {name}')
                del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def import_lazily(*names: str) -> None:
    """Have modules, unless they are loaded already, loaded when they are first used."""
    for name in names:
        sys.modules.setdefault(name, LazyModule(name))
