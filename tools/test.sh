#!/usr/bin/env bash
# tools/test.sh [ARGUMENTS OF ctest ...]
# Builds and runs everything that CI runs: the program for the CPU and its unit tests under AddressSanitizer and
# UndefinedBehaviourSanitizer (build-asan/); the program for GPUs (build-cuda/, which is built and linked, not run); then all
# tests, of the CPU and of the CUDA kernels executed by cuda-sim (build-cuda-sim/), with the checks of layers and format.
# That summary is the last thing printed. Exits non-zero when anything fails. Further arguments go to both ctest calls, as
# in tools/test.sh -R Lora; without any, the cases of a program share four processes under the sanitizers, which take long
# to start. Tests labelled `lint` (they build nothing) and `slow` are left out there.
set -euo pipefail

case "${1:-}" in
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh --tests --cuda
export CMAKE_CXX_COMPILER_LAUNCHER=ccache # the two builds with CUDA share most of their objects

# The sanitizers first: a memory error explains the failures that would follow it.
cmake --preset asan -DFT_TESTS=ON -DFT_TEST_SHARDS=$(($# ? 0 : 4))
cmake --build --preset asan
ctest --test-dir build-asan -j2 --output-on-failure --no-tests=error -LE '^(lint|slow)$' "$@"

cmake --preset cuda -DFT_TESTS=OFF
cmake --build --preset cuda
build-cuda/ftengine --version

cmake --preset cuda-sim -DFT_TESTS=ON -DFT_BENCH=ON
cmake --build --preset cuda-sim
exec ctest --test-dir build-cuda-sim -j2 --output-on-failure --no-tests=error "$@"
