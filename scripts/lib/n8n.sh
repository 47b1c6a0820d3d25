# shellcheck shell=bash
# The n8n that test/e2e runs against: installed once into a cache folder for each lock file and Node,
# shared by all clones of this user, and started from there. Sourced after common.sh and apt.sh.

N8N_LOCK_DIR=$ROOT_DIR/test/e2e/n8n
N8N_DISK_MB=6000

# n8n_folder: named by what it holds, so that another lock file or another Node means another folder.
n8n_folder() {
  local key
  key=$(
    cat "$N8N_LOCK_DIR/package.json" "$N8N_LOCK_DIR/package-lock.json"
    node -p '[process.version, process.platform, process.arch].join()'
  )
  printf '%s/n8n-%s\n' "$CACHE_DIR" "$(printf '%s' "$key" | short_hash)"
}

n8n_works() { (cd "$1" && node -e 'require("sqlite3"); require("isolated-vm")'); }

# One native part has no prebuilt binary among the npm packages. Its own installer asks its project's
# download page first and compiles it otherwise; Node's headers then come from the network as well, or
# from this machine: that part uses the stable interface, so those of any Node will do.
build_sqlite() {
  local prefix
  npm rebuild sqlite3 --ignore-scripts=false --foreground-scripts && n8n_works "$1" && return 0
  for prefix in /usr /usr/local "$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")"; do
    [ -f "$prefix/include/node/node_api.h" ] || continue
    npm_config_nodedir=$prefix npm rebuild sqlite3 --ignore-scripts=false --foreground-scripts &&
      n8n_works "$1" && return 0
  done
  return 1
}

need_compiler() {
  if have g++ && have make; then return 0; fi
  on_debian_as_root || die 'a C++ compiler and make are missing; one part of n8n is compiled' 'apt-get install -y g++ make'
  apt_install "$1" 'one part of n8n is compiled' g++ make
}

n8n_disk() {
  local free
  mkdir -p "$CACHE_DIR"
  free=$(df --output=avail -B1M "$CACHE_DIR" | tail -n 1 | tr -d ' ')
  [ "$free" -ge "$N8N_DISK_MB" ] || die \
    "n8n needs $((N8N_DISK_MB / 1000)) GB of free disk under $CACHE_DIR while it is installed; there are $((free / 1000)) GB" \
    "df -h $CACHE_DIR   # make room, or set XDG_CACHE_HOME to a folder on a larger disk"
}

# n8n_install LOG: prints the folder when it is complete. 3 GB and some minutes the first time.
n8n_install() {
  local log=$1 folder staged
  folder=$(n8n_folder)
  mkdir -p "$CACHE_DIR"
  exec 8>"$CACHE_DIR/n8n.lock"
  flock -w 3600 8 || die 'another installation of n8n has been running for an hour' "fuser -v $CACHE_DIR/n8n.lock"
  if [ ! -f "$folder/complete" ]; then
    n8n_disk
    need_compiler "$log"
    staged=$folder.new
    rm -rf "$staged" "$folder"
    mkdir -p "$staged"
    cp "$N8N_LOCK_DIR/package.json" "$N8N_LOCK_DIR/package-lock.json" "$staged"
    step 'npm ci: n8n and its 2400 packages, once (3 GB)' "$log" \
      bash -c 'cd "$1" && npm ci --ignore-scripts --no-audit --no-fund 8>&-' _ "$staged" ||
      die 'npm ci of n8n failed' "less $log"
    export -f build_sqlite n8n_works
    step 'Building sqlite3 for n8n' "$log" bash -c 'cd "$1" && build_sqlite "$1" 8>&-' _ "$staged" ||
      die 'sqlite3 for n8n does not build' "less $log"
    mv "$staged" "$folder"
    touch "$folder/complete"
  fi
  touch "$folder/complete"
  # Folders of lock files that nobody has used for two weeks.
  find "$CACHE_DIR" -maxdepth 2 -path "$CACHE_DIR/n8n-*/complete" -mtime +14 -printf '%h\0' | xargs -0r rm -rf
  exec 8>&-
  printf '%s\n' "$folder"
}
