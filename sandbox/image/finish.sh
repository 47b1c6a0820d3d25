#!/bin/sh
# Runs as root in the container of the packages image, after install.sh: makes it fit for hostile guests and
# for charts.
set -eu
cd "$(dirname "$0")"
export LANG=C.UTF-8

# --- fonts and matplotlib. Its cache directory is the user's, and in a fresh sandbox always empty;
# so the list of fonts, which takes seconds to make, is read from the image instead.
mpl=$(python3 -c 'import importlib.util; print(importlib.util.find_spec("matplotlib").submodule_search_locations[0])')
install -d /opt/sandbox/matplotlib
fc-cache -f
MPLCONFIGDIR=/tmp/mpl python3 -c 'import matplotlib.font_manager'
install -m 644 /tmp/mpl/fontlist-*.json /opt/sandbox/matplotlib/fontlist.json
python3 matplotlib_defaults.py "$mpl"
python3 -m compileall -q --invalidation-mode unchecked-hash "$mpl/font_manager.py"

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
find /tmp -mindepth 1 -maxdepth 1 ! -path "$PWD" -exec rm -rf {} +
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* /root/.cache \
  /usr/share/doc/* /usr/share/man/* /usr/share/info/* /usr/share/lintian
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/machine-id
