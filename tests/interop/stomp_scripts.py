"""What a STOMP client says, frame by frame: valid and invalid, for hubbub and for RabbitMQ.

`T` is a name of the script's own. Each begins with CONNECT of 1.2, unless it says another, and ends with DISCONNECT.
"""

from __future__ import annotations

CONNECT = "CONNECT\naccept-version:{}\nhost:/\nlogin:guest\npasscode:guest\n\n\0"
V12 = CONNECT.format("1.2")
SUB = "SUBSCRIBE\nid:1\ndestination:/topic/T\n\n\0"
SEND = "SEND\ndestination:/topic/T\n\nx\0"
GOODBYE = "DISCONNECT\nreceipt:end\n\n\0"

SCRIPTS: dict[str, str] = {
    "1.2": V12,
    "1.1": CONNECT.format("1.1"),
    "1.0": CONNECT.format("1.0"),
    "the highest of several": CONNECT.format("1.0,1.1,1.2"),
    "no version": "CONNECT\nhost:/\nlogin:guest\npasscode:guest\n\n\0",
    "an unknown version": CONNECT.format("9.9"),
    "one known of several": CONNECT.format("9.9,1.1"),
    "STOMP": V12.replace("CONNECT", "STOMP"),
    "heart-beats": V12.replace("host:", "heart-beat:5000,5000\nhost:"),
    "heart-beats that are none": V12.replace("host:", "heart-beat:a,b\nhost:"),
    "SEND before CONNECT": SEND,
    "CONNECT twice": V12 * 2,
    "a message to oneself": V12 + SUB + SEND,
    "two subscriptions": V12 + SUB + SUB.replace("id:1", "id:2") + SEND,
    "one id twice": V12 + SUB + SUB.replace("/T", "/T2") + SEND,
    "SUBSCRIBE without an id": V12 + SUB.replace("id:1\n", "") + SEND,
    "SUBSCRIBE without an id, 1.0": CONNECT.format("1.0") + SUB.replace("id:1\n", "") + SEND,
    "SUBSCRIBE without a destination": V12 + "SUBSCRIBE\nid:1\n\n\0",
    "an ack mode that is none": V12 + SUB.replace("id:1", "id:1\nack:maybe"),
    "UNSUBSCRIBE": V12 + SUB + "UNSUBSCRIBE\nid:1\n\n\0" + SEND,
    "UNSUBSCRIBE of nothing": V12 + "UNSUBSCRIBE\nid:7\n\n\0",
    "UNSUBSCRIBE without an id": V12 + "UNSUBSCRIBE\n\n\0",
    "SEND without a destination": V12 + "SEND\n\nx\0",
    "an empty body": V12 + SUB + "SEND\ndestination:/topic/T\n\n\0",
    "NUL in a body": V12 + SUB + "SEND\ndestination:/topic/T\ncontent-length:3\n\na\0b\0",
    "a content-length that is too short": V12 + "SEND\ndestination:/topic/T\ncontent-length:1\n\nabc\0",
    "a content-length that is none": V12 + "SEND\ndestination:/topic/T\ncontent-length:x\n\nabc\0",
    "receipts": V12
    + SUB.replace("id:1", "id:1\nreceipt:a")
    + SEND.replace("\n\n", "\nreceipt:b\n\n")
    + "BEGIN\ntransaction:t\nreceipt:c\n\n\0"
    + "ABORT\ntransaction:t\nreceipt:d\n\n\0",
    "COMMIT": V12
    + SUB
    + "BEGIN\ntransaction:t\n\n\0"
    + SEND.replace("\n\n", "\ntransaction:t\n\n")
    + "COMMIT\ntransaction:t\n\n\0",
    "ABORT": V12
    + SUB
    + "BEGIN\ntransaction:t\n\n\0"
    + SEND.replace("\n\n", "\ntransaction:t\n\n")
    + "ABORT\ntransaction:t\n\n\0",
    "COMMIT of nothing": V12 + "COMMIT\ntransaction:t\n\n\0",
    "ABORT of nothing": V12 + "ABORT\ntransaction:t\n\n\0",
    "BEGIN twice": V12 + "BEGIN\ntransaction:t\n\n\0" * 2,
    "BEGIN without a name": V12 + "BEGIN\n\n\0",
    "SEND in no transaction": V12 + SEND.replace("\n\n", "\ntransaction:t\n\n"),
    "ACK of nothing": V12 + "ACK\nid:7\n\n\0",
    "ACK without an id": V12 + "ACK\n\n\0",
    "NACK of nothing": V12 + "NACK\nid:7\n\n\0",
    "NACK in 1.0": CONNECT.format("1.0") + "NACK\nmessage-id:7\n\n\0",
    "a queue": V12 + "SEND\ndestination:/queue/T\n\nx\0" + SUB.replace("/topic/", "/queue/"),
    "an unknown command": V12 + "SHOUT\n\n\0",
    "a command in small letters": V12 + "send\ndestination:/topic/T\n\nx\0",
    "MESSAGE of a client": V12 + "MESSAGE\ndestination:/topic/T\n\nx\0",
    "CR and LF": V12.replace("\n", "\r\n") + SUB.replace("\n", "\r\n") + SEND.replace("\n", "\r\n"),
    "line ends between frames": V12 + "\n\n\n" + SUB + "\n" + SEND + "\n\n",
    "a header without a colon": V12 + "SEND\ndestination\n\nx\0",
    "an escape that is none": V12 + SUB + "SEND\ndestination:/topic/T\na:\\q\n\nx\0",
    "escapes": V12 + SUB + "SEND\ndestination:/topic/T\na:\\c\\n\\\\\n\nx\0",
    "a header twice": V12 + SUB + "SEND\ndestination:/topic/T\ndestination:/topic/T2\n\nx\0",
    "a body of SUBSCRIBE": V12 + SUB.replace("\0", "body\0"),
    "DISCONNECT, and more": V12 + "DISCONNECT\nreceipt:1\n\n\0" + SEND,
}
