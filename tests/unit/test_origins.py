"""Which Origin headers match which patterns."""

from __future__ import annotations

import pytest
from django.test import override_settings

from rxcrdt.origins import is_allowed, patterns

MATCHES = [
    ("http://example.com", "example.com"),
    ("https://example.com:8443", "example.com"),  # a host is for any scheme and port, as ALLOWED_HOSTS is
    ("https://EXAMPLE.com", "example.com"),
    ("https://example.com", "Example.COM"),
    ("https://a.example.com", ".example.com"),
    ("https://example.com", ".example.com"),
    ("http://[::1]:8000", "[::1]"),
    ("http://localhost:5173", "localhost"),
    ("https://example.com", "https://example.com"),
    ("https://example.com", "https://example.com:443"),
    ("http://example.com:80", "http://example.com"),
    ("https://a.example.com", "https://*.example.com"),
    ("https://a.example.com:8443", "https://*.example.com:8443"),
    ("https://anything.at.all", "*"),
    ("null", "*"),
]

DIFFERENT = [
    ("https://example.com.evil.net", "example.com"),
    ("https://evilexample.com", ".example.com"),
    ("https://evilexample.com", "https://*.example.com"),
    ("https://a.example.com", "example.com"),
    ("http://example.com", "https://example.com"),
    ("https://example.com:8443", "https://example.com"),
    ("https://a.example.com:8443", "https://*.example.com"),
    ("null", "example.com"),
    ("", "example.com"),
    ("example.com", "example.com"),
    ("https://", "example.com"),
    ("https://example.com:port", "example.com"),
    ("https://[::1", "[::1]"),
    ("https://example.com@evil.net", "example.com"),
]


@pytest.mark.parametrize(("origin", "pattern"), MATCHES)
def test_an_origin_that_matches(origin: str, pattern: str) -> None:
    assert is_allowed(origin, ["https://other.org", pattern])


@pytest.mark.parametrize(("origin", "pattern"), DIFFERENT)
def test_an_origin_that_does_not(origin: str, pattern: str) -> None:
    assert not is_allowed(origin, ["https://other.org", pattern])


def test_no_origin_is_none_that_is_allowed() -> None:
    assert not is_allowed(None, ["example.com"])
    assert is_allowed(None, ["*"])


@override_settings(ALLOWED_HOSTS=["a.com"], CSRF_TRUSTED_ORIGINS=["https://b.com"])
def test_by_default_the_projects_own_hosts_and_those_it_trusts() -> None:
    assert patterns() == ("a.com", "https://b.com")


@override_settings(ALLOWED_HOSTS=["a.com"], RXCRDT={"ALLOWED_ORIGINS": ["https://c.com"]})
def test_the_setting_takes_their_place() -> None:
    assert patterns() == ("https://c.com",)


@override_settings(ALLOWED_HOSTS=[], CSRF_TRUSTED_ORIGINS=[], DEBUG=True)
def test_while_debugging_the_own_machine() -> None:
    assert is_allowed("http://localhost:5173", patterns())
    assert is_allowed("http://127.0.0.1:8000", patterns())
    assert not is_allowed("http://example.com", patterns())


@override_settings(ALLOWED_HOSTS=[], CSRF_TRUSTED_ORIGINS=[], DEBUG=False)
def test_otherwise_without_hosts_nobody() -> None:
    assert not is_allowed("http://localhost:5173", patterns())
