"""HTTP from the other side: see docs/http.md."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode

from hubbub import limits
from hubbub.client.address import Address
from hubbub.service.client.base import Begin, Lost, Outgoing, Received, Refused
from hubbub.service.client.json_units import read, received

_LONGEST = 8 * limits.MESSAGE_BYTES  # bytes of one line: JSON may take 6 for one


class HttpClient:
    """A client of hubbub over HTTP."""

    def __init__(self, address: Address) -> None:
        self._address = address
        context = address.tls()
        seconds = address.seconds
        self._connection: HTTPConnection = (
            HTTPConnection(address.host, address.port, timeout=seconds)
            if context is None
            else HTTPSConnection(address.host, address.port, timeout=seconds, context=context)
        )
        self._headers: dict[str, str] = {}
        if address.token is not None:
            self._headers["Authorization"] = f"Bearer {address.token}"
        elif address.user is not None:
            login = f"{address.user}:{address.password or ''}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"

    def publish(self, message: Outgoing) -> None:
        """Publish, and wait for the answer."""
        more = f"?qos={message.qos}" if message.qos else ""
        self._ask("PUT" if message.retain else "POST", f"/topics/{quote(message.topic)}{more}", message).read()

    def settle(self) -> None:
        """Each publish has its answer already."""

    def subscribe(self, filters: Sequence[str], qos: int, begin: Begin | None = None) -> Iterator[Received | int]:
        """Yield messages, see Client."""
        fields = [("filter", filter) for filter in filters]
        fields += [] if begin is None else [(begin.name, begin.text)]
        query = urlencode(fields, quote_via=quote)
        stream = self._ask("GET", f"/messages?{query}")
        try:
            while line := stream.readline(_LONGEST):
                if line.strip() and (unit := read(line, self._address)).op != "live":
                    yield received(unit, line)
        except (OSError, HTTPException) as error:
            raise Lost.of(self._address, error) from None
        raise Lost(f"{self._address}: it has ended the stream")

    def request(self, message: Outgoing, seconds: float) -> bytes:
        """Return the reply."""
        self._connection.timeout = seconds + self._address.seconds
        return self._ask("POST", f"/requests/{quote(message.topic)}?timeout={seconds:g}", message).read()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, message: Outgoing | None = None) -> HTTPResponse:
        headers = dict(self._headers)
        if message is not None and message.json:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, None if message is None else message.payload, headers)
            response = self._connection.getresponse()
            if response.status < 300:
                return response
            body = response.read()
        except (OSError, HTTPException) as error:
            raise Lost.of(self._address, error, self._connection.sock) from None
        try:
            problem: dict[str, Any] = json.loads(body)
            raise Refused(str(problem.get("code", "")), str(problem["detail"]))
        except (ValueError, KeyError, TypeError):
            raise Refused("", f"{self._address}: {response.status} {response.reason}") from None
