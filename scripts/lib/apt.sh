# shellcheck shell=bash
# Installing packages on Debian and Ubuntu: only what is missing, and without starting services.

APT_UPDATED=''

on_debian_as_root() { [ "$(id -u)" -eq 0 ] && have apt-get && have dpkg-query; }

# apt_alone COMMAND...: one at a time on this machine, of those that go through here; apt itself does not
# wait for another that updates its lists, and a policy (below) must not end before its installation.
apt_alone() {
  local lock status=0
  mkdir -p "$CACHE_DIR"
  exec {lock}>"$CACHE_DIR/apt.lock"
  flock -w 1800 "$lock" || die 'another installation of packages has been running for half an hour' "fuser -v $CACHE_DIR/apt.lock"
  "$@" || status=$?
  exec {lock}>&-
  return "$status"
}

apt_update_once() {
  [ -z "$APT_UPDATED" ] || return 0
  apt_alone step 'apt-get update: refreshing the package lists' "$1" apt-get -q update
  APT_UPDATED=1
}

# no_service_starts COMMAND...: package scripts must not start daemons on the system's behalf. The
# engine we start is private. policy-rc.d is Debian's switch for that; an existing one is respected.
no_service_starts() (
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    # Also when we are stopped: a policy left behind would keep every later service from starting.
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  "$@"
)

# apt_install LOG REASON PACKAGE... (options such as -t SUITE may stand among the packages)
apt_install() {
  local log=$1 reason=$2
  shift 2
  apt_update_once "$log"
  apt_alone step "apt-get install $*: $reason" "$log" no_service_starts \
    env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 install "$@"
}

apt_candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p'; }

# debian_mirror [security]: the mirror that this machine's own sources name for the release it runs.
debian_mirror() {
  local codename
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  apt-get indextargets --format "\$(REPO_URI) \$(CODENAME) \$(ORIGIN) \$(COMPONENT)" 'Identifier: Packages' 2>/dev/null |
    awk -v c="$codename${1:+-$1}" '$2 == c && $3 == "Debian" && $4 == "main" { print $1; exit }'
}
