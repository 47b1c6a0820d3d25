"""Responses and their streams, seen through the official Python client. Run like test_contract.py."""

import os
import unittest

import openai
from support import AUTO, ContractTest, client, connect, run, tool


class TestResponses(ContractTest):
    @classmethod
    def setUpClass(cls):
        cls.container = client.containers.create(name="responses py").id

    def run_here(self, code, **options):
        return run(code, self.container, **options)

    def test_71_72_object(self):
        made = self.run_here("print(1)")
        self.assertEqual(made.usage.total_tokens, made.usage.input_tokens + made.usage.output_tokens)
        self.assertEqual((made.metadata, made.error, made.incomplete_details), ({}, None, None))
        self.assertGreaterEqual(made.completed_at, made.created_at)

    def test_73_78_refused(self):
        cases = [
            ({"max_output_tokens": 1}, "integer_below_min_value", "max_output_tokens"),
            ({"extra_body": {"foo": 1}}, "unknown_parameter", "foo"),
            ({"include": ["bogus"]}, "invalid_value", "include[0]"),
            ({"metadata": {str(n): "v" for n in range(17)}}, "object_above_max_properties", "metadata"),
            ({"previous_response_id": "resp_x"}, "previous_response_not_found", "previous_response_id"),
            ({"previous_response_id": "resp_x", "conversation": "conv_x"}, "mutually_exclusive_parameters", None),
        ]
        for options, code, param in cases:
            with self.subTest(code):
                error = self.refused(openai.BadRequestError, self.run_here, "1", **options)
                self.assertEqual((error.code, error.param), (code, param))
        error = self.refused(openai.BadRequestError, client.responses.create, model="x", input="y")
        self.assertEqual((error.code, error.param), ("model_not_found", "model"))
        error = self.refused(openai.BadRequestError, client.responses.create, model="python")
        self.assertEqual((error.code, error.param), ("missing_required_parameter", "input"))

    def test_79_81_store(self):
        made = self.run_here("print(1)", store=False)
        self.refused(openai.NotFoundError, client.responses.retrieve, made.id)
        made = self.run_here("print(1)")
        (item,) = client.responses.input_items.list(made.id, limit=1)
        self.assertEqual((item.type, item.role, item.content[0].text), ("message", "user", "print(1)"))
        client.responses.delete(made.id)
        self.refused(openai.NotFoundError, client.responses.retrieve, made.id)

    def test_83_nulls(self):
        keys = ["instructions", "max_tool_calls", "max_output_tokens", "temperature", "top_p", "text", "reasoning", "store",
                "previous_response_id", "conversation", "include", "metadata", "truncation", "service_tier", "user", "tool_choice"]
        self.assertEqual(self.run_here("print(1)", **dict.fromkeys(keys)).status, "completed")

    def test_84_function_call(self):
        items = [{"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}, {"role": "user", "content": "1"}]
        error = self.refused(openai.BadRequestError, client.responses.create, model="python", input=items, tools=[AUTO])
        self.assertIn("call_1", error.message)

    def test_89_92_stream(self):
        code = "open('/mnt/data/s.csv', 'w').write('a')\nprint('done')"
        with client.responses.stream(model="python", input=code, tools=[tool(self.container)]) as stream:
            events = list(stream)
            final = stream.get_final_response()
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        self.assertEqual((events[0].type, events[-1].type), ("response.created", "response.completed"))
        deltas = [event.delta for event in events if event.type == "response.code_interpreter_call_code.delta"]
        self.assertEqual("".join(deltas), code)
        text = next(event.text for event in events if event.type == "response.output_text.done")
        self.assertEqual("".join(event.delta for event in events if event.type == "response.output_text.delta"), text)
        order = [event.type for event in events]
        cited = next(event for event in events if event.type == "response.output_text.annotation.added")
        self.assertLess(cited.sequence_number, order.index("response.output_text.done"))
        self.assertEqual(dict(cited.annotation), final.output[-1].content[0].annotations[0].to_dict())
        stored = client.responses.retrieve(final.id)
        self.assertEqual((final.output_text, final.status, final.usage), (stored.output_text, stored.status, stored.usage))

    def test_94_refused_stream(self):
        self.refused(openai.BadRequestError, client.responses.create, model="python", input="1", stream=True, include=["bogus"])

    def test_93_keep_alive(self):
        code = "import time; time.sleep(7); print('late')"
        events = list(client.responses.create(model="python", input=code, tools=[tool(self.container)], stream=True))
        self.assertEqual(events[-1].type, "response.completed")

    def test_107_queries(self):
        made = self.run_here("print(1)")
        forms = ["include[]=code_interpreter_call.outputs", "include%5B%5D=code_interpreter_call.outputs", "include=code_interpreter_call.outputs"]
        seen = [client.get(f"/responses/{made.id}?{form}", cast_to=object)["output"][0]["outputs"] for form in forms]
        self.assertEqual(seen, [[{"type": "logs", "logs": "1\n"}]] * 3)

    def test_104_pool(self):
        other = connect(api_key=os.environ["OTHER_API_KEY"])
        big = other.containers.create(name="all", memory_limit="64g")
        patient = openai.OpenAI(max_retries=2, api_key=os.environ["OTHER_API_KEY"])
        error = self.refused(openai.RateLimitError, patient.containers.create, name="more")
        self.assertEqual(error.response.headers["x-should-retry"], "false")
        self.assertEqual(len(list(other.containers.list())), 1)
        other.containers.delete(big.id)

if __name__ == "__main__":
    unittest.main(verbosity=2)
