#!/usr/bin/env bash
# Runs the tests. Uses what is there of the outside tools and names what it
# leaves out; with PHOTOVAULT_REQUIRE=all nothing may be left out.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOFIPS140=certified CGO_ENABLED="${CGO_ENABLED:-0}" GOFLAGS="${GOFLAGS:-} -tags=nodynamic"
require="${PHOTOVAULT_REQUIRE:-}"
export PHOTOVAULT_NODE_MODULES="${PHOTOVAULT_NODE_MODULES:-}"

missing=()
have() { command -v "$1" >/dev/null 2>&1 || missing+=("$1 ($2)"); }
have node "stock tus and HPKE clients"
have exiftool "second opinion on metadata"
have mat2 "second opinion on metadata"
have djpeg "second opinion on JPEG decoding"
have dwebp "second opinion on WebP decoding"
have heif-convert "second opinion on HEIC decoding"
have libde265-dec265 "second opinion on HEVC decoding"
have chromium "the sealer and stock tus clients in a browser"
have curl "an upload by hand"
# The stock clients that tests talk to, at the versions their package.json pin.
if [ -z "$PHOTOVAULT_NODE_MODULES" ] && command -v npm >/dev/null 2>&1; then
  cache="${XDG_CACHE_HOME:-$HOME/.cache}/photovault/node"
  mapfile -t manifests < <(git ls-files '*/testdata/*package.json' '*/testdata/package.json' | sort -u)
  packages=$(node -e 'for (const f of process.argv.slice(1)) for (const [n, v] of Object.entries(JSON.parse(require("fs").readFileSync(f)).dependencies ?? {})) console.log(n + "@" + v)' "${manifests[@]}")
  if mkdir -p "$cache" && (cd "$cache" && echo '{"private":true}' >package.json && npm install --silent --no-audit --no-fund --ignore-scripts $packages >/dev/null 2>&1); then
    export PHOTOVAULT_NODE_MODULES="$cache/node_modules"
  fi
fi
[ -n "$PHOTOVAULT_NODE_MODULES" ] || missing+=("npm packages (stock tus and HPKE clients)")

log=$(mktemp) # what the tests print, to name at the end what failed
trap 'rm -f "$log"' EXIT

# The real servers of production mode: those that run, or, where nothing may be
# left out, some of our own for as long as the tests take. Others' servers are
# not shared then, unless they are named: they could end in the middle.
stack() { (cd deploy/devstack && GOFIPS140=off go run . "$@"); }
shared="${TMPDIR:-/tmp}/photovault-devstack-$(id -u)"
if [ -n "${PHOTOVAULT_DEVSTACK:-}" ]; then
  export PHOTOVAULT_DEVSTACK
elif [ "$require" = all ]; then
  own=$(mktemp -d)
  chmod 711 "$own" # PostgreSQL's own user must get through
  export PHOTOVAULT_DEVSTACK="$own/stack"
  trap 'stack down; rmdir "$own"; rm -f "$log"' EXIT
  stack up
else
  export PHOTOVAULT_DEVSTACK="$shared"
  if [ -e "$shared/devstack.json" ]; then
    stack up # starts them again where they ended with the machine
  else
    missing+=("real servers (make devstack)")
  fi
fi

if [ ${#missing[@]} -gt 0 ]; then
  printf 'left out, not found here: %s\n' "${missing[@]}"
  if [ "$require" = all ]; then echo "PHOTOVAULT_REQUIRE=all: that is a failure"; exit 1; fi
fi
# What one failure proves is not asked twice: one release too many is one too
# many. Of the other tests, up to two that fail are run again, five times each:
# a machine that stalls can fail a test that waits. They are named at the end.
proofs='Race|Revo|Bleed|Smuggled|Simulation|Killed|Soak|Foreign|Canary|Planted|Lies|Survives'
unsteady=()
again() { # the output of a failed run; then its flags
  local out=$1 pkg name
  shift
  if grep -qE '^panic: |^fatal error: |WARNING: DATA RACE|\[(build|setup) failed\]' "$out"; then return 1; fi
  local failed
  mapfile -t failed < <(awk '/^--- FAIL: /{ n[++c] = $3 } /^FAIL\t/{ if (!c) print $2 " -"; for (i = 1; i <= c; i++) print $2 " " n[i]; c = 0 }' "$out")
  if [ ${#failed[@]} = 0 ] || [ ${#failed[@]} -gt 2 ]; then return 1; fi
  for f in "${failed[@]}"; do
    read -r pkg name <<<"$f"
    if [ "$name" = - ] || [[ "$name" =~ $proofs ]]; then return 1; fi
    echo "again, five times: $pkg $name"
    go test -count 5 -failfast -timeout 10m "$@" -run "^$name\$" "$pkg" || return 1
    unsteady+=("$pkg $name")
  done
}
status=0
tests() {
  local out
  out=$(mktemp)
  go test -count 1 -timeout 35m "$@" 2>&1 | tee "$out" || again "$out" "${@:1:$#-1}" || status=1
  cat "$out" >>"$log"
  rm -f "$out"
}
tests "$@" ./...
if [ -e "$PHOTOVAULT_DEVSTACK/devstack.json" ]; then
  echo "the same over HTTP, on HashiCorp Vault, MinIO and PostgreSQL:"
  PHOTOVAULT_TEST_STORES=real tests "$@" ./api
fi
if [ $status != 0 ] || [ ${#unsteady[@]} -gt 0 ]; then
  printf '\nwhat failed:\n'
  grep -E -A 8 '^ *--- FAIL|^panic: ' "$log" | cut -c 1-300 | head -n 40 || true
  grep -E '^FAIL[[:space:]]+photovault/' "$log" || true
fi
if [ ${#unsteady[@]} -gt 0 ]; then
  printf 'unsteady, failed once and passed five times after: %s\n' "${unsteady[@]}"
fi
exit $status
