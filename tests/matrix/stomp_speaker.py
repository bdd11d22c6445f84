"""A client of STOMP; see matrix.speakers."""

from __future__ import annotations

from typing import Any

from hubbub.testing import World
from hubbub_plugins.stomp import Stomp
from matrix.speaker import Output, Speaker
from stomp_client import read as read_frames
from stomp_client import write as write_frame


class StompSpeaker(Speaker):
    """It wants receipts for what it subscribes to. An error is the end of its connection."""

    dialect = Stomp

    def __init__(self, world: World, transport: str, **keys: Any) -> None:
        super().__init__(world, transport, **keys)
        self._backs: set[str] = set()  # where it expects replies
        self._rest = b""
        self.tell(write_frame("CONNECT", accept_version="1.2"))
        (self.connected,) = self.reported()

    def subscribe(self, filter: str, **headers: object) -> None:
        self.tell(write_frame("SUBSCRIBE", destination=filter, id=filter, receipt=f"+{filter}", **headers))

    def unsubscribe(self, filter: str) -> None:
        self.tell(write_frame("UNSUBSCRIBE", id=filter, receipt=f"-{filter}"))

    def publish(self, topic: str, payload: bytes, retain: bool = False, **headers: object) -> None:
        more = {"retain": "true"} if retain else {}
        length = len(payload)
        self.tell(write_frame("SEND", payload, destination=topic, content_length=length, **more, **headers))

    def request(self, topic: str, payload: bytes, back: str = "back") -> None:
        """Ask as an MQTT 5 client does: who asks has subscribed to `back`."""
        self._backs.add(back)
        self.publish(topic, payload, reply_to=back)

    def reported(self) -> list[Any]:
        """The frames that have come."""
        self.world.turn()
        return self.units()

    def units(self) -> list[Any]:
        received = self.client.received()
        if not isinstance(received, bytes):
            received = b"".join(one.encode() if isinstance(one, str) else one for one in received)
        frames, self._rest = read_frames(self._rest + received)
        return frames

    def framed(self, unit: bytes) -> bytes:
        return unit

    def read(self, frame: Any) -> Output:
        if frame.command == "MESSAGE":
            back = frame.destination in self._backs
            return ("reply", frame.body) if back else ("message", frame.destination, frame.body)
        if frame.command == "RECEIPT":
            return ("subscribed" if frame.receipt_id[0] == "+" else "unsubscribed", frame.receipt_id[1:])
        return ("error", frame.code)
