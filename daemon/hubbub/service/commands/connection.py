"""What the commands have in common that speak to a hub or a broker as its clients do."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import closing
from typing import Any

from hubbub.client.address import Address, parse
from hubbub.option import printable
from hubbub.service.client.base import Client, Lost, Refused
from hubbub.service.client.http_client import HttpClient
from hubbub.service.client.json_client import JsonClient
from hubbub.service.client.mqtt_client import MqttClient
from hubbub.service.commands.arguments import Arguments

REFUSED, LOST, NO_REPLY = 1, 2, 3  # exit statuses

WHERE = """\
  URL                    tcp:// udp:// ws:// wss:// mqtt:// mqtts:// http://
                         https://, then [USER@]HOST[:PORT]
  --password-file FILE   the password of USER
  --token-file FILE      a token instead
  --ca FILE              certificates to trust, instead of the system's
  --cert FILE            a certificate of your own, in PEM
  --key FILE             its private key, unless that is in the same file

Exit status: 0; 1 refused, or a mistake; 2 no connection, or it was lost"""
"""The end of each usage text."""


def open_client(address: Address) -> Client:
    """Connect. Raises Lost, Refused."""
    kind: Callable[[Address], Client] = JsonClient
    if address.scheme.startswith("mqtt"):
        kind = MqttClient
    elif address.scheme.startswith("http"):
        kind = HttpClient
    return kind(address)


def url_parser(command: str) -> Arguments:
    """Return the arguments that all of them take."""
    parser = Arguments(command)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--json", action="store_true")
    for name in ("--password-file", "--token-file", "--ca", "--cert", "--key"):
        parser.add_argument(name)
    return parser


def with_client(asked: Any, use: Callable[[Client], int]) -> int:
    """Connect, and tell in one line what goes wrong."""
    address = address_of(asked)
    try:
        with closing(open_client(address)) as client:
            return use(client)
    except Refused as refusal:
        print(f"hubbub: {printable(str(refusal))}", file=sys.stderr)
        return NO_REPLY if refusal.code in ("timeout", "no-responders") else REFUSED
    except Lost as error:
        print(f"hubbub: {printable(str(error))}", file=sys.stderr)
        return LOST
    except TimeoutError:
        print(f"hubbub: {address}: no answer within {address.seconds:g} s", file=sys.stderr)
        return LOST


def address_of(asked: Any) -> Address:
    """Return where the arguments say. Raises ConfigError."""
    return parse(asked.url, asked.password_file, asked.token_file, asked.ca, asked.cert, asked.key)


def positive(text: str) -> int:
    """Read a number from 1 on. Raises ArgumentTypeError."""
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError("expected a number from 1 on")
    return int(text)
