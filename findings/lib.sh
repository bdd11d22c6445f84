# Shared by the scripts in this folder, which source it: a temporary folder, $work, that is removed at exit, and installs into it.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PYTHONPATH=$(cd "$(dirname "$0")" && pwd) # Python can import the modules of this folder
export PYTHONPATH

# pip_install NAME==VERSION...: $python is then an interpreter that can import them.
pip_install() {
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@"
    python=$work/venv/bin/python
}

# npm_install NAME@VERSION...: what node runs in $work can then require them.
npm_install() {
    npm install --silent --no-audit --no-fund --prefix "$work" "$@"
}

# nats_server [OPTION...]: the nats-server that pip_install has installed listens on $port.
nats_server() {
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$work/venv/bin/nats-server" -a 127.0.0.1 -p "$port" "$@" >/dev/null 2>&1 &
    trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
}
