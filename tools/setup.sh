#!/usr/bin/env bash
# Installs what the build needs from Debian's packages (written for Debian 12), and only what is missing:
# with everything present it asks dpkg once, a few hundredths of a second, and touches nothing.
#   tools/setup.sh            what the build and tools/quickstart.sh need
#   tools/setup.sh --tests    also what tools/test.sh and the preset fuzz need
#   tools/setup.sh --cuda     also CUDA's compiler and headers (presets cuda and cuda-sim): where there is no toolkit of
#                             CUDA 13, NVIDIA's packages from PyPI into the cache folder, 420 MB to download
set -euo pipefail

packages=(ca-certificates g++ cmake ninja-build pkg-config git libfmt-dev libyaml-cpp-dev nlohmann-json3-dev
  libcli11-dev libeigen3-dev libpcre2-dev libutf8proc-dev libsentencepiece-dev libhwy-dev python3 python3-pip) # Python only fetches the model
# Clang for the sanitizers, in half of GCC's time; ccache because two presets share most objects.
test_packages=(libgtest-dev clang-format-14 clang-14 libclang-rt-14-dev ccache)
cuda_packages=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85 nvidia-cublas==13.0.2.14)

fail() {
  echo "error: setup: $*" >&2
  exit 1
}

cuda=
for option in "$@"; do
  case "$option" in
    --tests) packages+=("${test_packages[@]}") ;;
    --cuda) cuda=yes ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option $option; known: --tests, --cuda, --help" ;;
  esac
done

# The compiler whole; of cuBLAS the headers only: programs open the library when they first multiply.
setup_cuda() {
  [[ -n $cuda ]] || return 0
  if command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; then return 0; fi
  local root=${XDG_CACHE_HOME:-$HOME/.cache}/ftengine/cuda-13.0 part wheels
  [[ -x $root/nvidia/cu13/bin/nvcc ]] && return 0
  echo "setup: fetching CUDA's compiler and headers from PyPI" >&2
  mkdir -p "$(dirname "$root")"
  part=$(mktemp -d "$root.part-XXXXXX")
  wheels=$part/wheels
  if ! { python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheels" "${cuda_packages[@]}" &&
    python3 - "$wheels" "$part" <<'EOF'
import pathlib, sys, zipfile
for wheel in pathlib.Path(sys.argv[1]).glob("*.whl"):
    with zipfile.ZipFile(wheel) as z:
        z.extractall(sys.argv[2], [n for n in z.namelist() if "cublas" not in wheel.name or "/include/" in n])
EOF
  }; then
    rm -rf "$part"
    fail "CUDA's packages could not be fetched (see above; is there a network?)"
  fi
  rm -rf "$wheels" "$root"
  chmod +x "$part"/nvidia/cu13/bin/* "$part"/nvidia/cu13/nvvm/bin/* # zip archives forget it
  mv "$part" "$root"
}

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
if [[ ${#missing[@]} -eq 0 ]]; then
  setup_cuda
  exit 0
fi

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
setup_cuda
