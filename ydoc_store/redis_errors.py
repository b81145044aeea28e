"""What Redis' errors mean for whoever runs the store, and what to do about them."""

from __future__ import annotations

from redis import exceptions as redis_errors

from ydoc_store.exceptions import CorruptStore, StoreError, StoreUnavailable
from ydoc_store.redis_urls import RedisOptions

_WHAT_TO_DO = {
    "OOM": "Redis has reached its maxmemory: give it more, or compact and evict documents.",
    "READONLY": "It is a replica: name the primary in the store's URL.",
    "MISCONF": "Redis cannot save its data to disk, and so takes no writes: see its log, make room.",
    "LOADING": "It is still loading its data: try again soon.",
    "BUSY": "A script has been running in it for long: see its log.",
    "MASTERDOWN": "It has lost its primary.",
    "CLUSTERDOWN": "The cluster has lost nodes: see CLUSTER INFO.",
    "NOPERM": "Let the URL's user run EVAL, EVALSHA, INFO and SCAN, and read and write the keys of the store's prefix.",
    "NOAUTH": "It asks for a password: put it into the store's URL.",
    "WRONGPASS": "Check the user and the password in the store's URL.",
    "MOVED": "It is part of a cluster: add ?cluster=true to the store's URL.",
    "NOREPLICAS": "It takes no writes without its replicas: see min-replicas-to-write.",
}
_TLS = {
    "mismatch": "In the store's URL use the host's name as its certificate has it, or ssl_check_hostname=false.",
    "unable to get": "Name the file of the authority that signed its certificate in ssl_ca_certs, in the store's URL.",
    "self-signed": "Name the file with its certificate in ssl_ca_certs, in the store's URL.",
    "self signed": "Name the file with its certificate in ssl_ca_certs, in the store's URL.",
    "CERTIFICATE_VERIFY_FAILED": "Its certificate is not valid: it needs another one.",
    "No such file": "Does every file exist that the store's URL names in ssl_ca_certs, ssl_certfile and ssl_keyfile?",
    "WRONG_VERSION_NUMBER": "Does it speak TLS on this port? If not, write redis:// instead of rediss://.",
}
_IN_VAIN = ("CERTIFICATE_VERIFY_FAILED", "No such file", "WRONG_VERSION_NUMBER")
_LATER = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.TryAgainError,
    redis_errors.RedisClusterException,
    OSError,
)


class Unsent(Exception):
    """There was no connection: nothing was sent, so it may be tried again. `__cause__` says why."""


class Reconnected(redis_errors.ConnectionError):
    """The connection turned out to be closed, and was opened again: nothing was sent, so it may be tried again."""


def cause_of(error: Exception) -> Exception:
    """What Redis or the network said."""
    return error.__cause__ if isinstance(error, Unsent) and isinstance(error.__cause__, Exception) else error


def may_pass(error: Exception) -> bool:
    """Whether the same call may work in a moment."""
    cause = cause_of(error)
    if isinstance(cause, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return False
    if any(words in str(cause) for words in _IN_VAIN):
        return False
    return isinstance(cause, _LATER) or _code(cause) in ("LOADING", "CLUSTERDOWN", "MASTERDOWN", "BUSY")


def was_refused(error: Exception) -> bool:
    """Whether the call certainly changed nothing: it was not sent, or a reply says that it was not run."""
    return isinstance(error, Unsent | Reconnected | redis_errors.ResponseError | redis_errors.BusyLoadingError)


def explain(options: RedisOptions, doing: str, error: Exception, tries: int) -> StoreError:
    """The error that a caller can act on: what was tried, what Redis said, what to do."""
    cause = cause_of(error)
    code = _code(cause)
    if code == "WRONGTYPE":
        return CorruptStore(
            f"Cannot {doing} in {options.shown}: one of its keys holds something else ({cause}). Does another "
            f"program use keys that begin with {options.prefix!r}? Name another prefix in the store's URL, or "
            "quarantine the document, and let it be built again."
        )
    tried = f" ({tries} tries)" if tries > 1 else ""
    what = _what_to_do(options, cause, code)
    return StoreUnavailable(f"Cannot {doing} in {options.shown}{tried}: {str(cause).rstrip('.')}. {what}")


def _what_to_do(options: RedisOptions, cause: Exception, code: str) -> str:
    if code in _WHAT_TO_DO:
        return _WHAT_TO_DO[code]
    if options.scheme == "rediss":
        for words, what in _TLS.items():
            if words in str(cause):
                return what
    if isinstance(cause, redis_errors.TimeoutError):
        return (
            f"It did not answer within {options.read_seconds:g} s (connecting: {options.connect_seconds:g} s): see its "
            "load and the network, or raise socket_timeout in the store's URL."
            + (" Does it speak TLS on this port?" if options.scheme == "rediss" else "")
        )
    if isinstance(cause, redis_errors.AuthenticationError):
        return _WHAT_TO_DO["WRONGPASS"]
    if isinstance(cause, _LATER):
        also = " Does it ask for a certificate (ssl_certfile, ssl_keyfile)?" if options.scheme == "rediss" else ""
        return f"Is it running, and is the address right?{also}"
    return "See its log."


def _code(error: Exception) -> str:
    """The word that Redis' reply begins with, though redis-py takes some away, and Redis 6 wraps those of scripts."""
    text = str(error)
    for kind, code in _KINDS.items():
        if isinstance(error, kind):
            return code
    for code in _CODES_IN_SCRIPTS:
        if code in text:
            return code
    return text.partition(" ")[0]


_CODES_IN_SCRIPTS = ("WRONGTYPE", "OOM", "READONLY", "MISCONF", "NOPERM", "NOREPLICAS")
_KINDS: dict[type[Exception], str] = {
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.MovedError: "MOVED",
    redis_errors.ClusterCrossSlotError: "MOVED",
    redis_errors.ClusterDownError: "CLUSTERDOWN",
}
