# shellcheck shell=bash
# The n8n that test/e2e runs against, in several versions: each is installed once into a cache folder for its
# lock file and Node, shared by all clones of this user, and started from there. Sourced after common.sh and
# apt.sh.

N8N_LOCKS=$ROOT_DIR/test/e2e/n8n
N8N_DISK_MB=6000

# n8n_folder VERSION: named by what it holds, so that another lock file or another Node means another folder.
n8n_folder() {
  local key
  key=$(
    cat "$N8N_LOCKS/$1/package.json" "$N8N_LOCKS/$1/package-lock.json"
    node -p '[process.version, process.platform, process.arch].join()'
  )
  printf '%s/n8n-%s\n' "$CACHE_DIR" "$(printf '%s' "$key" | short_hash)"
}

# Some versions have no isolated-vm.
n8n_works() {
  (cd "$1" && node -e 'require("sqlite3"); if (fs.existsSync("node_modules/isolated-vm")) require("isolated-vm")')
}

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

# built_sqlite FOLDER: takes over the same version that was built for another n8n.
built_sqlite() {
  local other version
  version=$(node -p 'require(process.argv[1]).version' "$1/node_modules/sqlite3/package.json")
  for other in "$CACHE_DIR"/n8n-*/complete; do
    other=${other%/complete}/node_modules/sqlite3
    [ -d "$other/build" ] && grep -q "\"version\": \"$version\"" "$other/package.json" || continue
    cp -r "$other/build" "$1/node_modules/sqlite3/" && n8n_works "$1" && return 0
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

# n8n_install VERSION LOG: prints the folder when it is complete. VERSION is a folder of test/e2e/n8n. 3 GB and
# some minutes the first time.
n8n_install() {
  local version=$1 log=$2 folder staged
  folder=$(n8n_folder "$version")
  mkdir -p "$CACHE_DIR"
  exec 8>"$CACHE_DIR/n8n.lock"
  flock -w 3600 8 || die 'another installation of n8n has been running for an hour' "fuser -v $CACHE_DIR/n8n.lock"
  if [ ! -f "$folder/complete" ]; then
    n8n_disk
    need_compiler "$log"
    staged=$folder.new
    rm -rf "$staged" "$folder"
    mkdir -p "$staged"
    cp "$N8N_LOCKS/$version/package.json" "$N8N_LOCKS/$version/package-lock.json" "$staged"
    step "npm ci: n8n $version and its 2400 packages, once (3 GB)" "$log" \
      bash -c 'cd "$1" && npm ci --ignore-scripts --no-audit --no-fund 8>&-' _ "$staged" ||
      die 'npm ci of n8n failed' "less $log"
    if ! built_sqlite "$staged" 2>>"$log"; then
      export -f build_sqlite n8n_works
      step 'Building sqlite3 for n8n' "$log" bash -c 'cd "$1" && build_sqlite "$1" 8>&-' _ "$staged" ||
        die 'sqlite3 for n8n does not build' "less $log"
    fi
    mv "$staged" "$folder"
    touch "$folder/complete"
  fi
  touch "$folder/complete"
  # Folders of lock files that nobody has used for two weeks.
  find "$CACHE_DIR" -maxdepth 2 -path "$CACHE_DIR/n8n-*/complete" -mtime +14 -printf '%h\0' | xargs -0r rm -rf
  exec 8>&-
  printf '%s\n' "$folder"
}
