"""ASGI's types, and what its server lets an application know."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def cycle_of(receive: Receive) -> Any:
    """Give uvicorn's request cycle, which says for nothing what else takes a task; None behind other servers."""
    cycle: Any = getattr(receive, "__self__", None)
    return cycle if hasattr(cycle, "disconnected") and hasattr(cycle, "more_body") else None
