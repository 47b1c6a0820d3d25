#!/usr/bin/env bash
# Starts the daemons of the private engine again when they have died: bash engine-watch.sh RUN_DIR/watch
#
# `scripts/engine up` launches it and `down` ends it; the argument is what they find it by. Sandboxes outlive
# both daemons (live-restore, shims), and are theirs again afterwards. Each look costs no process but a sleep.
set -uo pipefail
trap '' HUP

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source-path=SCRIPTDIR source=engine.sh
. "$ROOT_DIR/scripts/lib/engine.sh"

LONGEST_PAUSE=30

tell() { printf '%s %s\n' "$(date -u +%FT%TZ)" "$*"; }

# alive NAME: the pid file names a process of that name. One that waits to be reaped has no arguments.
alive() {
  local pid='' word=''
  read -r pid 2>/dev/null <"$RUN_DIR/$1.pid" || return 1
  read -r -d '' word 2>/dev/null <"/proc/$pid/cmdline" || return 1
  [ "${word##*/}" = "$1" ]
}

both_alive() { alive containerd && alive dockerd; }

# Under the lock of scripts/engine, which closes the descriptor again: an `up` or `down` at work goes first.
restart_what_died() (
  exec 9>"$ENGINE_DIR/lock"
  flock -n 9 || return 0
  [ -d "$RUN_DIR" ] || exit 0
  if ! alive containerd; then
    tell 'containerd has died; starting it again'
    start_containerd || return 1
  fi
  if ! alive dockerd; then
    tell 'dockerd has died; starting it again'
    start_dockerd || return 1
  fi
  tell 'the engine is up again'
)

pause=1
while [ -d "$RUN_DIR" ]; do
  sleep 1
  if both_alive; then
    pause=1
  elif ! restart_what_died; then
    tell "the engine did not come up; the next attempt is in $pause s (see $ENGINE_DIR/dockerd.log)"
    sleep "$pause"
    pause=$((pause * 2 > LONGEST_PAUSE ? LONGEST_PAUSE : pause * 2))
  fi
done
