#!/usr/bin/env bash
# Runs the tests. Uses what is there of the outside tools and names what it
# leaves out; with PHOTOVAULT_REQUIRE=all nothing may be left out.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOFIPS140=certified CGO_ENABLED="${CGO_ENABLED:-0}"
require="${PHOTOVAULT_REQUIRE:-}"
export PHOTOVAULT_NODE_MODULES="${PHOTOVAULT_NODE_MODULES:-}"

missing=()
have() { command -v "$1" >/dev/null 2>&1 || missing+=("$1 ($2)"); }
have node "stock tus and HPKE clients"
have exiftool "second opinion on metadata"
have djpeg "second opinion on JPEG decoding"
if [ -z "$PHOTOVAULT_NODE_MODULES" ] && command -v npm >/dev/null 2>&1; then
  cache="${XDG_CACHE_HOME:-$HOME/.cache}/photovault/node"
  if mkdir -p "$cache" && cp api/testdata/tus/package.json "$cache/" && (cd "$cache" && npm install --silent --no-audit --no-fund --ignore-scripts >/dev/null 2>&1); then
    export PHOTOVAULT_NODE_MODULES="$cache/node_modules"
  fi
fi
[ -n "$PHOTOVAULT_NODE_MODULES" ] || missing+=("npm packages (stock tus and HPKE clients)")

if [ ${#missing[@]} -gt 0 ]; then
  printf 'left out, not found here: %s\n' "${missing[@]}"
  if [ "$require" = all ]; then echo "PHOTOVAULT_REQUIRE=all: that is a failure"; exit 1; fi
fi
go test -count 1 -timeout 20m "$@" ./...
