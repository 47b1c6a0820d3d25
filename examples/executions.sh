json() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
api() { curl --silent --show-error --fail-with-body -H "Authorization: Bearer $OPENAI_API_KEY" "$@"; }
post() { api "$OPENAI_BASE_URL/$1" -H 'Content-Type: application/json' -d "$2"; }

container=$(post containers '{"name": "strikes", "memory_limit": "1g"}' | json 'd["id"]')
api "$OPENAI_BASE_URL/containers/$container/files" -F file=@data/birdstrikes.xlsx > wildlife-strikes.upload.json

# Variables stay between executions: the second one uses what the first one read.
run() { post "containers/$container/executions" "$(python3 -c 'import json, sys; print(json.dumps({"code": sys.stdin.read()}))')"; }
run < analysis.py > wildlife-strikes.json
run <<< 'months["strikes"].idxmax(), int(months["strikes"].max())' | json 'd["outputs"][0]["text"]'

json '"\n".join(f["id"] + " " + f["path"].split("/")[-1] for f in d["files"])' < wildlife-strikes.json |
  while read -r id name; do
    api "$OPENAI_BASE_URL/containers/$container/files/$id/content" -o "$name"
  done
api -X DELETE "$OPENAI_BASE_URL/containers/$container"
