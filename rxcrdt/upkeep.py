"""The thread that looks after open rooms: what did others write, what does the database say, who fell silent?

It is what makes a room right again after anything that was missed: the channel layer may carry nothing (rooms
compare their position with the store's head every ``POLL_SECONDS``, or as often as the store finds natural),
and a process may have died between a commit and its entry (every ``RECONCILE_SECONDS`` a document is compared
with the database in full). It also tells the store whose logs are in use, and evicts what nobody uses (``retention``).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from rxcrdt import conf, retention, workers
from rxcrdt.outages import Outage
from rxcrdt.processes import PerProcess
from ydoc_store import Position

__all__ = ["Kept", "Upkeep", "upkeep"]

logger = logging.getLogger(__name__)

AWARENESS_SECONDS: Final = 10.0
FIRST_SWEEP_SECONDS: Final = 600.0


class Kept(Protocol):
    """An open room. Its methods are called in the upkeep's thread, and leave what takes time to others."""

    @property
    def log(self) -> str: ...

    @property
    def position(self) -> Position | None: ...

    def catch_up(self) -> None:
        """The log has another head."""

    def reconcile(self, done: Callable[[], None]) -> None:
        """Compare with the database, and call ``done`` afterwards, whatever came of it."""

    def expire_awareness(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Care:
    room: Kept
    reconcile_at: float  # infinite while it is under way


class Upkeep:
    """Starts its thread, a daemon, with the first room."""

    def __init__(self) -> None:
        self._rooms: dict[int, _Care] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False
        self._pulse: object = None
        self._heads_at = self._awareness_at = self._touch_at = 0.0
        self._sweep_at = time.monotonic() + random.uniform(0, FIRST_SWEEP_SECONDS)  # noqa: S311
        meaning = "Rooms learn nothing of other processes' changes unless the channel layer tells them."
        self._outage = Outage(logger, "Polling the document store", meaning)

    def add(self, room: Kept) -> None:
        """From now on ``room`` is kept up; it is reconciled first of all."""
        with self._changed:
            self._rooms[id(room)] = _Care(room, 0.0)
            self._heads_at = self._touch_at = 0.0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rxcrdt-upkeep", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def remove(self, room: Kept) -> None:
        with self._changed:
            self._rooms.pop(id(room), None)

    def close(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._ended and not self._rooms:
                    self._changed.wait()
                if self._ended:
                    return
                cares = list(self._rooms.values())
            self._look_after(cares)
            seconds = self._interval()
            with self._changed:
                self._changed.wait_for(self._is_due, seconds)

    def _is_due(self) -> bool:
        """Whether something came that does not wait for the next look: a new room, or the end."""
        return self._ended or any(care.reconcile_at == 0.0 for care in self._rooms.values())

    @staticmethod
    def _interval() -> float:
        """How often to look: more often where the store finds it natural, as ``pulse`` costs microseconds."""
        own = min(conf.settings().poll_seconds, retention.TOUCH_SECONDS)
        try:
            natural = conf.store().poll_seconds
        except Exception:
            logger.exception("The document store cannot be opened; trying again.")
            return own
        return own if natural is None else min(own, natural)

    def _look_after(self, cares: list[_Care]) -> None:
        now = time.monotonic()
        self._ask_store(cares, now)
        for care in cares:  # after the touch: what another version saves after the comparison must come as a nudge
            if care.reconcile_at <= now:
                self._reconcile(care)
        if now >= self._awareness_at:
            self._awareness_at = now + AWARENESS_SECONDS
            for care in cares:
                care.room.expire_awareness()
        if now >= self._sweep_at:
            self._sweep_at = now + retention.SWEEP_SECONDS
            workers.in_background("Unused documents could not be evicted; it is tried again later.", retention.sweep)

    def _ask_store(self, cares: list[_Care], now: float) -> None:
        """A store that takes nothing, as a Redis that is full, can still be read. It is one outage, said once."""
        failure: Exception | None = None
        for step in (self._touch, self._poll):
            try:
                step(cares, now)
            except Exception as error:  # noqa: BLE001 - said by the outage
                failure = failure or error
        if failure is None:
            self._outage.worked()
        else:
            self._outage.failed(failure)

    def _reconcile(self, care: _Care) -> None:
        care.reconcile_at = float("inf")

        def done() -> None:
            # Never later than the setting says, and not all rooms of a deploy at once.
            seconds = conf.settings().reconcile_seconds * random.uniform(0.8, 1.0)  # noqa: S311
            care.reconcile_at = time.monotonic() + seconds

        care.room.reconcile(done)

    def _touch(self, cares: list[_Care], now: float) -> None:
        if now < self._touch_at:
            return
        self._touch_at = now + retention.TOUCH_SECONDS  # first: a room that comes meanwhile sets it back
        try:
            conf.store().touch([care.room.log for care in cares])
        except BaseException:
            self._touch_at = 0.0
            raise

    def _poll(self, cares: list[_Care], now: float) -> None:
        store = conf.store()
        pulse = store.pulse()
        if pulse == self._pulse and now < self._heads_at:
            return
        heads = store.heads([care.room.log for care in cares])
        for care in cares:
            head = heads.get(care.room.log)
            if head is None and care.reconcile_at < float("inf"):
                self._reconcile(care)  # the store has lost it: only the database knows
            elif head != care.room.position:
                care.room.catch_up()
        self._pulse, self._heads_at = pulse, now + conf.settings().poll_seconds


upkeep: PerProcess[Upkeep] = PerProcess(Upkeep)
