# shellcheck shell=bash
# Cleans up after scripts/start, however that ended: bash guardian.sh PID-OF-START
#
# It reads what must be undone from standard input, line by line, as it comes to be:
#
#   group PGID    a process group that must be gone
#   engine        the private engine was not up before; take it down
#   data DIR      where the server keeps its data
#
# The other end of the pipe is held by scripts/start alone, so the input ends when that process
# does. The start lock (descriptor 8) is inherited: a new start waits until the work here is done.
set -u
trap '' INT TERM HUP PIPE

# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

GRACE_SECONDS=30
GROUPS_STARTED=()
ENGINE=''
SERVER_DATA=''

group_lives() { kill -0 -- "-$1" 2>/dev/null; }

wait_until_gone() {
  local ticks=$(($2 * 10))
  while [ "$ticks" -gt 0 ] && group_lives "$1"; do
    sleep 0.1
    ticks=$((ticks - 1))
  done
  ! group_lives "$1"
}

stop_group() {
  group_lives "$1" || return 0
  kill -TERM -- "-$1" 2>/dev/null
  wait_until_gone "$1" "$GRACE_SECONDS" && return 0
  kill -KILL -- "-$1" 2>/dev/null
  wait_until_gone "$1" 5
}

# A server that was killed could not stop its PostgreSQL. `owner` names who had to: a pid and when
# that process began. If it is gone, the database is nobody's.
stop_orphaned_postgres() {
  local dir=$SERVER_DATA/postgres owner began pid ticks=100
  read -r owner began <"$dir/owner" || return 0
  [ "$(sed 's/.*) //' "/proc/$owner/stat" 2>/dev/null | cut -d ' ' -f 20)" != "$began" ] || return 0
  pid=$(head -n 1 "$dir/cluster/postmaster.pid") && [ "${pid:-0}" -gt 1 ] || return 0
  tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$dir/cluster" || return 0
  kill -INT "$pid" || return 0
  while [ "$ticks" -gt 0 ] && kill -0 "$pid"; do
    sleep 0.1
    ticks=$((ticks - 1))
  done
  rm -f "$dir/owner"
} 2>/dev/null

main() {
  local word value group
  while read -r word value; do
    case "$word" in
      group) GROUPS_STARTED+=("$value") ;;
      engine) ENGINE=yes ;;
      data) SERVER_DATA=$(realpath -m -- "$value") ;;
    esac
  done
  for group in ${GROUPS_STARTED[@]+"${GROUPS_STARTED[@]}"}; do stop_group "$group"; done
  [ -z "$SERVER_DATA" ] || stop_orphaned_postgres
  if [ -n "$ENGINE" ]; then
    # The terminal may be gone by now; a message that cannot be shown must not stop the work.
    say 'Stopping the private engine'
    # It waits for an `engine up` that is still at work.
    "$ROOT_DIR/scripts/engine" down >"$DATA_DIR/guardian.log" 2>&1 </dev/null 8>&-
  fi
  [ "$(cat "$DATA_DIR/start.pid" 2>/dev/null)" != "$1" ] || rm -f "$DATA_DIR/start.pid"
}

main "$1"
