# shellcheck shell=bash
# Taking the private engine down, also after it was killed: first the daemons, then whatever they
# would have cleaned up themselves. Everything is found by our own directories' names.

# Sandboxes are throw-away; killing them first spares dockerd its grace period for each.
remove_running_containers() {
  local ids
  ids=$(timeout 10 docker --host "$ENGINE_HOST" ps -q 2>/dev/null || true)
  # shellcheck disable=SC2086  # one word per id is what is wanted
  [ -z "$ids" ] || timeout 30 docker --host "$ENGINE_HOST" rm -f $ids >/dev/null 2>&1 || true
}

# Shims name our containerd's socket, runsc's processes name their root under our exec-root.
kill_leftover_processes() {
  local round pids
  for round in 1 2 3 4 5; do
    pids=$(pids_with "$RUN_DIR/")
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
    sleep "0.$round"
  done
}

# Deepest first. mountinfo writes a space as \040.
unmount_leftovers() {
  local target
  awk -v a="$ENGINE_DIR/" -v b="$RUN_DIR/" '
    { gsub(/\\040/, " ", $5) }
    index($5, a) == 1 || index($5, b) == 1 { print length($5) "\t" $5 }' /proc/self/mountinfo |
    sort -rn | cut -f 2- | while IFS= read -r target; do
    umount "$target" 2>/dev/null || umount -l "$target" 2>/dev/null || true
  done
}

remove_cgroups() {
  local top
  for top in /sys/fs/cgroup"$CGROUP_PARENT" /sys/fs/cgroup/*"$CGROUP_PARENT"; do
    [ -d "$top" ] || continue
    find "$top" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

engine_down() {
  local pid
  stop_watch
  if pid=$(dockerd_pid); then
    if engine_answers; then remove_running_containers; fi
    stop_pid "$pid" 20
  fi
  if pid=$(containerd_pid); then stop_pid "$pid" 5; fi
  [ ! -d "$RUN_DIR" ] || kill_leftover_processes
  unmount_leftovers
  remove_cgroups
  rm -rf "$RUN_DIR"
}
