# shellcheck shell=bash
# What tests and checks use of Python: virtual environments of exactly the packages in a lock file.

# python_client: the official Python client, for the contract tests; sets TEST_PYTHON.
python_client() {
  python_venv test-venv test/python/requirements.lock openai 'the Python client for the contract tests'
  TEST_PYTHON=$DATA_DIR/test-venv/bin/python
}

# python_fuzzer: makes up requests from an OpenAPI document, for the load tests; sets TEST_FUZZER.
python_fuzzer() {
  python_venv fuzz-venv test/load/requirements.lock schemathesis 'the fuzzer for the load tests'
  TEST_FUZZER=$DATA_DIR/fuzz-venv/bin/schemathesis
}

# python_shellcheck: checks shell scripts, for scripts/lint; sets SHELLCHECK.
python_shellcheck() {
  python_venv shellcheck-venv scripts/lib/shellcheck.lock '' 'ShellCheck, which checks shell scripts'
  SHELLCHECK=$DATA_DIR/shellcheck-venv/bin/shellcheck
}

# python_venv NAME LOCK MODULE WHAT: makes it below DATA_DIR if it is missing or not of this lock file. MODULE:
# one of its packages, to see that it works; may be empty.
python_venv() {
  local dir=$DATA_DIR/$1 lock=$ROOT_DIR/$2 log=$DATA_DIR/$1.log python stamp
  python=$(python_bin) || die 'there is no Python 3.9 or newer' 'apt-get install -y python3'
  stamp=$({ cat "$lock" && "$python" -VV && echo "$dir"; } | short_hash)
  if [ "$(cat "$dir/.stamp" 2>/dev/null)" = "$stamp" ] && "$dir/bin/python" -c "${3:+import $3}" 2>/dev/null; then return 0; fi
  mkdir -p "$DATA_DIR"
  : >"$log"
  rm -rf "$dir"
  # Debian ships venv without the piece that puts pip into it.
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    # shellcheck source=apt.sh
    . "$ROOT_DIR/scripts/lib/apt.sh"
    on_debian_as_root || die "$python cannot make virtual environments" 'sudo apt-get install -y python3-venv'
    apt_install "$log" 'virtual environments, for the tests' python3-venv
  fi
  step "Installing $4" "$log" make_venv "$python" "$dir" "$lock" || return
  printf '%s\n' "$stamp" >"$dir/.stamp"
}

make_venv() {
  "$1" -m venv "$2" && "$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --require-hashes --only-binary=:all: -r "$3"
}
