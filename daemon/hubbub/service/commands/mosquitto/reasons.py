"""Why lines of mosquitto.conf have no counterpart, by their first word."""

from __future__ import annotations

_MEMORY = "hubbub run --state DIR stores sessions and messages; it doesn't read Mosquitto's file"
_LOGS = "hubbub logs to standard output and the journal; `hubbub trace` shows the messages of clients"
_MQTT = "hubbub has no key for it; docs/mqtt.md has the fixed values"
_TLS = "hubbub has no key for it: it speaks TLS 1.2 and 1.3 with forward secrecy"
_PLUGINS = "hubbub doesn't load Mosquitto's plugins; `--auth` chooses the logins"
_PSK = "hubbub doesn't speak TLS with pre-shared keys; give the listener a certificate"
_BRIDGE = "bridges of hubbub have no such key, see docs/mqtt.md"
_WEB = "hubbub configures WebSocket and its page by --origin and the keys of the listener"

_WORDS = {
    _MEMORY: "persistence persistence_file persistence_location autosave_interval autosave_on_changes "
    "persistent_client_expiration",
    _LOGS: "log_dest log_facility log_type log_timestamp log_timestamp_format connection_messages websockets_log_level",
    _MQTT: "max_inflight_messages max_inflight_bytes max_qos maximum_qos retain_available "
    "upgrade_outgoing_qos check_retain_source queue_qos0_messages allow_zero_length_clientid auto_id_prefix "
    "allow_duplicate_messages clientid_prefixes max_topic_alias use_username_as_clientid retry_interval",
    _TLS: "ciphers ciphers_tls1.3 tls_version dhparamfile tls_engine tls_engine_kpass_sha1 tls_keyform ocsp",
    _PLUGINS: "plugin auth_plugin auth_plugin_deny_special_chars",
    _PSK: "psk_file psk_hint",
    _WEB: "http_dir websockets_headers_size",
    _BRIDGE: "connection address addresses topic cleansession clean_session clientid idle_timeout keepalive_interval "
    "local_cleansession local_clientid local_password local_username notifications notifications_local_only "
    "notification_topic password remote_clientid remote_password remote_username restart_timeout "
    "start_type threshold try_private username",
    "`--limit` bounds connections": "max_connections",
    "`--limit` bounds what waits in memory": "memory_limit",
    "at most 10,000 messages wait for one client, and as many bytes as queue= says": "max_queued_messages",
    "in MQTT 5 hubbub sends idle= as the maximum": "max_keepalive",
    "it is always on": "set_tcp_nodelay",
    "the unit file names the user of the daemon: User=": "user",
    "systemd knows the process; `twistd --pidfile` writes such a file": "pid_file",
    "what has changed below $SYS is published every 10 s": "sys_interval",
    "revocation lists aren't read": "crlfile",
    "the authorities have to be in one file, for client-ca=": "capath",
    "the subject's common name, or its first alternative name, is the user: see --auth certificate": (
        "use_subject_as_username"
    ),
    "give the interface's address as interface=": "bind_interface",
}
REASONS = {word: reason for reason, words in _WORDS.items() for word in words.split()}
_PREFIXES = {"auth_opt_": _PLUGINS, "plugin_opt_": _PLUGINS, "bridge_": _BRIDGE}


def reason(word: str) -> str:
    """Say why a line that begins with `word` can't be carried over."""
    if word in REASONS:
        return REASONS[word]
    return next((why for prefix, why in _PREFIXES.items() if word.startswith(prefix)), "it isn't known here")
