#!/usr/bin/env bash
# tools/test.sh [ARGUMENTS OF ctest ...]
# Builds and runs everything that CI runs: the unit tests under AddressSanitizer and UndefinedBehaviourSanitizer
# (build-asan/), then all tests of the release build (build/) with the checks of layers and format, whose summary is the
# last thing printed. Exits non-zero when anything fails. Further arguments go to both ctest calls, as in
# tools/test.sh -R Lora. Tests labelled `lint` (they build nothing) and `slow` are left out under the sanitizers.
set -euo pipefail

case "${1:-}" in
  -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh --tests

# The sanitizers first: a memory error explains the failures that would follow it.
cmake --preset asan -DFT_TESTS=ON
cmake --build --preset asan
ctest --test-dir build-asan -j2 --output-on-failure --no-tests=error -LE '^(lint|slow)$' "$@"

cmake --preset release -DFT_TESTS=ON
cmake --build --preset release
exec ctest --test-dir build -j2 --output-on-failure --no-tests=error "$@"
