"""Destinations and topics: `/topic/a/b` and `a/b` are the topic `a/b`, `/queue/jobs` is a work queue.

A work queue is the topic `queue/jobs`, shared by its consumers: each message goes to one of them.
"""

from __future__ import annotations

from hubbub.topics import check_filter, check_topic

PLAIN, TOPIC, QUEUE = "", "/topic/", "/queue/"  # what a destination begins with
_QUEUES = "queue/"  # the topics of work queues
_GROUP = "$share/queue/"  # the groups of their consumers


def style_of(destination: str) -> str:
    """Return which of PLAIN, TOPIC and QUEUE a destination is."""
    if destination.startswith(TOPIC):
        return TOPIC
    return QUEUE if destination.startswith(QUEUE) else PLAIN


def topic_of(destination: str) -> str:
    """Return the topic of a destination. Raises BadTopic."""
    return check_topic(_hub_name(destination))


def filter_of(destination: str) -> str:
    """Return the filter of a destination; that of a work queue is shared. Raises BadFilter, BadTopic."""
    name = _hub_name(destination)
    return queue_of(check_topic(name)) if style_of(destination) == QUEUE else check_filter(name)


def queue_of(topic: str) -> str:
    """Return the group that is the work queue of a topic."""
    return _GROUP + topic


def _hub_name(destination: str) -> str:
    style = style_of(destination)
    return _QUEUES * (style == QUEUE) + destination[len(style) :]


def destination_of(topic: str, style: str) -> str:
    """Return the destination of a topic, in the style in which the client names others."""
    if style == QUEUE and topic.startswith(_QUEUES):
        return QUEUE + topic[len(_QUEUES) :]
    if style == TOPIC or style_of(topic) != PLAIN:
        return TOPIC + topic
    return topic
