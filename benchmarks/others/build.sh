#!/usr/bin/env bash
# Builds the servers in other languages that `go run . others` measures: what is installed of
# cargo and npm decides which.
set -euo pipefail
cd "$(dirname "$0")"
if command -v cargo >/dev/null; then
	(cd rust && nice cargo build --release --quiet)
fi
if command -v npm >/dev/null; then
	(cd node && npm install --silent --no-audit --no-fund)
fi
