# shellcheck shell=bash
# Shared by every script here: where things lie, and how we talk to the person who waits.
# Progress goes to stderr; stdout is kept for answers that another program may read.

ROOT_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)"
DATA_DIR="${CI_DATA_DIR:-$ROOT_DIR/data}"
CACHE_DIR="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/code-interpreter-n8n"
RUNTIME_NAME="code-interpreter"
export ROOT_DIR DATA_DIR CACHE_DIR RUNTIME_NAME

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
  _dim=$'\e[2m' _bold=$'\e[1m' _red=$'\e[31m' _off=$'\e[0m'
else
  _dim='' _bold='' _red='' _off=''
fi

say() { printf '%s\n' "${_bold}==>${_off} $*" >&2; }
note() { printf '%s\n' "    ${_dim}$*${_off}" >&2; }
warn() { printf '%s\n' "${_red}warning:${_off} $*" >&2; }

# die MESSAGE [REPAIR]...: one clear message, then the commands that repair it.
die() {
  printf '%s\n' "${_red}error:${_off} $1" >&2
  shift
  if [ $# -gt 0 ]; then
    printf '%s\n' '  to repair it:' >&2
    printf '    %s\n' "$@" >&2
  fi
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

now_ms() { date +%s%3N; }

seconds_since() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%01d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# kill_tree PID: a process and all below it, children last so that none is started anew.
kill_tree() {
  local child children
  children=$(ps -o pid= --ppid "$1" 2>/dev/null || true)
  kill -TERM "$1" 2>/dev/null || true
  for child in $children; do kill_tree "$child"; done
}

# step TITLE LOGFILE COMMAND...: runs a long command with its output in LOGFILE, prints the elapsed
# time every few seconds, and the end of the log when the command fails.
step() {
  local title=$1 log=$2 begin status=0 pid shown=0 traps
  shift 2
  begin=$(now_ms)
  say "$title"
  "$@" >>"$log" 2>&1 &
  pid=$!
  # A background job of a script does not hear Ctrl-C, so it is told.
  traps=$(trap -p INT TERM HUP)
  # shellcheck disable=SC2064  # the pid of now is meant
  trap "kill_tree $pid; exit 130" INT TERM HUP
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if [ $(($(now_ms) - begin)) -ge $(((shown + 1) * 10000)) ]; then
      shown=$((shown + 1))
      # Others may be at work beside it.
      note "${title%% (*}: $((shown * 10)) s ... $(tail -n 1 "$log" 2>/dev/null | tr -d '\r' | cut -c 1-100)"
    fi
  done
  wait "$pid" || status=$?
  trap - INT TERM HUP
  eval "$traps"
  if [ "$status" -ne 0 ]; then
    printf '%s\n' "--- last lines of $log" >&2
    tail -n 25 "$log" >&2
    return "$status"
  fi
  note "done in $(seconds_since "$begin")"
}

# hash_of_stdin: the first 12 hex digits are enough for tags and names.
short_hash() { sha256sum | cut -c 1-12; }

# store_dir: where things lie that took long to make, for other clones as well if the user has a cache.
store_dir() {
  local store=$CACHE_DIR
  if ! mkdir -p "$store" 2>/dev/null || [ ! -w "$store" ]; then store=$DATA_DIR/engine/build; fi
  mkdir -p "$store"
  printf '%s\n' "$store"
}

# python_bin: the system's interpreter first, because version managers put slow shims on PATH.
python_bin() {
  local candidate
  for candidate in /usr/bin/python3 "$(command -v python3 || true)"; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}
