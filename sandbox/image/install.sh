#!/bin/sh
# Runs as root in a container of the base image, without network: puts every package of requirements.lock into
# it, out of uv's cache beside this file, where scripts/lib/packages.sh has put them.
set -eu
cd "$(dirname "$0")"
build=$PWD
export LANG=C.UTF-8

# --- Python packages. --no-deps because the lock names everything.
rm -f /usr/lib/python3.*/EXTERNALLY-MANAGED
# The index is part of the cache's names. The file may hold a password, so it is not the image's environment.
# shellcheck source=/dev/null
. "$build/index.env"
unset SSL_CERT_FILE
UV_CACHE_DIR="$build/cache" "$build/uv" pip install --quiet --no-progress --offline --system --break-system-packages \
  --no-deps --require-hashes --link-mode=copy -r requirements.lock

# --- the largest test suites; none of them is imported by its package
site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$site/pandas/tests" "$site/xarray/tests" "$site/ibis/backends/tests"

# --- byte code, because the sandbox can write none; but for tests, which nobody imports
python3 -W ignore -m compileall -qq -j 0 -x '/tests?/' --invalidation-mode unchecked-hash "$site" /usr/lib/python3.* || true

sh "$build/finish.sh"
# What was written here as root is for another user to remove.
chown -R --reference=uv "$build"
