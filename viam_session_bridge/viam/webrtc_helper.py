# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The program that dials one machine with viam-sdk's native library and keeps the connection.

It reads one line, a JSON object with ``address``, ``timeout`` (s), ``key_id`` and ``key`` ('' for
none), and answers with one: ``{"socket": PATH}``, which speaks gRPC for as long as this program
runs, or ``{"failed": WHY}``. When its input is closed, also by the bridge's death, it hangs up,
removes the socket and ends. ``SSL_CERT_FILE`` in its environment names the certificates to trust.

It has a process of its own, because the library

- reports why a dial failed only on its process's standard output, and writes a line there for each
  call on a dead connection;
- takes the certificates to trust from its process's environment;
- cannot be interrupted: a dial under way would hold up the end of the process;
- is native code that panics, and the bridge has bases to stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
import json
import os
from pathlib import Path
import re
import signal
import socket
import stat
import sys
import threading
from typing import Any, BinaryIO

from viam_session_bridge.viam.connection_check import INSTALL_VIAM_SDK

_LONGEST = 200  # characters of a reason


def main() -> None:
    """Dial as the first line of the input asks, and hang up when it is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Meant for the bridge, which needs the connection to stop its bases.
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o177)  # whoever may connect to the socket may drive the bases
    request = json.loads(sys.stdin.readline())
    dialing = _Dialing(request)
    threading.Thread(target=dialing.run, name='dial', daemon=True).start()
    sys.stdin.read()
    dialing.hang_up()
    os._exit(0)  # waits for no dial under way


class _Dialing:
    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._connection: Any = None
        self._answers = os.fdopen(os.dup(1), 'w', encoding='utf-8')
        self._output = os.fdopen(os.memfd_create('output'), 'w+b')  # the library's
        os.dup2(self._output.fileno(), 1)

    def run(self) -> None:
        """Dial and answer."""
        try:
            asyncio.run(self._dial())
            (path,) = _listening()
            # From here on the library only repeats the errors of failed calls.
            with open(os.devnull, 'wb') as nowhere:
                os.dup2(nowhere.fileno(), 1)
            answer = {'socket': path}
        except ImportError as error:
            why = f'transport webrtc needs viam-sdk: {INSTALL_VIAM_SDK} ({error})'
            answer = {'failed': why}
        except Exception as error:  # whatever it is, the bridge must learn of it
            answer = {'failed': _reason(self._output) or _shortened(str(error))}
        print(json.dumps(answer), file=self._answers, flush=True)

    async def _dial(self) -> None:
        from viam.rpc.dial import Credentials, dial, DialOptions

        request = self._request
        options = DialOptions(
            credentials=Credentials('api-key', request['key']) if request['key'] else None,
            auth_entity=request['key_id'] or None,
            timeout=request['timeout'],
            initial_connection_attempts=1,
        )
        self._connection = await dial(request['address'], options)

    def hang_up(self) -> None:
        """End the connection, where there is one, and remove the socket."""
        paths = list(_listening())
        if self._connection is not None:
            self._connection.close()
        for path in paths:
            Path(path).unlink(missing_ok=True)


def _listening() -> Iterator[str]:
    """Yield the paths of the sockets the library listens on; a dial begins with making one."""
    for name in os.listdir('/proc/self/fd'):
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as candidate:
                listens = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if candidate.family == socket.AF_UNIX and listens:
                    yield candidate.getsockname()


def _reason(output: BinaryIO) -> str:
    """Return the reason in the library's output, '' if there is none that is understood."""
    output.seek(0)
    text = re.sub(r'\x1b\[\d+m', '', output.read().decode(errors='replace'))
    if 'deadline has elapsed' in text:
        return 'no connection in time'
    # It tries two ways at once; the other one is a search of the local network.
    _, _, text = text.rpartition('without_mdns err: Some(')
    status = re.search(r'status: (\w+), message: "(.*?)", details: ', text)
    if status:
        return _shortened(f'{status[1]}: {status[2]}')
    causes = re.findall(r'^ +\d+: (.+?)\)?$', text.partition('Stack backtrace')[0], re.MULTILINE)
    return _shortened(causes[-1]) if causes else ''


def _shortened(text: str) -> str:
    return ' '.join(text.split())[:_LONGEST]


if __name__ == '__main__':
    main()
