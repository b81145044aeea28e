"""The URL of a Redis store: what it may say, and what is said about what it may not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ydoc_store import BadStoreUrl, open_store
from ydoc_store.redis import RedisStore
from ydoc_store.redis_urls import read_url


def test_redis_is_shared_and_has_no_poll_interval_of_its_own() -> None:
    """And it connects to nothing before its first call."""
    with open_store("redis://127.0.0.1:1/0") as store:
        assert isinstance(store, RedisStore)
        assert (store.url, store.shared, store.poll_seconds) == ("redis://127.0.0.1:1/0", True, None)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", {"host": "localhost", "port": 6379, "db": 0}),
        ("redis://10.0.0.7:7000/3", {"host": "10.0.0.7", "port": 7000, "db": 3}),
        ("redis://10.0.0.7?db=3", {"host": "10.0.0.7", "port": 6379, "db": 3}),
        ("redis://[::1]:7000", {"host": "::1", "port": 7000, "db": 0}),
        ("redis://:p%40ss@h", {"host": "h", "port": 6379, "password": "p@ss", "db": 0}),
        ("redis://me:pass@h/1", {"host": "h", "port": 6379, "username": "me", "password": "pass", "db": 1}),
        ("unix:///run/my%20redis.sock?db=2", {"path": "/run/my redis.sock", "db": 2}),
        ("unix://me:pass@/run/redis.sock", {"path": "/run/redis.sock", "username": "me", "password": "pass", "db": 0}),
        (
            "rediss://h?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=none&ssl_check_hostname=false",
            {
                "host": "h",
                "port": 6379,
                "db": 0,
                "ssl_ca_certs": "/etc/ca.pem",
                "ssl_cert_reqs": "none",
                "ssl_check_hostname": False,
            },
        ),
    ],
)
def test_a_url_says_where_the_server_is_and_how_to_log_in(url: str, address: dict[str, object]) -> None:
    assert read_url(url).address == address


def test_options_have_defaults() -> None:
    options = read_url("redis://h")
    assert (options.prefix, options.cluster, options.connect_seconds, options.read_seconds) == (
        "ydoc:",
        False,
        2.0,
        5.0,
    )
    options = read_url("redis://h?prefix=my:&cluster=true&socket_connect_timeout=0.5&socket_timeout=9")
    assert (options.prefix, options.cluster, options.connect_seconds, options.read_seconds) == ("my:", True, 0.5, 9.0)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://h:port", "a port that is none"),
        ("redis://h:99999", "a port that is none"),
        ("redis://h/documents", "not the number of a database"),
        ("redis://h/1?db=1", "not the number of a database"),
        ("redis://h#main", "fragment"),
        ("redis://h?timeout=5", "option 'timeout' that does not exist. There are: cluster, db, prefix, socket_conn"),
        ("redis://h?ssl_ca_certs=x", "option 'ssl_ca_certs' that does not exist"),
        ("redis://h?socket_timeout=soon", "'socket_timeout'.*is 'soon', not seconds"),
        ("redis://h?socket_timeout=0", "'socket_timeout'.*is '0', not seconds"),
        ("redis://h?socket_timeout=nan", "'socket_timeout'.*is 'nan', not seconds"),
        ("redis://h?db=-1", "'db'.*is '-1', not a number"),
        ("redis://h?cluster=maybe", "'cluster'.*is 'maybe', not true or false"),
        ("redis://h?prefix=", "'prefix'.*is '', not a text"),
        ("redis://h?prefix={a}", "'prefix'.*not a text without braces"),
        ("rediss://h?ssl_cert_reqs=maybe", "none, optional or required"),
        ("redis://h/1?cluster=true", "a cluster: it has no unix socket and no databases"),
        ("unix:///s?cluster=true", "a cluster: it has no unix socket and no databases"),
        ("unix://host/s", "names no socket"),
        ("unix://", "names no socket"),
    ],
)
def test_what_a_url_cannot_say_is_refused(url: str, says: str) -> None:
    with pytest.raises(BadStoreUrl, match=says):
        open_store(url)


def test_a_password_is_not_shown() -> None:
    for url in ("redis://me:secret@h?nonsense=1", "redis://:secret@h:port", "redis://me:secret@h/x"):
        with pytest.raises(BadStoreUrl) as refused:
            open_store(url)
        assert "secret" not in str(refused.value)
    assert read_url("redis://me:secret@h:1?db=2").shown == "redis://me:***@h:1?db=2"
    assert read_url("unix://me:secret@/run/redis.sock").shown == "unix://me:***@/run/redis.sock"
    assert read_url("unix:///run/redis.sock?db=2").shown == "unix:///run/redis.sock?db=2"


def test_without_redis_py_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from ydoc_store import MissingExtra, open_store\n"
        "open_store('memory://')\n"
        "try: open_store('redis://localhost')\n"
        "except MissingExtra as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("pip install rxcrdt[redis]")
