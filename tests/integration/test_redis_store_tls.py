"""The Redis store over TLS: a real Redis behind a proxy that speaks TLS for it, with certificates made here."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers import RedisServer, free_port, redis_server, running_redis_cluster
from ydoc_store import BadStoreUrl, Position, StoreUnavailable, open_store
from ydoc_store.testing.tools import DOC, PATIENCE, append_all, append_leased, begin, updates_of

pytestmark = pytest.mark.redis

NAME_THE_FILE = "Name the file of the authority that signed its certificate in ssl_ca_certs"


# Certificates -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority of one's own, and where its certificate lies."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, common_name: str, *hosts: str) -> tuple[Path, Path]:
        """The files of a certificate for these hosts, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]
        builder = _certificate(_name(common_name), key.public_key(), self.name)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        file, key_file = self.folder / f"{common_name}.pem", self.folder / f"{common_name}.key"
        _write(file, certificate)
        form = serialization.PrivateFormat.PKCS8
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        return file, key_file


def new_authority(folder: Path) -> Authority:
    folder.mkdir()
    key, name = ec.generate_private_key(ec.SECP256R1()), _name(f"Tests' {folder.name}")
    builder = _certificate(name, key.public_key(), name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    authority = Authority(folder=folder, key=key, name=name)
    _write(authority.file, builder.sign(key, hashes.SHA256()))
    return authority


def _certificate(
    subject: x509.Name, public_key: ec.EllipticCurvePublicKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    now, hour = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(now - hour).not_valid_after(now + hour)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _write(file: Path, certificate: x509.Certificate) -> None:
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("tls") / "stranger")


# A server that speaks TLS -----------------------------------------------------------------------------------


@contextmanager
def tls_in_front_of(port: int, context: ssl.SSLContext, *, on: int = 0) -> Iterator[int]:
    """Takes TLS connections on a port (`on`, or any), and passes on what they say to the plain one."""
    listening = Event()
    ports: list[int] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        server = await asyncio.start_server(lambda *client: _pass_on(client, port), "127.0.0.1", on, ssl=context)
        stopped = asyncio.Event()
        stop.append(partial(asyncio.get_running_loop().call_soon_threadsafe, stopped.set))
        ports.append(server.sockets[0].getsockname()[1])
        listening.set()
        await stopped.wait()

    thread = Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert listening.wait(PATIENCE)
    try:
        yield ports[0]
    finally:
        stop[0]()
        thread.join(PATIENCE)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _pass_on(client: tuple[Any, ...], port: int) -> None:
    server = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_copy(client[0], server[1]), _copy(server[0], client[1]))


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            to.write(data)
            await to.drain()
    except OSError:
        pass
    finally:
        to.close()


def context_of(authority: Authority, *hosts: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("server", *hosts))
    return context


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def port(server: RedisServer, authority: Authority) -> Iterator[int]:
    """Redis over TLS; its certificate is for this address and for `localhost`."""
    with redis.Redis(port=server.port) as client:
        client.flushall()
    with tls_in_front_of(server.port, context_of(authority, "127.0.0.1", "localhost")) as port:
        yield port


def refused(url: str) -> str:
    """What the error says."""
    with open_store(url) as store, pytest.raises(StoreUnavailable) as unavailable:
        store.load(DOC)
    assert isinstance(unavailable.value.__cause__, Exception)
    return str(unavailable.value)


# Tests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_store_over_tls_does_what_one_without_it_does(
    server: RedisServer, port: int, authority: Authority, host: str
) -> None:
    with (
        open_store(f"rediss://{host}:{port}/0?ssl_ca_certs={authority.file}") as store,
        open_store(server.url) as plain,
    ):
        begin(store, rows=["row"], snapshot=b"s" * 1_000_000)
        append_leased(store, b"1", None)
        append_all(plain, [b"2"])
        assert updates_of(store) == updates_of(plain) == [b"1", b"2"]
        assert store.documents_of(["row"]) == {"row": frozenset({DOC})}
        assert store.incarnation() == plain.incarnation()
        assert list(store.names()) == [DOC]
        with open_store(store.url) as again:
            assert again.head(DOC) == Position(1, 2)


def test_a_certificate_of_an_authority_that_nobody_trusts_is_refused_and_it_says_what_to_do(
    port: int, stranger: Authority
) -> None:
    for url in (f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={stranger.file}", f"rediss://127.0.0.1:{port}/0"):
        said = refused(url)
        assert NAME_THE_FILE in said
        assert "tries" not in said  # it would be refused again


def test_a_certificate_for_another_host_is_refused(server: RedisServer, authority: Authority) -> None:
    with tls_in_front_of(server.port, context_of(authority, "redis.example")) as port:
        said = refused(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.file}")
        assert "use the host's name as its certificate has it" in said
        unchecked = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.file}&ssl_check_hostname=false"
        with open_store(unchecked) as store:
            assert store.load("nothing") is None


def test_a_certificate_need_not_be_checked(port: int) -> None:
    with open_store(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none&ssl_check_hostname=false") as store:
        begin(store)


def test_a_server_may_ask_for_a_certificate_of_its_clients(
    server: RedisServer, authority: Authority, stranger: Authority
) -> None:
    context = context_of(authority, "127.0.0.1")
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    file, key_file = authority.issue("client")
    wrong, wrong_key = stranger.issue("client")
    with tls_in_front_of(server.port, context) as port:
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.file}"
        with open_store(f"{url}&ssl_certfile={file}&ssl_keyfile={key_file}") as store:
            assert store.load("nothing") is None
        for certificate in ("", f"&ssl_certfile={wrong}&ssl_keyfile={wrong_key}"):
            assert "Does it ask for a certificate (ssl_certfile, ssl_keyfile)?" in refused(url + certificate)


def test_tls_where_there_is_none_is_refused_and_it_says_so(server: RedisServer) -> None:
    """Redis waits for the rest of what it takes for a command."""
    url = server.url.replace("redis:", "rediss:")
    assert "Does it speak TLS on this port?" in refused(f"{url}?socket_timeout=0.3&socket_connect_timeout=0.3")


def test_files_that_do_not_exist_are_named(port: int, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    said = refused(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={missing}")
    assert str(missing) in said
    assert "tries" not in said


def test_options_of_tls_are_refused_without_it(server: RedisServer, authority: Authority) -> None:
    with pytest.raises(BadStoreUrl, match="ssl_ca_certs"):
        open_store(f"{server.url}?ssl_ca_certs={authority.file}")


def test_a_cluster_over_tls(authority: Authority, stranger: Authority) -> None:
    """Each node tells clients the port on which it speaks TLS."""
    ports = [free_port() for _node in range(3)]
    context = context_of(authority, "127.0.0.1")
    with running_redis_cluster(announced=ports) as servers, ExitStack() as stack:
        for server, port in zip(servers, ports, strict=True):
            stack.enter_context(tls_in_front_of(server.port, context, on=port))
        url = f"rediss://127.0.0.1:{ports[0]}?cluster=true"
        with open_store(f"{url}&ssl_ca_certs={authority.file}") as store:
            for number in range(12):
                begin(store, f"board/{number}", rows=["row"])
                append_all(store, [b"1"], f"board/{number}")
            assert len(store.documents_of(["row"])["row"]) == len(list(store.names())) == 12
        assert NAME_THE_FILE in refused(f"{url}&ssl_ca_certs={stranger.file}")
