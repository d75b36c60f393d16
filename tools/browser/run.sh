#!/bin/sh
# Checks the pages of the examples in a real Chromium, and the library's client for GOOS=js there and
# in Node:
#
#	tools/browser/run.sh                   all pages
#	tools/browser/run.sh -run TestEcho     one of them (arguments go to go test)
#	CHROME=/opt/chrome tools/browser/run.sh
#
# If Chromium or Node is missing, it is installed from Debian's packages. A failure
# leaves a picture of the page, in the directory that -screenshots names.
set -eu
cd "$(dirname "$0")"

found() {
	for name in chromium chromium-browser google-chrome google-chrome-stable; do
		if command -v "$name" >/dev/null; then return 0; fi
	done
	return 1
}

# install PACKAGE HINT
install() {
	if ! command -v apt-get >/dev/null; then
		echo "run.sh: no $1 here, and no apt-get to install it: $2" >&2
		exit 1
	fi
	root=
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "run.sh: no $1 here: as root, run apt-get install $1, or: $2" >&2
			exit 1
		fi
		root=sudo
	fi
	$root apt-get update
	if ! $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1"; then
		echo "run.sh: apt-get has no $1 to install: $2" >&2
		exit 1
	fi
}

if [ -z "${CHROME:-}" ] && ! found; then
	install chromium "install Chromium or Chrome (Ubuntu's package is a snap) and set CHROME to its path"
fi
if ! command -v node >/dev/null; then
	install nodejs "install Node 20.10 or later"
fi

# -count=1, because Go's cache of results does not see the examples that the test builds.
exec go test -count=1 -timeout 600s . "$@"
