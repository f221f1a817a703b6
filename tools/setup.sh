#!/usr/bin/env bash
# Installs what the build needs from Debian's packages (written for Debian 12), and only what is missing:
# with everything present it asks dpkg once, a few hundredths of a second, and touches nothing.
#   tools/setup.sh            what the build and tools/quickstart.sh need
#   tools/setup.sh --tests    also what tools/test.sh needs
set -euo pipefail

packages=(ca-certificates g++ cmake ninja-build pkg-config git libfmt-dev libyaml-cpp-dev nlohmann-json3-dev
  libcli11-dev libpcre2-dev libutf8proc-dev libhwy-dev python3 python3-pip) # Python only fetches the model
test_packages=(libgtest-dev libbenchmark-dev clang-format-14)

fail() {
  echo "error: setup: $*" >&2
  exit 1
}

case "${1:-}" in
  "") ;;
  --tests) packages+=("${test_packages[@]}") ;;
  -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) fail "unknown option $1; known: --tests, --help" ;;
esac

if ! command -v dpkg-query >/dev/null; then
  for tool in g++ cmake ninja pkg-config git python3; do
    command -v "$tool" >/dev/null || fail "no $tool and no Debian packages here; install the equivalents of: ${packages[*]}"
  done
  echo "setup: not a Debian system; counting on the equivalents of: ${packages[*]}" >&2
  exit 0
fi

# dpkg-query exits 1 for a package it never heard of: that package is one of the missing, not a failure.
installed=" $(dpkg-query -W -f='${Package}:${db:Status-Status} ' "${packages[@]}" 2>/dev/null || true)"
missing=()
for package in "${packages[@]}"; do
  [[ "$installed" == *" $package:installed "* ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

command -v apt-get >/dev/null || fail "no apt-get to install: ${missing[*]}"
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || fail "run as root: apt-get install ${missing[*]}"
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null >>"$log" 2>&1; }
# What apt itself said goes first, so that the one line that sums it up is the last.
apt_failed() {
  grep -E '^(E|Err|sudo):' "$log" >&2 || tail -n 3 "$log" >&2
  fail "apt-get could not install ${missing[*]} (see above; is there a network?)"
}
echo "setup: installing ${missing[*]}" >&2
# A package list that is only partly fresh may still hold what is needed, so the install decides.
apt update || true
apt install -y --no-install-recommends "${missing[@]}" || apt_failed
