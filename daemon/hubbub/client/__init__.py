"""A client of hubbub for programs with asyncio; hubbub.client.twisted has the one for Twisted.

import asyncio
from hubbub.client import Client

async def main():
    async with Client("ws://127.0.0.1:8999") as client:
        async for message in client.subscribe("plant/#"):
            print(message.topic, message.text)

asyncio.run(main())
"""

from hubbub.client.address import Address, parse
from hubbub.client.asyncio_loop import Client
from hubbub.client.errors import Busy, ClientError, Closed, Lost, Refused
from hubbub.client.message import Message

__all__ = ["Address", "Busy", "Client", "ClientError", "Closed", "Lost", "Message", "Refused", "parse"]
