"""How a Redis server is set up, and what could happen because of it."""

from __future__ import annotations

from redis.exceptions import ResponseError

from ydoc_store.redis_client import Client
from ydoc_store.values import Risk


def risks_of(client: Client, shown: str) -> tuple[Risk, ...]:
    """Those of all primaries, each kind once. INFO is asked where it knows, as many services forbid CONFIG."""
    risks = []
    policies = [policy for policy in _told(client, "maxmemory_policy", "memory") if policy != "noeviction"]
    if policies:
        risks.append(_eviction(shown, policies[0]))
    if _saves_nothing(client):
        risks.append(_persistence(shown))
    return tuple(risks)


def _saves_nothing(client: Client) -> bool:
    """Whether some server surely has neither an append-only file nor save points."""
    appends = _told(client, "aof_enabled", "persistence")
    try:
        saves = client.everywhere("CONFIG", "GET", "save")
    except ResponseError:
        return False
    return any(aof == "0" and save[1:] == [b""] for aof, save in zip(appends, saves, strict=False))


def _told(client: Client, field: str, section: str) -> list[str]:
    """What each server says in `INFO section`."""
    answers = [answer.decode() for answer in client.everywhere("INFO", section)]
    fields = [dict(line.split(":", 1) for line in answer.splitlines() if ":" in line) for answer in answers]
    return [field_of.get(field, "") for field_of in fields]


def _eviction(shown: str, policy: str) -> Risk:
    if policy.startswith("volatile"):
        may = "drops leases, and writers get into each other's way until there is room again"
    else:
        may = (
            "drops what was not used for a while: whole logs, which are then built again, and parts of the index of "
            "rows, whose documents are not told of changes until they are compared with the database"
        )
    return Risk(
        kind="eviction",
        message=f"Redis ({shown}) has the maxmemory-policy {policy!r}: when its memory is full, it {may}.",
        hint="Set maxmemory-policy to noeviction, or give documents a Redis of their own.",
    )


def _persistence(shown: str) -> Risk:
    return Risk(
        kind="persistence",
        message=(
            f"Redis ({shown}) saves nothing to disk, neither in an append-only file nor at save points: a restart "
            "empties it. All documents are then built from the database again, and logs in quarantine are gone."
        ),
        hint="Set appendonly to yes, or save points; or leave it so, if that is how it should be.",
    )
