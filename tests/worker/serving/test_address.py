"""Where a server is reached: URLs that are taken, and those that are refused in one line."""

import pytest

from worker.serving.address import Address, AddressError


@pytest.mark.parametrize(
    ("url", "host", "port", "base"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, ""),
        ("http://localhost", "localhost", 80, ""),
        ("https://localhost/", "localhost", 443, ""),
        ("HTTP://Example.org:1/v1", "example.org", 1, ""),
        ("http://h:1/v1/", "h", 1, ""),
        ("http://h:1//", "h", 1, ""),
        ("http://h:1/proxy/v1/", "h", 1, "/proxy"),
        ("http://h:1/v1x", "h", 1, "/v1x"),
        ("http://[::1]:8000/v1", "::1", 8000, ""),
    ],
)
def test_a_url_is_host_port_and_the_path_before_the_api(
    url: str, host: str, port: int, base: str
) -> None:
    address = Address.of(url)
    assert (address.host, address.port, address.base) == (host, port, base)
    assert address.secure == url.startswith("https")


def test_an_address_of_ipv6_is_bracketed() -> None:
    head = Address.of("http://[::1]:8000").head("GET", "/health")
    assert head.startswith(b"GET /health HTTP/1.1\r\nHost: [::1]:8000\r\n")
    assert Address.of("http://a:1").location == "a:1"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://h", "must be like http://HOST:PORT"),
        ("http://", "must be like"),
        ("http://:80", "must be like"),
        ("http://h:0", "must be like"),
        ("http://h:70000", "Port out of range"),
        ("http://h:x", "Port could not be cast"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://h/a b", "must be like"),
        ("http://h/你", "must be like"),
        ("http://h?key=secret", "without user, password, query"),
        ("http://me:secret@h", "without user, password, query"),
        ("http://me:secret@h:x", "cannot be read"),
        ("http://h:1/v1/completions", "is an endpoint; give the server's address, http://h:1"),
        ("https://h/v1/chat/completions/", "give the server's address, https://h"),
    ],
)
def test_a_url_of_no_server_is_refused_and_no_secret_is_named(url: str, words: str) -> None:
    with pytest.raises(AddressError) as error:
        Address.of(url)
    assert words in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("127.example.org", False),
        ("128.0.0.1", False),
        ("::2", False),
        ("example.org", False),
    ],
)
def test_energy_is_counted_on_the_loopback_interface_alone(host: str, loopback: bool) -> None:
    assert Address(host, 80).is_loopback is loopback
