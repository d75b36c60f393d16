#!/usr/bin/env bash
# Builds every fuzz target for OSS-Fuzz, in its container, which has the commands that begin with
# compile_ and addStd, and the directory $OUT. README.md has more.
#
# It deletes tests, so it runs in a checkout that nobody works in.
set -euo pipefail
cd "${1:-$SRC/websocket}"

# Files whose functions the targets of a package call. In the root each file with a target is
# complete by itself.
needed() {
	case $1 in
	internal/deflate) echo bench_test.go corpus_test.go decompress_test.go ;;
	esac
}

targets() { sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$1"/*_test.go; }

for dir in $(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do
	# The compiler turns the tests into ordinary files of the package. That cannot be done with tests of
	# another package, and not with all that a test may ask package testing for.
	for file in "$dir"/*_test.go; do
		if ! grep -q '^func Fuzz' "$file" && [[ " $(needed "$dir") " != *" $(basename "$file") "* ]]; then
			rm "$file"
		fi
	done
	for target in $(targets "$dir"); do
		compile_native_go_fuzzer_v2 "$(go list "./$dir")" "$target" "$target"
		if command -v addStdLibCorpusToFuzzer >/dev/null; then
			addStdLibCorpusToFuzzer -fuzzer_name "$target" -dir "$dir/testdata/fuzz/$target"
		fi
	done
done
