"""HTTP through Debian's nginx and HAProxy with their defaults: publish, read, streams, the console."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from ports import free_port
from running import Address, Daemon
from waiting import wait_until

SECONDS = 20
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{hub}; }} }}
}}
"""
HAPROXY = """
defaults
    mode http
    timeout connect 5000
    timeout client 50000
    timeout server 50000
frontend web
    bind 127.0.0.1:{port}
    default_backend hub
backend hub
    server hub {hub}
"""
PROXIES = {"nginx": (NGINX, ("-e", "stderr", "-c")), "haproxy": (HAPROXY, ("-f",))}


@contextlib.contextmanager
def proxy(program: str, name: str, folder: Path, hub: Address) -> Iterator[str]:
    """Run a proxy in front of `hub`, and give its URL."""
    text, options = PROXIES[name]
    port = free_port()
    file = folder / f"{name}.conf"
    file.write_text(text.format(folder=folder, port=port, hub=f"{hub[0]}:{hub[1]}"))
    process = subprocess.Popen([program, *options, str(file)])

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, SECONDS, process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(SECONDS)


@pytest.mark.parametrize("name", PROXIES)
def test_http_through_a_proxy(name: str, need: Callable[[str], str], tmp_path: Path) -> None:
    with (
        Daemon("--websocket", "tcp:0") as daemon,
        proxy(need(name), name, tmp_path, daemon.websocket[0]) as url,
        httpx.Client(base_url=url, timeout=SECONDS, trust_env=False) as web,
    ):
        assert web.put("topics/kept", content=b"21.5").json() == {"receivers": 0}
        read = web.get("topics/kept")
        assert read.text == "21.5"
        assert web.get("topics/kept", headers={"If-None-Match": read.headers["etag"]}).status_code == 304
        assert web.get("messages", params={"filter": "kept", "poll": "1"}).json()["data"] == "21.5"
        assert web.get("").headers["content-type"] == "text/html; charset=utf-8"
        with connect_sse(web, "GET", "events", params={"filter": "#"}) as source:
            events = source.iter_sse()
            kept = next(events)
            assert (kept.event, kept.data) == ("kept", "21.5")
            for n in range(3):  # each comes at once: the proxy holds nothing back
                assert httpx.post(f"{url}topics/live", content=b"%d" % n, trust_env=False).json() == {"receivers": 1}
                assert next(events).data == str(n)
        with web.stream("GET", "messages", params={"filter": "live"}) as stream:
            lines = stream.iter_lines()
            assert httpx.post(f"{url}topics/live", content=b"x", trust_env=False).status_code == 200
            assert '"data":"x"' in next(line for line in lines if line)
