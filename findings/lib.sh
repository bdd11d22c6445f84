# Shared by the scripts in this folder, which source it: a temporary folder, $work, that is removed at exit, and installs into it.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

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
