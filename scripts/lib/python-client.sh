# shellcheck shell=bash
# The official Python client, for the contract tests: a virtual environment of exactly the packages in
# test/python/requirements.lock.

# python_client: makes it if it is missing or older than the lock file, and sets TEST_PYTHON.
python_client() {
  local dir=$DATA_DIR/test-venv lock=$ROOT_DIR/test/python/requirements.lock log=$DATA_DIR/test-venv.log python stamp
  python=$(python_bin) || die 'there is no Python 3.9 or newer' 'apt-get install -y python3'
  stamp=$({ cat "$lock" && "$python" -VV && echo "$dir"; } | short_hash)
  TEST_PYTHON=$dir/bin/python
  if [ "$(cat "$dir/.stamp" 2>/dev/null)" = "$stamp" ] && "$TEST_PYTHON" -c 'import openai' 2>/dev/null; then return 0; fi
  mkdir -p "$DATA_DIR"
  : >"$log"
  rm -rf "$dir"
  # Debian ships venv without the piece that puts pip into it.
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    # shellcheck source=apt.sh
    . "$ROOT_DIR/scripts/lib/apt.sh"
    on_debian_as_root || die "$python cannot make virtual environments" 'sudo apt-get install -y python3-venv'
    apt_install "$log" 'virtual environments, for the Python client in the contract tests' python3-venv
  fi
  step 'Installing the Python client for the contract tests' "$log" make_venv "$python" "$dir" "$lock"
  printf '%s\n' "$stamp" >"$dir/.stamp"
}

make_venv() {
  "$1" -m venv "$2" && "$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --require-hashes --only-binary=:all: -r "$3"
}
