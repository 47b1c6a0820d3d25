# shellcheck shell=bash
# The private Docker engine: one dockerd with its own containerd, both under our own directories, so
# that neither the system's daemons nor their containers are ever touched.
#
#   $ENGINE_DIR  (data/engine)                what is kept: images, configuration, logs, `env`
#   $RUN_DIR     (/run/code-interpreter-…)    what lives as long as the daemons: sockets, pids, state
#
# RUN_DIR is short on purpose. A Unix socket's path may have 107 bytes at most, and a clone can lie
# in a deep folder, so its name is a hash of ENGINE_DIR.

ENGINE_DIR="${CI_ENGINE_DIR:-$DATA_DIR/engine}"
case "$ENGINE_DIR" in /*) ;; *) ENGINE_DIR="$PWD/$ENGINE_DIR" ;; esac
RUN_DIR="${CI_ENGINE_RUN_DIR:-/run/code-interpreter-$(printf '%s' "$ENGINE_DIR" | short_hash)}"
ENGINE_SOCKET="$RUN_DIR/docker.sock"
ENGINE_HOST="unix://$ENGINE_SOCKET"
CGROUP_PARENT="/$(basename "$RUN_DIR")"
RUNTIME_WRAPPER="$ROOT_DIR/sandbox/runtime/code-interpreter-runtime"
ENV_FILE="$ENGINE_DIR/env"

# shellcheck source-path=SCRIPTDIR source=runsc.sh
. "$ROOT_DIR/scripts/lib/runsc.sh"

# --- which engine -----------------------------------------------------------------------------

engine_answers() { timeout 5 docker --host "$ENGINE_HOST" version --format '{{.Server.Version}}' >/dev/null 2>&1; }

engine_is_busy() { [ -n "$(timeout 10 docker --host "$ENGINE_HOST" ps -q 2>/dev/null)" ]; }

engine_at_hand_has_runtime() {
  [ -z "${CI_ENGINE_PRIVATE:-}" ] || return 1
  # Whoever works with the private one has its name in the environment.
  [ "${DOCKER_HOST:-}" != "$ENGINE_HOST" ] || return 1
  have docker || return 1
  timeout 10 docker info --format '{{json .Runtimes}}' 2>/dev/null | grep -q "\"$RUNTIME_NAME\""
}

# --- prerequisites ----------------------------------------------------------------------------

print_manual_setup() {
  printf '%s\n' "${_red}error:${_off} $1" >&2
  cat >&2 <<MANUAL
  There are two ways:
  1. On Debian 12 or newer, run this as root; it installs the package docker.io, builds or installs
     gVisor, and starts an engine of its own under $ENGINE_DIR:
       sudo scripts/engine up
  2. With a Docker engine of your own: install gVisor's runsc, the newest release
     (https://gvisor.dev/docs/user_guide/install; $MIN_RUNSC at least), into /usr/local/bin, add this
     to /etc/docker/daemon.json, and restart the daemon:
       {"experimental": true, "runtimes": {"$RUNTIME_NAME": {"path": "$RUNTIME_WRAPPER"}}}
       sudo systemctl restart docker
     then run this again as a user who may talk to that engine.
MANUAL
  exit 1
}

install_prerequisites() {
  local log="$ENGINE_DIR/install.log" wanted=()
  have dockerd && have containerd && have docker || wanted+=(docker.io)
  python_bin >/dev/null || wanted+=(python3)
  if [ ${#wanted[@]} -eq 0 ]; then return 0; fi
  on_debian_as_root || print_manual_setup \
    'there is no Docker engine with gVisor here, and only root on Debian or Ubuntu can have one installed'
  if [ ${#wanted[@]} -gt 0 ]; then
    apt_install "$log" 'the Docker engine that runs sandboxes (its system service is not started)' "${wanted[@]}"
    # What we installed must not come up beside our private engine at the next boot either.
    if have systemctl; then systemctl disable docker.service docker.socket containerd.service >/dev/null 2>&1 || true; fi
  fi
  # Debian 13 moved the client into a package of its own.
  have docker || apt_install "$log" "Docker's command line client" docker-cli
}

# --- processes --------------------------------------------------------------------------------

# pids_with TEXT: processes that have TEXT as part of one of their arguments. Only text that holds one
# of our own directories is ever passed, so another engine's processes never match.
pids_with() {
  local file pid comm
  # One grep over all of them, which finds the text in its own arguments too. It fails when a process
  # has ended since the shell listed it, which says nothing of those it found.
  { grep -lzF -- "$1" /proc/[0-9]*/cmdline 2>/dev/null || true; } | while IFS= read -r file; do
    pid=${file#/proc/}
    pid=${pid%/cmdline}
    # What is gone by now was that grep.
    comm=$(cat "/proc/$pid/comm" 2>/dev/null) || continue
    [ "$pid" = "$$" ] || [ "$comm" = grep ] || printf '%s\n' "$pid"
  done
}

# A pid file may name a process that has nothing to do with us by now: the command line decides.
daemon_pid() {
  local name=$1 config=$2 pid
  pid=$(cat "$RUN_DIR/$name.pid" 2>/dev/null || true)
  if [ -n "$pid" ] && { tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$config"; } 2>/dev/null; then
    printf '%s\n' "$pid"
    return 0
  fi
  # The file is gone or wrong; the daemon may be there all the same. It may have a copy of itself beside it.
  pid=$(pids_with "$config")
  [ -n "$pid" ] && printf '%s\n' "${pid%%$'\n'*}"
}

dockerd_pid() { daemon_pid dockerd "$ENGINE_DIR/daemon.json"; }
containerd_pid() { daemon_pid containerd "$ENGINE_DIR/containerd.toml"; }

watch_pid() { daemon_pid watch "$RUN_DIR/watch"; }

# One that has ended but that its parent has not waited for has no command line any more.
process_lives() { grep -q . "/proc/$1/cmdline" 2>/dev/null; }

# stop_pid PID SECONDS: asks, waits, then kills.
stop_pid() {
  local pid=$1 ticks=$(($2 * 10))
  kill -TERM "$pid" 2>/dev/null || return 0
  while [ "$ticks" -gt 0 ] && process_lives "$pid"; do
    sleep 0.1
    ticks=$((ticks - 1))
  done
  kill -KILL "$pid" 2>/dev/null || true
}

# launch NAME COMMAND...: a daemon in a session of its own, so that Ctrl-C in a terminal does not
# reach it; without our lock's descriptor, so that the lock ends with us. Our runtime is their child, and
# runs what CI_RUNSC names.
launch() {
  local name=$1
  shift
  setsid env CI_RUNSC="$RUNSC_LINK" "$@" </dev/null >>"$ENGINE_DIR/$name.log" 2>&1 9>&- &
  # In one step: whoever reads it meanwhile finds the old one or the new one.
  printf '%s\n' "$!" >"$RUN_DIR/$name.pid.new"
  mv -f "$RUN_DIR/$name.pid.new" "$RUN_DIR/$name.pid"
  # One that has ended by now is no job any more; whoever waits for it says so.
  disown 2>/dev/null || true
}

# wait_for SECONDS PID COMMAND...: until COMMAND succeeds, or PID is gone.
wait_for() {
  local deadline=$(($(now_ms) + $1 * 1000)) pid=$2
  shift 2
  while ! "$@"; do
    kill -0 "$pid" 2>/dev/null || return 1
    [ "$(now_ms)" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

# What a killed daemon left would look like the new one's, or keep it from starting.
start_containerd() {
  rm -f "$RUN_DIR/containerd.sock" "$RUN_DIR/containerd.sock.ttrpc"
  launch containerd containerd --config "$ENGINE_DIR/containerd.toml"
  wait_for 60 "$(cat "$RUN_DIR/containerd.pid")" test -S "$RUN_DIR/containerd.sock"
}

# On a busy disk this takes a minute: both daemons sync their databases before they answer.
start_dockerd() {
  rm -f "$RUN_DIR/docker.pid"
  launch dockerd dockerd --config-file "$ENGINE_DIR/daemon.json"
  wait_for 180 "$(cat "$RUN_DIR/dockerd.pid")" engine_answers
}

start_watch() {
  watch_pid >/dev/null || launch watch bash "$ROOT_DIR/scripts/lib/engine-watch.sh" "$RUN_DIR/watch"
}

# By force: it has nothing to finish, and what it was starting is stopped with the rest.
stop_watch() {
  local pid round
  for round in 1 2 3 4 5; do
    pid=$(watch_pid) || return 0
    kill -KILL "$pid" 2>/dev/null || true
    sleep "0.$round"
  done
}

# --- configuration ----------------------------------------------------------------------------

json_string() { printf '"%s"' "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g')"; }

daemon_config() {
  cat <<JSON
{
  "hosts": [$(json_string "$ENGINE_HOST")],
  "data-root": $(json_string "$ENGINE_DIR/docker"),
  "exec-root": $(json_string "$RUN_DIR/exec"),
  "pidfile": $(json_string "$RUN_DIR/docker.pid"),
  "containerd": $(json_string "$RUN_DIR/containerd.sock"),
  "cgroup-parent": $(json_string "$CGROUP_PARENT"),
  "exec-opts": ["native.cgroupdriver=cgroupfs"],
  "bridge": "none",
  "iptables": false,
  "ip6tables": false,
  "ip-forward": false,
  "log-level": "warn",
  "log-driver": "local",
  "log-opts": {"max-size": "1m", "max-file": "2"},
  "shutdown-timeout": 5,
  "live-restore": true,
  "experimental": true,
  "runtimes": {
    $(json_string "$RUNTIME_NAME"): {"path": $(json_string "$RUNTIME_WRAPPER")},
    "runsc": {"path": $(json_string "$RUNSC_LINK"), "runtimeArgs": ["--platform=systrap", "--network=none"]}
  }
}
JSON
}

containerd_config() {
  cat <<TOML
version = 2
root = $(json_string "$ENGINE_DIR/containerd")
state = $(json_string "$RUN_DIR/containerd")
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]

[grpc]
address = $(json_string "$RUN_DIR/containerd.sock")

[ttrpc]
address = $(json_string "$RUN_DIR/containerd.sock.ttrpc")
TOML
}

# env_set KEY VALUE: replaces one line of the env file, atomically.
env_set() {
  local key=$1 value=$2
  mkdir -p "$ENGINE_DIR"
  {
    if [ -f "$ENV_FILE" ]; then grep -v "^$key=" "$ENV_FILE" || true; fi
    printf '%s=%s\n' "$key" "$value"
  } >"$ENV_FILE.tmp"
  mv "$ENV_FILE.tmp" "$ENV_FILE"
}

env_unset() {
  [ ! -f "$ENV_FILE" ] || sed -i "/^$1=/d" "$ENV_FILE"
}

env_get() { sed -n "s/^$1=//p" "$ENV_FILE" 2>/dev/null | tail -n 1; }
