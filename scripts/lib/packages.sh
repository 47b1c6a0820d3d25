# shellcheck shell=bash
# The packages image: every package of sandbox/requirements.lock on the Debian base. The host's uv fetches them,
# as it knows the host's index, proxy and certificates, into a cache that a container without network installs from.
# Whatever is cut short goes on where it was: the cache is kept until the image is made.

# find_uv: prints the uv of sandbox/image/uv.lock.
find_uv() {
  # shellcheck source=python-tools.sh
  . "$ROOT_DIR/scripts/lib/python-tools.sh"
  python_venv uv-venv sandbox/image/uv.lock '' 'uv, which installs Python packages' || return 1
  printf '%s\n' "$DATA_DIR/uv-venv/bin/uv"
}

pip_says() { "$DATA_DIR/uv-venv/bin/python" -m pip config get "$1" 2>/dev/null; }

# index_environment: what uv must be told of pip's configuration, as shell assignments; its own comes first.
index_environment() {
  local name option value
  while read -r name option; do
    value=${!name:-}
    [ -n "$value" ] || value=$(pip_says ":env:.$option") || value=$(pip_says "user.$option") ||
      value=$(pip_says "global.$option") || continue
    printf 'export %s=%q\n' "$name" "$value"
  done <<'NAMES'
UV_DEFAULT_INDEX index-url
UV_INDEX extra-index-url
SSL_CERT_FILE cert
NAMES
}

# fetch_packages DIRECTORY: fills DIRECTORY/cache. uv fills its cache by installing, so it does, into a folder that
# is removed; the files are links. A few packages are published as source only and are built here, with the
# setuptools of the lock.
fetch_packages() {
  local dir=$1 arguments=() sdist
  while read -r sdist; do arguments+=(--no-binary "$sdist"); done < <(grep -v '^#' "$SANDBOX_DIR/image/sdists.txt")
  sed -n '/^\(setuptools\|wheel\)==/,/[^\\]$/p' "$SANDBOX_DIR/requirements.lock" >"$dir/build.lock"
  rm -rf "$dir/site"
  (
    # shellcheck source=/dev/null
    . "$dir/index.env"
    UV_CACHE_DIR="$dir/cache" UV_HTTP_TIMEOUT=120 "$dir/uv" pip install --no-progress --target "$dir/site" \
      --python-version 3.13 --python-platform "$(uname -m)-manylinux_2_40" --only-binary :all: "${arguments[@]}" \
      --build-constraints "$dir/build.lock" --no-deps --require-hashes -r "$SANDBOX_DIR/requirements.lock"
  ) || return
  rm -rf "$dir/site"
}

# install_packages BASE TAG DIRECTORY
install_packages() {
  local base=$1 tag=$2 dir=$3 container=${2/:/-} status=0
  # What a killed one left may still run. By its name: a label would be the image's, and so every sandbox's.
  docker rm -f "$container" 2>/dev/null || true
  docker create --name "$container" --network=none --security-opt label=disable \
    -v "$dir:/tmp/build" "$base" sh /tmp/build/install.sh || return
  docker start -a "$container" && docker commit "$container" "$tag" || status=$?
  docker rm -f "$container"
  return "$status"
}

# build_packages TAG STORE: the base is made while the packages come in.
build_packages() {
  local tag=$1 dir=$2/python uv base fetch
  uv=$(find_uv) || die 'uv could not be installed; it fetches the Python packages of the image' "less $DATA_DIR/uv-venv.log"
  mkdir -p "$dir"
  cp "$uv" "$SANDBOX_DIR"/image/* "$SANDBOX_DIR/requirements.lock" "$dir/"
  (umask 077 && index_environment >"$dir/index.env")
  step "Fetching $(grep -c '==' "$SANDBOX_DIR/requirements.lock") Python packages (1 GB)" "$DATA_DIR/packages.log" fetch_packages "$dir" &
  fetch=$!
  # Nobody waits for it when this is interrupted, or when the base cannot be made.
  # shellcheck disable=SC2064  # the pid of now is meant
  trap "kill_tree $fetch" EXIT
  base=$(find_base) || exit
  wait "$fetch" || die 'some Python packages could not be fetched' 'scripts/image   # goes on where it stopped'
  trap - EXIT
  step 'Installing them into the image (2 minutes)' "$BUILD_LOG" install_packages "$base" "$tag" "$dir" ||
    die 'the image could not be built' "less $BUILD_LOG"
  rm -rf "$dir"
}
