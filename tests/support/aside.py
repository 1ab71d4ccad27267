# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Runs an asynchronous context in a thread of its own, for tests that are driven by a synchronous library."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def aside(opened: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Gives what the context gives; its event loop runs in another thread until the block ends."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        context = asyncio.run_coroutine_threadsafe(_made(opened), loop).result()
        try:
            yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
        finally:
            asyncio.run_coroutine_threadsafe(_left(context), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(_ended(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _made(opened: Callable[[], AbstractAsyncContextManager[T]]) -> AbstractAsyncContextManager[T]:
    return opened()


async def _left(context: AbstractAsyncContextManager[T]) -> None:
    await context.__aexit__(None, None, None)


async def _ended() -> None:
    """Ends what still runs, as `asyncio.run` does."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
