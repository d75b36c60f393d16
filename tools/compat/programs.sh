#!/usr/bin/env bash
# Runs the tests of other people's programs, at fixed versions, with gorilla/ of
# this checkout in the place of github.com/gorilla/websocket. They have to pass.
# An argument chooses some of the programs, by a part of their names.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)

# Module, version, and packages whose tests use WebSockets, in both roles. All
# pass with gorilla's package. On a busy machine some of gqlgen's fail with
# either package, because they expect an answer within 10 ms. So a test that
# fails may try again, three times in all.
programs='
github.com/sourcegraph/jsonrpc2 v0.2.3 ./...
github.com/99designs/gqlgen v0.17.49 ./graphql/handler/transport ./client
github.com/mochi-mqtt/server/v2 v2.7.9 ./listeners
github.com/kataras/neffos v0.0.23 ./...
'

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# The tests are their authors', and so are go vet's findings in them. A newer
# go line in go.mod makes more of those.
export GOFLAGS='-mod=mod -vet=off' GOWORK=off

run() {
	local module=$1 version=$2 dir
	shift 2
	printf '\n=== %s %s\n' "$module" "$version"
	dir=$(cd "$work" && go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
	cp -R "$dir" "$work/program"
	chmod -R u+w "$work/program"
	(
		cd "$work/program"
		go mod edit -go="$(sed -n 's/^go //p' "$root/go.mod")" \
			-replace="github.com/gorilla/websocket=$root/gorilla" -replace="github.com/plainsocket/websocket=$root"
		go test -count=1 -timeout 2m "$@" || go test -count=1 -timeout 2m "$@" || go test -count=1 -timeout 2m "$@"
		# They ran with this checkout.
		test "$(go list -f '{{.Dir}}' github.com/gorilla/websocket)" = "$root/gorilla"
		test "$(go list -f '{{.Dir}}' github.com/plainsocket/websocket)" = "$root"
	)
	chmod -R u+w "$work/program"
	rm -rf "$work/program"
}

chosen=${1-} ran=0
while read -r module version packages; do
	case $module in
	'') ;;
	*"$chosen"*)
		# shellcheck disable=SC2086
		run "$module" "$version" $packages </dev/null
		ran=$((ran + 1))
		;;
	esac
done <<<"$programs"
if [ "$ran" -eq 0 ]; then
	echo "no program is called *$chosen*" >&2
	exit 1
fi
printf '\nprograms that passed: %d\n' "$ran"
