"""hubbub: one daemon for every real-time client. These are the names that plugins use, and they stay."""

from hubbub.dialect import Dialect, Setting, Sure, Text
from hubbub.errors import BadFilter, BadTopic, ConfigError, HubbubError, Refusal
from hubbub.events import (
    Ack,
    Answer,
    Close,
    Confirm,
    Event,
    Fault,
    Letter,
    Notice,
    Open,
    Ping,
    Publish,
    Release,
    Request,
    Several,
    Step,
    Subscribe,
    Unsubscribe,
)  # fmt: skip
from hubbub.handler import Handler, Incoming, on
from hubbub.message import Message, Sender
from hubbub.option import choice, duration, flag, many, option, rate, secret, size
from hubbub.template import Template

__all__ = [
    "Ack", "Answer", "BadFilter", "BadTopic", "Close", "ConfigError", "Confirm", "Dialect", "Event", "Fault",
    "Handler", "HubbubError", "Incoming", "Letter", "Message", "Notice", "Open", "Ping", "Publish", "Refusal",
    "Release", "Request", "Sender", "Setting", "Several", "Step", "Subscribe", "Sure", "Template", "Text",
    "Unsubscribe", "choice", "duration", "flag", "many", "on", "option", "rate", "secret", "size",
]  # fmt: skip
