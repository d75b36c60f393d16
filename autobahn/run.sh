#!/usr/bin/env bash
# Runs the real Autobahn suite against this library. README.md in this directory
# explains the results.

set -euo pipefail

usage() {
	cat <<'EOF'
usage: autobahn/run.sh server|client [options]

  server           test our echo server (the suite is the client)
  client           test our echo client (the suite is the server)

  --http           with server: serve through net/http and websocket.Upgrader, not websocket.Server
  --cases LIST     only these cases: comma-separated ids, * for anything ('1.*,6.4.1')
  --save           bring RESULTS.md up to date also when --cases leaves some out
  --shards N       wstest processes side by side (default 2)
  --reports DIR    keep the suite's own reports, HTML and JSON, below DIR
  --docker         take the suite from its Docker image, not from a Python 2.7 environment

environment:
  PYTHON27         a CPython 2.7; without it pyenv's is taken, or python2.7
  AUTOBAHN_CACHE   where the environment is kept (default ~/.cache/plainsocket-autobahn)
EOF
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
cache=${AUTOBAHN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/plainsocket-autobahn}
image=crossbario/autobahn-testsuite:25.10.1

# Settings for Python 3 would only break Python 2.
unset PYTHONPATH PYTHONHOME

fail() {
	printf 'autobahn: %s\n' "$1" >&2
	exit 2
}

misused() {
	usage >&2
	fail "$1"
}

# ---- cleaning up -----------------------------------------------------------

tmp=

cleanup() {
	local pid
	for pid in $(jobs -pr); do
		kill "$pid" 2>/dev/null || true
	done
	wait
	[[ -z $tmp ]] || rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- the suite -------------------------------------------------------------

runs_python27() {
	"$1" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null
}

# Prints the path of a Python 2.7. Candidates are run, not just looked for,
# because pyenv puts a python2.7 on the PATH even if none is switched on.
find_python27() {
	local candidate
	if [[ -n ${PYTHON27:-} ]]; then
		runs_python27 "$PYTHON27" || fail "PYTHON27=$PYTHON27 is not a working Python 2.7"
		printf '%s\n' "$PYTHON27"
		return
	fi
	local candidates=()
	if command -v pyenv >/dev/null; then
		candidates+=("$(pyenv root)"/versions/2.7*/bin/python2.7)
	fi
	candidates+=(python2.7)
	for candidate in "${candidates[@]}"; do
		if runs_python27 "$candidate"; then
			printf '%s\n' "$candidate"
			return
		fi
	done
	fail "the suite needs CPython 2.7, and there is none here. Do one of these:
  - pyenv install 2.7.18 (needs a C compiler and the OpenSSL and zlib headers), then run this again
  - PYTHON27=/path/to/python2.7 $0 ...
  - $0 ... --docker
Debian and Ubuntu no longer have a python2.7 package."
}

# Makes the environment in $venv, unless the present one was finished
# with the same pins. virtualenv itself goes into a directory that is thrown
# away, so that the given Python stays as it is.
make_venv() {
	if cmp -s "$here/constraints.txt" "$venv/constraints.txt" && runs_python27 "$venv/bin/python"; then
		return
	fi
	local python tool=$tmp/virtualenv
	python=$(find_python27)
	"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip: $python -m ensurepip"
	echo "making the suite's environment with $python (once, a minute or two)"
	export PIP_CONSTRAINT=$here/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONWARNINGS=ignore
	rm -rf "$venv"
	mkdir -p "$cache"
	{
		"$python" -m pip install --target "$tool" virtualenv &&
			PYTHONPATH=$tool "$python" -m virtualenv --app-data "$tmp/app-data" --no-periodic-update "$venv" &&
			"$venv/bin/python" -m pip install autobahntestsuite
	} >"$tmp/install.log" 2>&1 || {
		tail -n 30 "$tmp/install.log" >&2
		fail "the suite could not be installed (one of its packages is built with a C compiler)"
	}
	cp "$here/constraints.txt" "$venv/constraints.txt"
}

# Runs wstest in place of the shell, so that the process to stop is wstest.
# The directory of the specs has the same name inside the container.
exec_wstest() {
	if [[ $docker ]]; then
		exec docker run --rm --init --network host --user "$(id -u):$(id -g)" \
			--volume "$tmp:$tmp" --workdir "$tmp" "$image" wstest "$@"
	fi
	exec "$venv/bin/wstest" "$@"
}

# "AutobahnTestSuite 25.10.1 (Autobahn 0.10.9)"
suite_version() {
	(exec_wstest -a) | awk '{ v[$1] = $2 } END {
		printf "AutobahnTestSuite %s (Autobahn %s)\n", v["AutobahnTestSuite"], v["Autobahn"]
	}'
}

# ---- server role: our server, the suite's fuzzing client -------------------

# Starts our server on a free port and sets $url.
start_server() {
	"$tmp/server" -addr 127.0.0.1:0 "$@" >"$tmp/server.log" 2>&1 &
	local server=$! i
	for ((i = 0; i < 100; i++)); do
		url=$(sed -n 's/^listening on //p' "$tmp/server.log")
		[[ -z $url ]] || return 0
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	cat "$tmp/server.log" >&2
	fail "our server did not start"
}

# Runs one wstest for each spec and waits for all. A wstest that fails leaves
# no index, and the check below then counts its cases as not passed.
run_fuzzing_clients() {
	local spec client clients=() began=$SECONDS
	for spec in "$tmp"/reports/*/spec.json; do
		exec_wstest -m fuzzingclient -u 0 -s "$spec" >"${spec%/*}/wstest.log" 2>&1 &
		clients+=($!)
	done
	for client in "${clients[@]}"; do
		wait "$client" || {
			echo 'autobahn: a wstest failed' >&2
			tail -n 20 "$tmp"/reports/*/wstest.log >&2
		}
	done
	echo "the suite ran for $((SECONDS - began)) s"
}

server_role() {
	logs=("$tmp/server.log")
	local subject='Server: websocket.Server' flags=()
	if [[ $http ]]; then
		subject='Server: websocket.Upgrader on net/http'
		flags=(-http)
	fi
	(cd "$root" && go build -o "$tmp/server" ./autobahn/server)
	start_server ${flags[@]+"${flags[@]}"}
	"$tmp/report" specs "${selection[@]}" -url "$url" -shards "$shards" "$tmp/reports"
	run_fuzzing_clients
	check_results "$subject"
}

# ---- client role: our client, the suite's fuzzing server -------------------

# Starts one wstest as a server for each spec. They run until the script ends.
start_fuzzing_servers() {
	local dir url
	while read -r dir url; do
		exec_wstest -m fuzzingserver -u 0 -s "$dir/spec.json" >"$dir/wstest.log" 2>&1 &
		await_listener "$!" "${url##*:}" || echo "autobahn: no wstest at $url" >&2
	done <"$tmp/shards"
}

# Waits until process $1 listens on port $2, because it does not say so itself.
await_listener() {
	local i
	for ((i = 0; i < 300; i++)); do
		kill -0 "$1" 2>/dev/null || return 1
		(exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return
		sleep 0.1
	done
	return 1
}

# Runs our client once for each spec and waits for all. The check below counts
# the cases of one that fails as not passed.
run_clients() {
	local dir url client clients=() began=$SECONDS
	while read -r dir url; do
		logs+=("$dir/wstest.log" "$dir/client.log")
		"$tmp/client" -url "$url" >"$dir/client.log" 2>&1 &
		clients+=($!)
	done <"$tmp/shards"
	for client in "${clients[@]}"; do
		wait "$client" || echo 'autobahn: a client failed' >&2
	done
	echo "the suite ran for $((SECONDS - began)) s"
}

client_role() {
	(cd "$root" && go build -o "$tmp/client" ./autobahn/client)
	"$tmp/report" specs "${selection[@]}" -fuzzingserver -shards "$shards" "$tmp/reports" >"$tmp/shards"
	start_fuzzing_servers
	run_clients
	check_results 'Client: websocket.Dialer'
}

# ---- both roles ------------------------------------------------------------

logs=() # the files to show if a run fails

# Prints the table, writes RESULTS.md if it is due, and fails if a case has
# failed.
check_results() {
	local status=0 write=()
	if [[ $cases == '*' || $save ]]; then
		write=(-results "$here/RESULTS.md")
	fi
	"$tmp/report" check "${selection[@]}" -subject "$1" -suite "$suite" -command "$command" \
		${write[@]+"${write[@]}"} "$tmp/reports" || status=$?
	if [[ $status -ne 0 ]]; then
		tail -n 20 "${logs[@]}" >&2
	fi
	if [[ $reports ]]; then
		mkdir -p "$reports"
		cp -R "$tmp/reports/." "$reports/"
	fi
	return "$status"
}

[[ $# -gt 0 ]] || misused 'no role given'
role=$1
shift
docker='' http='' save='' reports='' cases='*' shards=2
command="autobahn/run.sh $role"
while [[ $# -gt 0 ]]; do
	case $1 in
	--docker) docker=1 ;;
	--http) http=1 command+=" --http" ;;
	--save) save=1 ;;
	--cases) cases=${2:?--cases needs a value} command+=" --save --cases '$2'" && shift ;;
	--shards) shards=${2:?--shards needs a value} && shift ;;
	--reports) reports=${2:?--reports needs a value} && shift ;;
	-h | --help) usage && exit ;;
	*) misused "unknown option $1" ;;
	esac
	shift
done

case $role in
server) ;;
client) [[ ! $http ]] || misused '--http is for the server role' ;;
-h | --help) usage && exit ;;
*) misused "unknown role $role" ;;
esac

command -v go >/dev/null || fail "go is not on the PATH"
tmp=$(mktemp -d)
mkdir "$tmp/reports"
venv=$cache/autobahntestsuite
selection=(-list "$here/cases.txt" -cases "$cases")
(cd "$root" && go build -o "$tmp/report" ./autobahn/report)
if [[ $docker ]]; then
	command -v docker >/dev/null || fail "--docker needs Docker"
else
	make_venv
fi
suite=$(suite_version)
"${role}_role"
