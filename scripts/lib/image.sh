# shellcheck shell=bash
# The sandbox image, in two halves. The packages image is heavy (every Python package) and is made
# when one of its inputs changes; a copy of it is kept in the user's cache for other clones. The
# sandbox image is a thin layer on top with our two programs.

SANDBOX_DIR="$ROOT_DIR/sandbox"
BUILD_LOG="$DATA_DIR/engine/image.log"
DEBIAN_SUITE=trixie

# Which files the result depends on, by content and name.
hash_files() {
  (
    cd "$SANDBOX_DIR" || exit
    find "$@" -type f -not -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  ) | { cat; printf '%s\n' "${BASE_IMAGE:-}" "$(uname -m)"; } | short_hash
}

packages_tag() { printf 'code-interpreter-packages:%s\n' "$(hash_files image requirements.lock)"; }
sandbox_tag() {
  printf 'code-interpreter-sandbox:%s\n' \
    "$(hash_files image requirements.lock Dockerfile supervisor kernel)"
}

image_present() { docker image inspect "$1" >/dev/null 2>&1; }

build() { DOCKER_BUILDKIT=0 docker build --network=host "$@"; }

# The two newest of each half are kept, and what a container still uses cannot be removed.
remove_old_images() {
  local repository
  for repository in code-interpreter-sandbox code-interpreter-packages code-interpreter-debian; do
    docker images --format '{{.Repository}}:{{.Tag}}' "$repository" | tail -n +3 |
      xargs -r -n 1 docker rmi >/dev/null 2>&1 || true
  done
}

# --- the base: an official Debian where a registry answers, else one of our own -----------------

find_base() {
  local tag
  if [ -n "${BASE_IMAGE:-}" ]; then
    printf '%s\n' "$BASE_IMAGE"
    return
  fi
  tag="code-interpreter-debian:$(cd "$SANDBOX_DIR/image" && short_hash <apt-packages.txt)"
  if image_present "$tag"; then
    printf '%s\n' "$tag"
  elif on_debian_as_root; then
    # Preferred where it is possible: apt runs on the host, so it honours the host's mirror, proxy
    # and certificates, and nothing of them gets into the image.
    have mmdebstrap || apt_install "$BUILD_LOG" 'builds the base of the sandbox image' mmdebstrap
    step "Making a Debian $DEBIAN_SUITE base with fonts and tools (about 1 minute)" "$BUILD_LOG" \
      make_debian_base "$tag" || die 'the base of the image could not be made' "less $BUILD_LOG"
    printf '%s\n' "$tag"
  else
    printf 'debian:%s-slim\n' "$DEBIAN_SUITE"
  fi
}

# The host's own mirrors for our suite, as one-line sources. None known: mmdebstrap's default.
debian_sources() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror security
  mirror=$(debian_mirror)
  if [ -z "$mirror" ]; then
    # apt knows where a source comes from only after it has fetched its lists.
    apt-get -q update >&2
    mirror=$(debian_mirror)
  fi
  [ -n "$mirror" ] || return 0
  security=$(debian_mirror security)
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$DEBIAN_SUITE"
  printf 'deb [signed-by=%s] %s %s-updates main\n' "$keyring" "$mirror" "$DEBIAN_SUITE"
  [ -z "$security" ] || printf 'deb [signed-by=%s] %s %s-security main\n' "$keyring" "$security" "$DEBIAN_SUITE"
}

make_debian_base() {
  local tag=$1 work packages sources arguments
  work=$(mktemp -d)
  packages=$(sed 's/#.*//' "$SANDBOX_DIR/image/apt-packages.txt" | xargs | tr ' ' ',')
  apt-config dump 2>/dev/null | grep -E '^Acquire::(http|https|Retries)' | grep -v '"";$' >"$work/apt.conf" || true
  debian_sources >"$work/sources.list"
  arguments=(--variant=minbase --include="$packages"
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*'
    --dpkgopt='path-exclude=/usr/share/locale/*'
    --customize-hook="rm -rf \"\$1\"/etc/apt/sources.list \"\$1\"/etc/apt/sources.list.d/* \"\$1\"/etc/apt/apt.conf.d/99mmdebstrap \"\$1\"/etc/resolv.conf \"\$1\"/etc/hostname")
  [ ! -s "$work/apt.conf" ] || arguments+=(--aptopt="$work/apt.conf")
  sources=()
  [ ! -s "$work/sources.list" ] || sources=("$work/sources.list")
  TMPDIR="$work" mmdebstrap "${arguments[@]}" "$DEBIAN_SUITE" "$work/base.tar" "${sources[@]}"
  docker import "$work/base.tar" "$tag"
  rm -rf "$work"
}

# --- wheels: downloaded by the host's pip, which knows the host's index, proxy and certificates ---

host_pip() {
  local python
  for python in "$(command -v python3 || true)" /usr/bin/python3; do
    if [ -n "$python" ] && "$python" -m pip --version >/dev/null 2>&1; then
      printf '%s\n' "$python"
      return
    fi
  done
  on_debian_as_root || die 'pip is missing; the image needs it to fetch Python packages' 'install pip for python3'
  apt_install "$BUILD_LOG" 'fetches the Python packages of the image' python3-pip
  printf '/usr/bin/python3\n'
}

download_wheels() {
  local python=$1 directory=$2 arguments=() pids=() minor sdist part parts failed=0
  parts=$(mktemp -d)
  for minor in 41 40 39 38 37 36 35 34 33 32 31 30 29 28 27 26 25 24 23 22 21 20 19 18 17 12 5; do
    arguments+=(--platform "manylinux_2_${minor}_$(uname -m)")
  done
  for part in 2014 2010 1; do arguments+=(--platform "manylinux${part}_$(uname -m)"); done
  while read -r sdist; do arguments+=("--no-binary=$sdist"); done < <(grep -v '^#' "$SANDBOX_DIR/image/sdists.txt")
  # Four at a time: one pip fetches one file after the other.
  "$(python_bin)" "$ROOT_DIR/scripts/lib/missing_wheels.py" "$SANDBOX_DIR/requirements.lock" "$directory" "$parts" 4
  for part in "$parts"/*.lock; do
    [ -e "$part" ] || continue
    "$python" -m pip download --no-cache-dir --disable-pip-version-check --progress-bar off --no-deps \
      --require-hashes --only-binary=:all: --python-version 3.13 --implementation cp --abi cp313 --abi abi3 --abi none \
      "${arguments[@]}" --dest "$directory" -r "$part" &
    pids+=($!)
  done
  for part in "${pids[@]}"; do wait "$part" || failed=1; done
  rm -rf "$parts"
  return "$failed"
}

# Prints the port of a server on loopback that offers DIRECTORY, and stays until its stdin closes.
serve_directory() {
  "$(python_bin)" -u -c '
import functools, http.server, sys, threading
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
handler = functools.partial(Quiet, directory=sys.argv[1])
try:  # the same port each time, if it is free: its number is part of the builder'"'"'s cache key
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 38117), handler)
except OSError:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_address[1])
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
' "$1"
}

build_packages() {
  local tag=$1 base work wheels python port status=0 SERVER SERVER_PID
  base=$(find_base)
  python=$(host_pip)
  wheels="$STORE/wheels"
  mkdir -p "$wheels"
  step "Downloading $(grep -c '==' "$SANDBOX_DIR/requirements.lock") Python packages (2 GB, some minutes)" "$BUILD_LOG" \
    download_wheels "$python" "$wheels" ||
    die 'some Python packages could not be downloaded' 'scripts/image   # goes on where it stopped'
  work=$(mktemp -d)
  cp "$SANDBOX_DIR"/image/* "$SANDBOX_DIR/requirements.lock" "$work/"
  coproc SERVER { serve_directory "$wheels"; }
  read -r port <&"${SERVER[0]}"
  step 'Installing them into the image (some minutes)' "$BUILD_LOG" \
    build --build-arg "BASE_IMAGE=$base" --build-arg "WHEELS_URL=http://127.0.0.1:$port/" -t "$tag" "$work" || status=$?
  kill "$SERVER_PID" 2>/dev/null || true
  rm -rf "$work"
  [ "$status" -eq 0 ] || die 'the image could not be built' "less $BUILD_LOG"
  [ -n "${CI_KEEP_WHEELS:-}" ] || rm -rf "$wheels"
}

# --- the copy in the user's cache -----------------------------------------------------------------

cache_file() { printf '%s/%s.tar.zst\n' "$CACHE_DIR" "$(printf '%s' "$1" | tr ':' '-')"; }

load_from_cache() {
  local tag=$1 file
  file=$(cache_file "$tag")
  [ -r "$file" ] && [ -r "$file.sha256" ] && have zstd || return 1
  if ! (cd "$CACHE_DIR" && sha256sum --quiet -c "$file.sha256" >/dev/null 2>&1); then
    warn "$file is damaged; building the image instead"
    rm -f "$file" "$file.sha256" 2>/dev/null || true
    return 1
  fi
  step 'Loading the packages image from the cache (about 1 minute)' "$BUILD_LOG" unpack_image "$file" || return 1
  image_present "$tag"
}

unpack_image() { zstd -dcq "$1" | docker load; }
pack_image() { docker save "$1" | zstd -q -T0 -1 -o "$2" -f; }

save_to_cache() {
  local tag=$1 file stale
  file=$(cache_file "$tag")
  [ "$STORE" = "$CACHE_DIR" ] && [ ! -e "$file" ] || return 0
  if ! have zstd; then
    on_debian_as_root || return 0
    apt_install "$BUILD_LOG" 'packs the image for the cache' zstd
  fi
  if [ "$(df --output=avail -B1M "$CACHE_DIR" | tail -n 1)" -lt 4000 ]; then
    warn "not enough room to keep a copy of the image in $CACHE_DIR"
    return 0
  fi
  if ! step "Keeping a copy in $CACHE_DIR for other clones" "$BUILD_LOG" pack_image "$tag" "$file.part"; then
    rm -f "$file.part"
    warn 'the copy could not be kept; the image itself is fine'
    return 0
  fi
  (cd "$CACHE_DIR" && sha256sum "$(basename "$file").part") | sed 's/\.part$//' >"$file.sha256"
  mv "$file.part" "$file"
  # The two newest are enough: the one before helps whoever goes back a commit.
  find "$CACHE_DIR" -maxdepth 1 -name '*.tar.zst' -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d' ' -f2- |
    while IFS= read -r stale; do rm -f "$stale" "$stale.sha256"; done
}
