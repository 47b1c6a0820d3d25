from pathlib import Path

from openai import OpenAI

client = OpenAI()  # takes OPENAI_BASE_URL and OPENAI_API_KEY from the environment

file = client.files.create(file=Path("data/birdstrikes.csv"), purpose="user_data")
response = client.responses.create(
    model="python",
    tools=[{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [file.id]}}],
    input=Path("analysis.py").read_text(),
)
print(response.output_text)

message = next(item for item in response.output if item.type == "message")
for cited in message.content[0].annotations:
    content = client.containers.files.content.retrieve(cited.file_id, container_id=cited.container_id)
    Path(cited.filename).write_bytes(content.read())
