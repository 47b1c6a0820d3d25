# shellcheck shell=bash
# The copy of the packages image in the user's cache, which spares other clones most of the work.

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
