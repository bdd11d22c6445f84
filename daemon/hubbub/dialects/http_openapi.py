"""The description of the HTTP interface for programs (OpenAPI 3.1), at /api/openapi.json."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

from hubbub import limits

_PROBLEM = {"$ref": "#/components/responses/Problem"}
_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_ANY: dict[str, Any] = {"*/*": {"schema": {}}}
_NO_WILDCARD = "^[^+#\\u0000]*$"  # hubbub.topics.check_topic
_TOPIC_SCHEMA = {"type": "string", "pattern": _NO_WILDCARD, "minLength": 1}
_TOPIC = {"name": "topic", "in": "path", "required": True, "schema": _TOPIC_SCHEMA}
_KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": limits.NAME_CHARACTERS, "pattern": "[^ \\t]"}
_KEY = {"name": "Idempotency-Key", "in": "header", "schema": _KEY_SCHEMA}
_FILTER = r"^(([^/+#\u0000]*|\+)/)*([^/+#\u0000]*|\+|#)$"  # hubbub.topics.check_filter
_FILTERS = {
    "name": "filter", "in": "query", "required": True, "explode": True,
    "schema": {"type": "array", "items": {"type": "string", "pattern": _FILTER, "minLength": 1}, "minItems": 1},
}  # fmt: skip
_HISTORY = {
    "name": "history", "in": "query", "style": "form", "explode": True,
    "description": "One of these, where there is a history",
    "schema": {
        "type": "object",
        "not": {"anyOf": [{"required": list(two)} for two in combinations(("after", "since", "last"), 2)]},
        "properties": {
            "after": {"type": "string", "description": "a position"},
            "since": {"type": "string", "pattern": r"^[0-9]{1,18}(\.[0-9]{1,18})? ?(ms|s|min|h)?$"},
            "last": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
        },
    },
}  # fmt: skip


def _query(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


_ADDRESS = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_KICK = {
    "type": "object", "minProperties": 1, "additionalProperties": False,
    "properties": {
        "link": {"type": "integer", "minimum": 0}, "user": {"type": "string"}, "client": {"type": "string"},
        "host": _ADDRESS, "listener": {"type": "string"},
    },
}  # fmt: skip


def _operation(
    summary: str,
    *parameters: Any,
    body: dict[str, Any] | None = None,
    problems: str = "400 401 403 429 503",
    **responses: Any,
) -> dict[str, Any]:
    """Describe an operation; `body`: its media types; `responses`: those of each status, named with an underscore."""
    found: dict[str, Any] = {}
    for status, media in responses.items():
        found[status[1:]] = {"description": summary} | ({"content": media} if media else {})
    found |= dict.fromkeys(problems.split(), _PROBLEM)
    operation: dict[str, Any] = {"summary": summary, "parameters": list(parameters), "responses": found}
    return operation | ({"requestBody": {"content": body, "required": body is not _ANY}} if body else {})


def _paths() -> dict[str, Any]:
    qos = _query("qos", type="integer", minimum=0, maximum=2)
    timeout = _query("timeout", type="number", minimum=0, maximum=limits.REQUEST_SECONDS_MAX)
    more = "400 401 403 404 429 503"
    published = "400 401 403 413 422 429 503 507"
    return {
        "/topics/{topic}": {
            "get": _operation("Read the retained message", _TOPIC, problems=more, _200=_ANY, _304=None),
            "post": _operation("Publish", _TOPIC, _KEY, qos, body=_ANY, problems=published, _200=_OBJECT, _202=_OBJECT),
            "put": _operation("Publish and retain", _TOPIC, _KEY, qos, body=_ANY, problems=published, _200=_OBJECT),
            "delete": _operation("Clear the retained message", _TOPIC, _KEY, problems=published, _204=None),
        },
        "/requests/{topic}": {
            "post": _operation(
                "Request a reply", _TOPIC, timeout, body=_ANY, problems="400 401 403 404 413 429 503 504", _200=_ANY
            ),
        },
        "/events": {
            "get": _operation(
                "Follow messages as server-sent events", _FILTERS, _query("format", enum=["text", "json"]), _HISTORY,
                _query("ticket", type="string"), _200={"text/event-stream": {"schema": {}}},
            ),
        },
        "/messages": {
            "get": _operation(
                "Follow messages as JSON lines", _FILTERS, _query("poll", enum=["0", "1"]), _HISTORY,
                _query("ticket", type="string"), _200={"application/x-ndjson": {"schema": {}}},
            ),
        },
        "/session": {
            "post": _operation("Get a cookie for a login", problems="401 404 429 503", _204=None),
            "delete": _operation("End the session of the cookie", problems="401 404 429 503", _204=None),
        },
        "/tickets": {"post": _operation("Get a ticket for one request", problems="401 404 429 503", _201=_OBJECT)},
        **_management(),
    }  # fmt: skip


def _management() -> dict[str, Any]:
    limit, after, link = (
        _query(name, type="integer", minimum=0, maximum=limits.MANAGED_NUMBER) for name in ("limit", "after", "link")
    )
    below = _query("below", type="string", pattern=_NO_WILDCARD)
    host = _query("host", **_ADDRESS)
    pages = {
        "links": (after, limit, _query("listener", type="string"), host),
        "subscriptions": (_query("after", type="string", pattern=r"^([0-9]{1,16}(\.[0-9]{1,16})?)?$"), limit, link),
        "topics": (after, limit, below, _query("search", type="string")),
        "retained": (after, limit, below),
    }
    names = ("status", "listeners", "connectors", "plugins")
    reads = {name: _operation(f"Read the {name}", _200=_OBJECT) for name in names}
    reads |= {name: _operation(f"Read a page of {name}", *query, _200=_OBJECT) for name, query in pages.items()}
    reads["links"]["responses"]["404"] = _PROBLEM  # no such listener
    reads["cluster"] = _operation("Read all nodes", problems="400 401 403 404 429 503", _200=_OBJECT)
    return {
        **{f"/api/v1/{name}": {"get": operation} for name, operation in reads.items()},
        "/api/v1/kick": {
            "post": _operation(
                "Close links",
                body={"application/json": {"schema": _KICK}},
                problems="400 401 403 404 413 429 503",
                _200=_OBJECT,
            ),
        },
        "/api/v1/reload": {"post": _operation("Read all files again", problems="400 401 403 429 503", _200=_OBJECT)},
    }


@cache
def document() -> dict[str, Any]:
    """Return the description."""
    problem = {
        "type": "object", "required": ["title", "status", "detail"],
        "properties": {
            "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
            "code": {"type": "string"},
        },
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "hubbub", "version": "1", "description": "Publish, read, follow and request messages."},
        "security": [{}, {"basic": []}, {"bearer": []}, {"cookie": []}],
        "paths": _paths(),
        "components": {
            "responses": {
                "Problem": {
                    "description": "Problem details (RFC 9457)",
                    "content": {"application/problem+json": {"schema": problem}},
                },
            },
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "hubbub"},
            },
        },
    }
