"""Enhanced authentication, the server's side (MQTT 5.0 section 4.12): CONNECT, then AUTH packets both ways."""

from __future__ import annotations

from hubbub import AuthResponse, Connect
from hubbub_plugins.mqtt.codes import CONTINUE_AUTHENTICATION, REAUTHENTICATE
from hubbub_plugins.mqtt.packets import V5, Auth
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed


class EnhancedAuthentication:
    """Where the AUTH exchange of one connection stands.

    pending  whether a client that named a method still waits for its CONNACK
    """

    __slots__ = ("pending", "_method", "_renewing")

    def __init__(self, method: str | None = None) -> None:
        self.pending = method is not None
        self._method = method
        self._renewing = False

    def receive(self, packet: Auth) -> Connect | AuthResponse:
        """Return the event of an AUTH. Raises Malformed."""
        method = packet.properties.get("authentication_method")
        data = packet.properties.get("authentication_data", b"")
        if method is None or method != self._method:  # MQTT-4.12.0-5, MQTT-4.12.1-1
            raise Malformed("AUTH with another method than CONNECT", PROTOCOL_ERROR)
        running = self.pending or self._renewing
        if packet.code == REAUTHENTICATE and not running:
            self._renewing = True
            return Connect(tag=packet, auth_method=method, auth_data=data, reauthenticate=True)
        if packet.code != CONTINUE_AUTHENTICATION or not running:
            raise Malformed("AUTH with a reason code that has no place here", PROTOCOL_ERROR)
        return AuthResponse(data, packet)

    def finish(self) -> None:
        """The result is known."""
        self.pending = self._renewing = False


def encode_auth(code: int, method: str | None, data: bytes) -> bytes:
    """Encode an AUTH."""
    properties = {"authentication_method": method, "authentication_data": data}
    return Auth(code=code, properties=properties).encode(V5)
