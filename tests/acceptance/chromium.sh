#!/bin/sh
# Prints the path of a Chromium or Chrome that starts. Installs Debian's where that can be done without asking.
set -eu

try() {
    path=$(command -v "$1" 2>/dev/null) || return 1
    # Ubuntu's chromium-browser may be a mere pointer to a package that is not there.
    "$path" --version >/dev/null 2>&1 || return 1
    echo "$path"
    exit 0
}

if [ -n "${CHROMIUM:-}" ]; then
    try "$CHROMIUM" || { echo "CHROMIUM=$CHROMIUM does not start." >&2; exit 1; }
fi
for name in chromium chromium-browser google-chrome google-chrome-stable chrome \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" \
    "/Applications/Chromium.app/Contents/MacOS/Chromium"; do
    try "$name" || true
done

if [ "$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then
    echo "Installing Chromium from Debian's packages." >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } >&2
    try chromium || true
fi

cat >&2 <<'HELP'
The browser tests need Chromium or Google Chrome, and there is none on this machine. Install one of them:
    Debian       sudo apt install chromium
    Ubuntu       sudo snap install chromium
    Fedora       sudo dnf install chromium
    macOS        brew install --cask google-chrome
or say where it is: make test CHROMIUM=/path/to/chromium
HELP
exit 1
