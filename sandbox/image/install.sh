#!/bin/sh
# Runs once, as root, inside the build of the packages image.
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

# --- what a data image does not need
site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$site" -depth -type d \( -name tests -o -name test \) \
  -not -path '*/numpy/*' -not -path '*/pandas/*' -not -path '*/scipy/*' -not -path '*/sympy/*' \
  -exec sh -c 'for d; do [ -e "$d/../__init__.py" ] && ! grep -rqsE "import tests?\b|from \.+tests? |from \.+ import .*\btests?\b|\.tests?\b" "$d/.." --include="__init__.py" && rm -rf "$d"; done' _ {} + || true
find "$site" -name '*.pyi' -size +64k -delete

# --- fonts and matplotlib. Its cache directory is the user's, and in a fresh sandbox always empty;
# so the list of fonts, which takes seconds to make, is read from the image instead.
mpl=$(python3 -c 'import importlib.util; print(importlib.util.find_spec("matplotlib").submodule_search_locations[0])')
install -d /opt/sandbox/matplotlib
cat matplotlibrc >"$mpl/mpl-data/matplotlibrc"
fc-cache -f
MPLCONFIGDIR=/tmp/mpl python3 -c 'import matplotlib.font_manager'
install -m 644 /tmp/mpl/fontlist-*.json /opt/sandbox/matplotlib/fontlist.json
grep -q 'fm_path = Path(' "$mpl/font_manager.py"
python3 - "$mpl/font_manager.py" <<'PY'
import re, sys
path = sys.argv[1]
text = open(path, encoding="utf-8").read()
patched, count = re.subn(
    r"fm_path = Path\(\s*mpl\.get_cachedir\(\),[^)]*\)",
    'fm_path = Path("/opt/sandbox/matplotlib/fontlist.json")',
    text,
)
assert count == 1, "matplotlib's font cache is no longer where we look for it"
open(path, "w", encoding="utf-8").write(patched)
PY

# --- byte code, because the sandbox can write none
python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site" /usr/lib/python3.* || true
python3 environment.py >/opt/sandbox/environment.json

# --- users and places
groupadd --gid 1000 sandbox
useradd --uid 1000 --gid 1000 --create-home --home-dir /home/sandbox --shell /bin/bash sandbox
install -d -o 1000 -g 1000 -m 700 /mnt/data
install -d -m 755 /run/sandbox
ln -sf python3 /usr/bin/python
install -m 644 EXTERNALLY-MANAGED "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')/EXTERNALLY-MANAGED"

# --- nothing with set-user-ID, no caches, no documentation, no addresses of mirrors
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* /tmp/* /root/.cache \
  /usr/share/doc/* /usr/share/man/* /usr/share/info/* /usr/share/lintian
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/machine-id
