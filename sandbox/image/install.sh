#!/bin/sh
# Runs as root inside the build of the packages image: Debian packages and Python packages.
set -eu
cd /build

# --- Debian. Where the base came from mmdebstrap all of it is there, and no mirror is needed.
packages=$(sed 's/#.*//' apt-packages.txt)
# shellcheck disable=SC2086  # one word per package
if ! dpkg-query -W $packages >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install -y --no-install-recommends $packages
fi
export LANG=C.UTF-8

# --- Python packages. pip comes out of its own wheel; --no-deps because the lock names everything.
rm -f /usr/lib/python3.*/EXTERNALLY-MANAGED
index=''
[ -z "$WHEELS_URL" ] || index="--no-index --find-links $WHEELS_URL"
python3 - "$WHEELS_URL" <<'PY'
import re, sys, urllib.request
base = sys.argv[1]
if base:
    page = urllib.request.urlopen(base).read().decode()
    name = re.search(r'href="(pip-[0-9.]+-py3-none-any\.whl)"', page).group(1)
    urllib.request.urlretrieve(base + name, "/build/" + name)
PY
pip_wheel=$(find /build -name 'pip-*.whl')
if [ -n "$pip_wheel" ]; then
  pip="python3 $pip_wheel/pip"
else
  apt-get install -y --no-install-recommends python3-pip
  pip='python3 -m pip'
fi
options="--quiet --root-user-action ignore --break-system-packages --no-cache-dir --no-compile --no-deps --require-hashes $index"
sed -n '/^\(setuptools\|wheel\|pip\)==/,/[^\\]$/p' requirements.lock >tools.lock
# shellcheck disable=SC2086
$pip install $options -r tools.lock
# shellcheck disable=SC2086
python3 -m pip install $options --no-build-isolation -r requirements.lock

# --- the largest test suites; none of them is imported by its package
site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$site/pandas/tests" "$site/xarray/tests" "$site/ibis/backends/tests"

# --- byte code, because the sandbox can write none
python3 -m compileall -qq -j 0 --invalidation-mode unchecked-hash "$site" /usr/lib/python3.* || true
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /root/.cache
