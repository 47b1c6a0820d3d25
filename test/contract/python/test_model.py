"""The contract, seen through the official Python client, with a scripted model behind the server.

Run by model-python.test.ts with OPENAI_BASE_URL, OPENAI_API_KEY and MODEL_CONTROL_URL (of the fake endpoint).
"""

import json
import os
import time
import typing
import unittest
import urllib.request

import openai
import pydantic
from support import AUTO, OUTPUTS, ContractTest, call_of, client, logs_of

CITY = {
    "type": "function",
    "name": "get_city",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    "strict": True,
}


def control(path="", method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["MODEL_CONTROL_URL"] + path, data, method=method)
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def script(*turns):
    control("/scripts", "POST", {"model": "loop", "turns": turns})


def asked():
    return [request["body"] for request in control("/requests")["data"]]


def python(code):
    return {"name": "python", "arguments": {"code": code}}


def create(**options):
    return client.responses.create(**{"model": "loop", "input": "go", **options})


def ended(response):
    deadline = time.monotonic() + 60
    while response.status in ("queued", "in_progress") and time.monotonic() < deadline:
        time.sleep(0.1)
        response = client.responses.retrieve(response.id, include=OUTPUTS)
    return response


class Place(pydantic.BaseModel):
    city: str
    inhabitants: int


class ModelTest(ContractTest):
    def setUp(self):
        control(method="DELETE")


class TestConversations(ModelTest):
    def test_82_instructions(self):
        script({"text": "Arr."}, {"text": "Yes."})
        first = create(instructions="Talk like a pirate.")
        create(previous_response_id=first.id, input="again")
        self.assertEqual([message["role"] for message in asked()[1]["messages"]], ["user", "assistant", "user"])

    def test_84_functions(self):
        script({"calls": [{"name": "get_city", "arguments": "{}", "id": "call_7"}]}, {"text": "Rome."})
        first = create(tools=[CITY])
        self.assertEqual(first.output[0].call_id, "call_7")
        self.refused(openai.BadRequestError, create, tools=[CITY], previous_response_id=first.id)
        answer = {"type": "function_call_output", "call_id": "call_7", "output": "Rome"}
        self.assertEqual(create(tools=[CITY], previous_response_id=first.id, input=[answer]).output_text, "Rome.")

    def test_85_parse(self):
        script({"text": '{"city": "Rome", "inhabitants": 2800000}'})
        made = client.responses.parse(model="loop", input="go", text_format=Place)
        self.assertEqual(made.output_parsed, Place(city="Rome", inhabitants=2_800_000))

    def test_86_mixed(self):
        script({"calls": [python("x = 20; print(x)"), {"name": "get_city", "arguments": "{}", "id": "call_8"}]})
        first = create(tools=[AUTO, CITY], include=OUTPUTS)
        self.assertEqual(logs_of(first), "20\n")
        script({"calls": [python("print(x + 1)")]}, {"text": "Done."})
        answer = {"type": "function_call_output", "call_id": "call_8", "output": "Rome"}
        second = create(tools=[AUTO, CITY], include=OUTPUTS, previous_response_id=first.id, input=[answer])
        self.assertEqual((logs_of(second), second.output_text), ("21\n", "Done."))

    def test_87_conversation(self):
        conversation = client.conversations.create()
        script({"text": "Hello, Ann."}, {"text": "Ann."})
        made = create(conversation=conversation.id, input="I am Ann.")
        self.assertEqual(made.conversation.id, conversation.id)
        create(conversation=conversation.id, input="Who am I?")
        self.assertEqual(len(asked()[1]["messages"]), 3)
        items = list(client.conversations.items.list(conversation.id, limit=2, order="asc"))
        self.assertEqual([item.role for item in items], ["user", "assistant", "user", "assistant"])

    def test_88_items(self):
        conversation = client.conversations.create(items=[{"role": "user", "content": "one"}], metadata={"a": "b"})
        added = client.conversations.items.create(conversation.id, items=[{"role": "user", "content": "two"}])
        item = client.conversations.items.retrieve(added.data[0].id, conversation_id=conversation.id)
        self.assertEqual(item.content[0].text, "two")
        left = client.conversations.items.delete(item.id, conversation_id=conversation.id)
        self.assertEqual((left.object, left.id), ("conversation", conversation.id))
        self.assertTrue(client.conversations.delete(conversation.id).deleted)
        self.refused(openai.NotFoundError, client.conversations.retrieve, conversation.id)


class TestStreams(ModelTest):
    def test_91_helper(self):
        script(
            {"reasoning": "I think.", "text": "Let me see.", "calls": [python("open('/mnt/data/r.txt', 'w').write('r')")]},
            {"reasoning": "Done.", "text": "[r](sandbox:/mnt/data/r.txt)"},
        )
        with client.responses.stream(model="loop", input="go", tools=[AUTO]) as stream:
            final = stream.get_final_response()
        stored = client.responses.retrieve(final.id)
        self.assertEqual([item.id for item in final.output], [item.id for item in stored.output])
        self.assertEqual((final.output_text, final.usage), (stored.output_text, stored.usage))

    def test_95_failure(self):
        script({"text": "It was a dark night", "chunk": 4, "fault": {"kind": "cut", "after": 3}})
        events = list(create(stream=True))
        self.assertEqual((events[-1].type, events[-1].response.error.code), ("response.failed", "server_error"))

    def test_96_gone(self):
        beat = "import time\nfor i in range(600):\n    open('/mnt/data/beat.txt', 'w').write(str(i)); time.sleep(0.1)"
        container = client.containers.create(name="left").id
        script({"calls": [python(beat)]})
        with create(tools=[{"type": "code_interpreter", "container": container}], stream=True) as stream:
            for event in stream:
                if event.type == "response.code_interpreter_call.interpreting":
                    break
        script({"calls": [python("print(open('/mnt/data/beat.txt').read() if __import__('os').path.exists('/mnt/data/beat.txt') else '-')")]}, {"text": "Read."})
        seen = create(tools=[{"type": "code_interpreter", "container": container}], include=OUTPUTS)
        self.assertNotEqual(logs_of(seen), "599\n")
        client.containers.delete(container)

    def test_97_98_incomplete(self):
        script({"text": "It was a", "finish": "length"})
        events = list(create(stream=True, max_output_tokens=16))
        self.assertEqual(events[-1].type, "response.incomplete")
        self.assertEqual(events[-1].response.incomplete_details.reason, "max_output_tokens")
        # The client makes an event of an unknown type one of the first class of its union.
        for event in events:
            self.assertIn(event.type, typing.get_args(type(event).model_fields["type"].annotation))


class TestBackground(ModelTest):
    def test_99_poll(self):
        script({"calls": [python("print(42)")]}, {"text": "It is 42."})
        begin = time.monotonic()
        made = create(background=True, tools=[AUTO])
        self.assertLess(time.monotonic() - begin, 1)
        self.assertIn(made.status, ("queued", "in_progress"))
        done = ended(made)
        self.assertEqual((done.status, done.output_text, logs_of(done)), ("completed", "It is 42.", "42\n"))

    def test_100_resume(self):
        script({"text": "a story that is told slowly", "chunk": 3, "delay_ms": 40})
        seen = []
        with create(background=True, stream=True) as stream:
            for event in stream:
                seen.append(event)
                if event.type == "response.output_text.delta":
                    break
        self.assertEqual([event.type for event in seen[:3]], ["response.created", "response.queued", "response.in_progress"])
        identity = seen[0].response.id
        seen.extend(client.responses.retrieve(identity, stream=True, starting_after=seen[-1].sequence_number))
        self.assertEqual([event.sequence_number for event in seen], list(range(len(seen))))
        self.assertEqual(seen[-1].response.output_text, "a story that is told slowly")

    def test_101_helper(self):
        script({"text": "Two."})
        events = list(create(background=True, stream=True))
        with client.responses.stream(response_id=events[0].response.id, starting_after=4) as stream:
            numbers = [event.sequence_number for event in stream]
            final = stream.get_final_response()
        self.assertEqual(numbers, list(range(5, len(events))))
        self.assertEqual(final.output_text, "Two.")

    def test_102_cancel(self):
        script({"calls": [python("import time; time.sleep(60)")]})
        made = create(background=True, tools=[AUTO])
        while not (seen := client.responses.retrieve(made.id)).status == "in_progress":
            self.assertIn(seen.status, ("queued", "in_progress"))
            time.sleep(0.1)
        self.assertEqual(client.responses.cancel(made.id).status, "cancelled")
        self.assertEqual(client.responses.cancel(made.id).status, "cancelled")
        script({"text": "Done."})
        error = self.refused(openai.BadRequestError, client.responses.cancel, create().id)
        self.assertIn("Cannot cancel a synchronous response.", error.message)

    def test_103_not_streamed(self):
        script({"text": "Done."})
        made = create()
        error = self.refused(openai.BadRequestError, client.responses.retrieve, made.id, stream=True)
        self.assertEqual(error.param, "stream")


class TestContext(ModelTest):
    def test_input_tokens(self):
        self.assertGreater(client.responses.input_tokens.count(model="loop", input="Hello, world!").input_tokens, 2)
        self.assertEqual(client.responses.input_tokens.count().input_tokens, 0)

    def test_compact(self):
        script({"text": "A summary."}, {"text": "Yes."})
        compacted = client.responses.compact(model="loop", input=[{"role": "user", "content": "Remember."}])
        self.assertEqual([item.type for item in compacted.output], ["message", "compaction"])
        items = [item.to_dict() for item in compacted.output]
        self.assertEqual(create(input=[*items, {"role": "user", "content": "Well?"}]).output_text, "Yes.")


if __name__ == "__main__":
    unittest.main(verbosity=2)
