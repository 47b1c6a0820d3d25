# shellcheck shell=bash
# Libraries on top of the Responses API (OpenAI Agents, Vercel AI SDK, LangChain), for the contract tests:
# installed apart from the rest, with the programs of test/sdk beside them.

# js_libraries: makes the folder if it is missing or older than test/sdk, and sets TEST_SDK_DIR.
js_libraries() {
  local source=$ROOT_DIR/test/sdk log=$DATA_DIR/test-sdk.log stamp
  TEST_SDK_DIR=$DATA_DIR/test-sdk
  mkdir -p "$TEST_SDK_DIR"
  cp "$source"/*.mjs "$TEST_SDK_DIR/"
  stamp=$(cat "$source/package-lock.json" | short_hash)
  if [ "$(cat "$TEST_SDK_DIR/.stamp" 2>/dev/null)" = "$stamp" ]; then return 0; fi
  : >"$log"
  rm -f "$TEST_SDK_DIR/.stamp"
  cp "$source/package.json" "$source/package-lock.json" "$ROOT_DIR/.npmrc" "$TEST_SDK_DIR/"
  step 'Installing libraries on top of the API for the contract tests' "$log" npm --prefix "$TEST_SDK_DIR" ci
  printf '%s\n' "$stamp" >"$TEST_SDK_DIR/.stamp"
}
