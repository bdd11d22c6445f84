"""hubbub: one daemon for every real-time client. These are the names that plugins use, and they stay."""

from hubbub.dialect import Dialect, DialectContext, IdForm, NeverDrop, Text
from hubbub.errors import BadFilter, BadTopic, ConfigError, HubbubError, Refusal
from hubbub.events import (
    Ack,
    Answer,
    AuthResponse,
    Cancel,
    Close,
    Confirm,
    Connect,
    Event,
    Fault,
    Fetch,
    ForPeer,
    Notice,
    OpenQueue,
    Ping,
    PublishOnce,
    ReadPosition,
    Release,
    Subscribe,
    SubscriptionBatch,
    Unsubscribe,
)
from hubbub.handler import Handler, Incoming, on
from hubbub.history_request import HistoryRequest
from hubbub.line_dialect import LineDialect
from hubbub.message import Message, Sender
from hubbub.option import choice, duration, flag, many, option, rate, secret, size
from hubbub.publish import Announcement, PartialReply, Publish, QosPublish, Request, SelectivePublish
from hubbub.template import Template

__all__ = [
    "Ack", "Announcement", "Answer", "AuthResponse", "BadFilter", "BadTopic", "Cancel", "Close", "ConfigError",
    "Confirm", "Connect", "Dialect", "DialectContext", "Event", "Fault", "Fetch", "ForPeer", "Handler",
    "HistoryRequest", "HubbubError", "IdForm", "Incoming", "LineDialect", "Message", "NeverDrop", "Notice",
    "OpenQueue", "PartialReply", "Ping", "Publish", "PublishOnce", "QosPublish", "ReadPosition", "Refusal", "Release",
    "Request", "SelectivePublish", "Sender", "Subscribe", "SubscriptionBatch", "Template", "Text", "Unsubscribe",
    "choice", "duration", "flag", "many", "on", "option", "rate", "secret", "size",
]  # fmt: skip
