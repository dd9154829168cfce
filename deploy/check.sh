#!/usr/bin/env bash
# Static checks. Tools that are not here are named; with PHOTOVAULT_REQUIRE=all
# that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOFIPS140=certified CGO_ENABLED="${CGO_ENABLED:-0}" GOFLAGS="${GOFLAGS:-} -tags=nodynamic"
require="${PHOTOVAULT_REQUIRE:-}"
PATH="$PATH:$(go env GOPATH)/bin"

step() { printf '%-14s' "$1"; }
left_out() { echo "left out: $1"; if [ "$require" = all ]; then exit 1; fi; }

step format
unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || { echo "not formatted (make fmt):"; echo "$unformatted"; exit 1; }
echo ok

step vet; go vet ./...; echo ok

step modules
go mod tidy -diff >/dev/null || { echo "go.mod is not tidy: go mod tidy"; exit 1; }
go mod verify >/dev/null; echo ok

step layers; go test -count 1 ./deploy/layers >/dev/null || { go test -count 1 ./deploy/layers; exit 1; }; echo ok

step lint
if command -v golangci-lint >/dev/null; then golangci-lint run --timeout 10m ./...; echo ok; else left_out golangci-lint; fi

step vulnerabilities
if command -v govulncheck >/dev/null; then
  db="${PHOTOVAULT_VULNDB:-}"
  if [ -n "$db" ]; then govulncheck -db "file://$db" ./... >/tmp/photovault-vuln.$$ || { cat /tmp/photovault-vuln.$$; rm -f /tmp/photovault-vuln.$$; exit 1; }; rm -f /tmp/photovault-vuln.$$; echo ok
  elif out=$(govulncheck ./... 2>&1); then echo ok
  elif grep -q 'Vulnerability #' <<<"$out"; then echo "$out"; exit 1
  else left_out "no vulnerability database can be had (PHOTOVAULT_VULNDB names a folder with one)"; fi
else left_out govulncheck; fi

step generated
python3 vault/canon/testdata/generate.py && git diff --quiet -- vault/canon/testdata || { echo "vectors are stale"; exit 1; }
go test -count 1 -run Summary ./consent >/dev/null || { go test -count 1 -run Summary ./consent; exit 1; }
echo ok

step top-level
extra=$(git ls-files | cut -d/ -f1 | sort -u | grep -vxE '\..*|cmd|vault|imaging|consent|api|deploy|go\.mod|go\.sum|Makefile|README\.md|LICENSE' || true)
[ -z "$extra" ] || { echo "does not belong at the top level: $extra"; exit 1; }
echo ok

step docs
bad=0
while read -r file link; do
  target="$(dirname "$file")/${link%%#*}"
  [ -e "$target" ] || { echo "$file: broken link $link"; bad=1; }
done < <(git ls-files '*.md' | while read -r f; do grep -oE '\]\([^)]+\)' "$f" | sed -E 's/^\]\(([^)]*)\)$/\1/' | grep -vE '^(https?:|#|mailto:)' | sed "s|^|$f |" || true; done)
[ $bad = 0 ] && echo ok
exit $bad
