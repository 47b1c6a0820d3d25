# shellcheck shell=bash
# What this machine must have before anything is installed. Each lack is one message with its repair.

MIN_NODE=20
MIN_DISK_MB=15000
MIN_MEMORY_MB=3500

check_commands() {
  local command
  for command in git node npm flock; do
    have "$command" && continue
    case "$command" in
      node | npm) die "Node.js $MIN_NODE or newer with npm is missing" 'apt-get install -y nodejs npm   # or from your version manager' ;;
      flock) die 'flock is missing; it is part of util-linux' 'apt-get install -y util-linux' ;;
      *) die "$command is missing" "apt-get install -y $command" ;;
    esac
  done
  python_bin >/dev/null || on_debian_as_root || die 'Python 3.9 or newer is missing' 'apt-get install -y python3'
}

check_system() {
  [ "$(uname -s)" = Linux ] || die "gVisor needs Linux; this is $(uname -s)" \
    'run it in a Linux virtual machine, or use scripts/setup --no-engine for development without sandboxes'
  case "$(uname -m)" in
    x86_64) ;;
    aarch64) warn 'the sandbox image has been tried on x86-64 only' ;;
    *) die "gVisor runs on x86-64 and 64-bit ARM; this is $(uname -m)" 'use another machine' ;;
  esac
}

check_node() {
  local version
  version=$(node -p 'process.versions.node.split(".")[0]')
  [ "$version" -ge "$MIN_NODE" ] || die "Node.js $version is too old; $MIN_NODE or newer is needed" \
    'install a newer Node.js from your distribution, its backports, or a version manager'
}

# Only asked for while something large is still to come.
check_disk() {
  local free
  free=$(df --output=avail -B1M "$ROOT_DIR" | tail -n 1 | tr -d ' ')
  [ "$free" -ge "$MIN_DISK_MB" ] || die \
    "the sandbox image needs $((MIN_DISK_MB / 1000)) GB of free disk under $ROOT_DIR while it is made; there are $((free / 1000)) GB" \
    "df -h $ROOT_DIR   # make room, or set CI_ENGINE_DIR to a folder on a larger disk"
}

check_memory() {
  local total
  total=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
  [ "$total" -ge "$MIN_MEMORY_MB" ] || warn "this machine has $total MB of memory; with less than $MIN_MEMORY_MB MB expect few sandboxes"
}
