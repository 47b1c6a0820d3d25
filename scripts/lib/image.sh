# shellcheck shell=bash
# The sandbox image, in two halves. The packages image is heavy (every Python package; packages.sh) and is made
# when one of its inputs changes; a copy of it is kept in the user's cache for other clones (image-cache.sh). The
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

# --- the base: made on this machine where it is Debian, else of an official image ----------------

# find_base: prints its tag, and makes it first if need be.
find_base() {
  local tag
  tag="code-interpreter-debian:$({ cat "$SANDBOX_DIR"/image/apt-packages.txt "$SANDBOX_DIR"/image/base.Dockerfile && printf '%s\n' "${BASE_IMAGE:-}"; } | short_hash)"
  if image_present "$tag"; then
    :
  elif [ -z "${BASE_IMAGE:-}" ] && on_debian_as_root; then
    # Preferred where it is possible: apt runs on the host, so it honours the host's mirror, proxy
    # and certificates, and nothing of them gets into the image.
    have mmdebstrap || apt_install "$BUILD_LOG" 'builds the base of the sandbox image' mmdebstrap
    step "Making a Debian $DEBIAN_SUITE base with fonts and tools (about 1 minute)" "$BUILD_LOG" \
      make_debian_base "$tag" || die 'the base of the image could not be made' "less $BUILD_LOG"
  else
    step "Making a base with fonts and tools of ${BASE_IMAGE:-debian:$DEBIAN_SUITE-slim}" "$BUILD_LOG" \
      build_base "$tag" || die 'the base of the image could not be made' "less $BUILD_LOG"
  fi
  printf '%s\n' "$tag"
}

build_base() {
  local work
  work=$(mktemp -d)
  cp "$SANDBOX_DIR"/image/apt-packages.txt "$work/"
  build --build-arg "BASE_IMAGE=${BASE_IMAGE:-debian:$DEBIAN_SUITE-slim}" -f "$SANDBOX_DIR/image/base.Dockerfile" -t "$1" "$work"
  rm -rf "$work"
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
