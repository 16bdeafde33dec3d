# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A way to a machine that takes its time, or loses its connections without a word."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time


class TcpProxy:
    """
    Carries what comes to a port of 127.0.0.1 to another address, by `with`.

    `delay`: s, of each direction; for what comes from then on.
    """

    def __init__(self, target: str, delay: float = 0.0) -> None:
        self.delay = delay
        self.connections = 0
        host, _, port = target.rpartition(':')
        self._target = host, int(port)
        self._loop = asyncio.new_event_loop()
        self._carried: set[asyncio.Task[None]] = set()
        self._halves: list[asyncio.StreamWriter] = []
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, '127.0.0.1', 0)
        )
        self.address = f'127.0.0.1:{self._server.sockets[0].getsockname()[1]}'
        self._thread = threading.Thread(target=self._loop.run_forever, name='tcp proxy')

    def __enter__(self) -> TcpProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lose_connections(self) -> None:
        """Carry nothing more on those there are, as a router that forgot them: they stay open."""
        asyncio.run_coroutine_threadsafe(self._forget(), self._loop).result()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there = await asyncio.open_connection(*self._target)
        self._halves += [writer, there[1]]
        for source, target in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._carry(source, target))
            self._carried.add(task)
            task.add_done_callback(self._carried.discard)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def take() -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    waiting.put_nowait((time.monotonic() + self.delay, data))
            waiting.put_nowait((time.monotonic() + self.delay, b''))

        taking = asyncio.create_task(take())
        try:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(due - time.monotonic())
                if not data:
                    break
                target.write(data)
            target.close()
        finally:
            taking.cancel()

    async def _forget(self) -> None:
        tasks = [*self._carried]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self) -> None:
        self._server.close()
        await self._forget()
        for half in self._halves:
            half.close()
