# shellcheck shell=bash
# The server's environment: what the caller says, then .env, then what the engine's set-up found out.
# Whoever sources this keeps the caller's DATA_DIR in SERVER_DATA_DIR before common.sh replaces it.

engine_env_file() { printf '%s\n' "${CI_ENGINE_DIR:-$DATA_DIR/engine}/env"; }

# Node says so when the file it was told of is not there.
DOTENV=()
[ ! -f "$ROOT_DIR/.env" ] || DOTENV=(--env-file="$ROOT_DIR/.env")

# in_dotenv NAME: Node reads the file; a value that stands there is not ours to set.
in_dotenv() { [ ${#DOTENV[@]} -gt 0 ] && grep -qE "^(export +)?$1(_FILE)?=." "$ROOT_DIR/.env"; }

server_environment() {
  local key value
  if [ -f "$(engine_env_file)" ]; then
    while IFS='=' read -r key value; do
      case "$key" in
        DOCKER_HOST | SANDBOX_RUNTIME | SANDBOX_IMAGE | SANDBOX_CGROUP_PARENT)
          if [ -z "${!key:-}" ] && ! in_dotenv "$key"; then export "$key=$value"; fi
          ;;
      esac
    done <"$(engine_env_file)"
  fi
  # Four threads of Node's do all syncs of files otherwise, and a busy disk holds up all of them.
  export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-16}"
  if [ -n "${SERVER_DATA_DIR:-}" ] || ! in_dotenv DATA_DIR; then
    export DATA_DIR="${SERVER_DATA_DIR:-$DATA_DIR}"
  else
    unset DATA_DIR
  fi
}
