#!/bin/sh
# Checks the pages of the examples in a real Chromium:
#
#	tools/browser/run.sh                   all pages
#	tools/browser/run.sh -run TestEcho     one of them (arguments go to go test)
#	CHROME=/opt/chrome tools/browser/run.sh
#
# If Chromium is missing, it is installed from Debian's packages. A failure
# leaves a picture of the page, in the directory that -screenshots names.
set -eu
cd "$(dirname "$0")"

found() {
	for name in chromium chromium-browser google-chrome google-chrome-stable; do
		if command -v "$name" >/dev/null; then return 0; fi
	done
	return 1
}

install_chromium() {
	if ! command -v apt-get >/dev/null; then
		echo "run.sh: no Chromium here, and no apt-get to install it: install Chromium or Chrome and set CHROME to its path" >&2
		exit 1
	fi
	root=
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "run.sh: no Chromium here: as root, run apt-get install chromium, or set CHROME to the path of another" >&2
			exit 1
		fi
		root=sudo
	fi
	$root apt-get update
	if ! $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; then
		echo "run.sh: apt-get has no chromium to install (Ubuntu's is a snap): install Chromium or Chrome and set CHROME to its path" >&2
		exit 1
	fi
}

if [ -z "${CHROME:-}" ] && ! found; then
	install_chromium
fi

# -count=1, because Go's cache of results does not see the examples that the test builds.
exec go test -count=1 -timeout 600s . "$@"
