# shellcheck shell=bash
# What the tier e2e needs beside the server: n8n, our package as npm would publish it, a browser.
# Sourced after common.sh, apt.sh and n8n.sh.

# The first of the names that Chromium goes by; TEST_CHROMIUM names another one.
chromium_bin() {
  local name
  for name in "${TEST_CHROMIUM:-}" chromium chromium-browser google-chrome; do
    [ -z "$name" ] || ! have "$name" || { command -v "$name" && return 0; }
  done
  return 1
}

need_chromium() {
  chromium_bin >/dev/null && return 0
  on_debian_as_root || die 'a Chromium is missing; tests use n8n in a browser' 'apt-get install -y chromium'
  apt_install "$1" 'tests use n8n in a browser' chromium fonts-liberation
}

# pack_nodes FOLDER: the tarball that npm would publish, in FOLDER/package.tgz.
pack_nodes() {
  rm -rf "$1"
  mkdir -p "$1"
  scripts/build-nodes
  npm pack --silent --pack-destination "$1" >/dev/null
  mv "$1"/n8n-nodes-code-interpreter-*.tgz "$1/package.tgz"
}

# need_n8n VERSION: exports where it is, as TEST_N8N_NEWEST or TEST_N8N_1_123.
need_n8n() {
  local name=${1^^}
  name=TEST_N8N_${name//./_}
  printf -v "$name" '%s' "$(n8n_install "$1" "$DATA_DIR/e2e.log")"
  [ -n "${!name}" ] || return 1
  export "${name?}"
}

# prepare_e2e VERSION...: exports where the tests find all three.
prepare_e2e() {
  local log=$DATA_DIR/e2e.log version
  : >"$log"
  for version in "$@"; do need_n8n "$version"; done
  need_chromium "$log"
  TEST_CHROMIUM=$(chromium_bin)
  pack_nodes "$DATA_DIR/e2e"
  TEST_N8N_PACKAGE=$DATA_DIR/e2e/package.tgz
  export TEST_CHROMIUM TEST_N8N_PACKAGE
}
