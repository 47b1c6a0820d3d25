# Each step asks the server for JSON and picks out what the next one needs.
json() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
api() { curl --silent --show-error --fail-with-body -H "Authorization: Bearer $OPENAI_API_KEY" "$@"; }

file=$(api "$OPENAI_BASE_URL/files" -F purpose=user_data -F file=@data/birdstrikes.csv | json 'd["id"]')

python3 -c 'import json, sys; print(json.dumps({
  "model": "python",
  "tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [sys.argv[1]]}}],
  "input": open("analysis.py").read()}))' "$file" |
  api "$OPENAI_BASE_URL/responses" -H 'Content-Type: application/json' -d @- > wildlife-strikes.json

json 'd["output"][-1]["content"][0]["text"]' < wildlife-strikes.json
json '"\n".join("{container_id} {file_id} {filename}".format(**a) for a in d["output"][-1]["content"][0]["annotations"])' \
  < wildlife-strikes.json |
  while read -r container cited name; do
    api "$OPENAI_BASE_URL/containers/$container/files/$cited/content" -o "$name"
  done
