"""What the files beside this one share: the official client, and what they look at."""

import unittest

import openai

AUTO = {"type": "code_interpreter", "container": {"type": "auto"}}
OUTPUTS = ["code_interpreter_call.outputs"]


def connect(**options):
    return openai.OpenAI(max_retries=0, timeout=110, **options)


client = connect()


def tool(container):
    return {"type": "code_interpreter", "container": container}


def run(code, container=None, **options):
    options.setdefault("include", OUTPUTS)
    return client.responses.create(model="python", input=code, tools=[tool(container) if container else AUTO], **options)


def call_of(response):
    return next(item for item in response.output if item.type == "code_interpreter_call")


def logs_of(response):
    return "".join(output.logs for output in call_of(response).outputs or [] if output.type == "logs")


class ContractTest(unittest.TestCase):
    def refused(self, error, call, *arguments, **options):
        with self.assertRaises(error) as caught:
            call(*arguments, **options)
        return caught.exception
