"""The resources of the contract, seen through the official Python client: the checks of the other tests in compact form.

Run by python.test.ts with OPENAI_BASE_URL, OPENAI_API_KEY and OTHER_API_KEY (of another project).
"""

import hashlib
import io
import os
import pathlib
import tempfile
import unittest

import openai
from support import AUTO, OUTPUTS, ContractTest, call_of, client, connect, logs_of, run, tool


class TestEnvelope(ContractTest):
    def test_01_models(self):
        models = {model.id: model for model in client.models.list()}
        self.assertEqual(models["python"].object, "model")
        self.assertEqual(client.models.retrieve("python"), models["python"])

    def test_02_unknown_model(self):
        self.assertEqual(self.refused(openai.NotFoundError, client.models.retrieve, "nope").code, "model_not_found")

    def test_03_wrong_key(self):
        error = self.refused(openai.AuthenticationError, connect(api_key="sk-wrong").models.list)
        self.assertEqual(error.code, "invalid_api_key")
        self.assertTrue(error.request_id.startswith("req_"))

    def test_06_request_id(self):
        reply = client.containers.with_raw_response.create(name="six")
        self.assertEqual(reply.http_response.status_code, 200)
        self.assertEqual(reply.parse()._request_id, reply.headers["x-request-id"])


    def test_04_unknown_route(self):
        error = self.refused(openai.NotFoundError, client.get, "/nowhere", cast_to=object)
        self.assertEqual(set(error.body), {"message", "type", "param", "code"})

    def test_08_empty_body(self):
        made = client.containers.create(name="eight")
        reply = client.containers.with_raw_response.delete(made.id, extra_headers={"Content-Type": "application/json"})
        self.assertEqual(reply.http_response.status_code, 200)
        error = self.refused(openai.NotFoundError, client.responses.cancel, "resp_x", extra_headers={"Content-Type": "application/json"})
        self.assertEqual(error.type, "invalid_request_error")


class TestFiles(ContractTest):
    def upload(self, name="data.csv", content=b"a,b\n", **options):
        return client.files.create(file=(name, content), purpose=options.pop("purpose", "user_data"), **options)

    def test_09_10_create(self):
        file = self.upload("données été.csv")
        self.assertEqual((file.object, file.bytes, file.status), ("file", 4, "processed"))
        self.assertEqual((file.filename, file.expires_at), ("données été.csv", None))
        self.assertEqual(client.files.create(file=b"no name", purpose="user_data").filename, "upload")

    def test_11_stream(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "streamed.bin")
            path.write_bytes(os.urandom(300_000))
            file = client.files.create(file=path, purpose="assistants")
            self.assertEqual((file.bytes, file.filename), (300_000, "streamed.bin"))

    def test_12_13_expiry(self):
        after = {"anchor": "created_at", "seconds": 3600}
        file = self.upload(expires_after=after)
        self.assertEqual(file.expires_at, file.created_at + 3600)
        error = self.refused(openai.BadRequestError, self.upload, expires_after={**after, "seconds": 10})
        self.assertEqual(error.param, "expires_after.seconds")

    def test_14_purpose(self):
        self.assertEqual(self.refused(openai.BadRequestError, self.upload, purpose="bogus").param, "purpose")

    def test_15_content(self):
        for content in (bytes(range(256)), b"", os.urandom(5 * 1024 * 1024)):
            got = client.files.content(self.upload("b.bin", content).id).read()
            self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(content).digest())

    def test_16_17_lists(self):
        made = [self.upload(f"{n}.txt", purpose="evals").id for n in range(5)]
        self.assertEqual([file.id for file in client.files.list(purpose="evals", limit=2)], made[::-1])
        self.assertEqual([file.id for file in client.files.list(purpose="evals", limit=2, order="asc")], made)

    def test_19_20_delete(self):
        file = self.upload()
        self.assertEqual(client.files.wait_for_processing(file.id).status, "processed")
        deleted = client.files.delete(file.id)
        self.assertEqual((deleted.id, deleted.object, deleted.deleted), (file.id, "file", True))
        self.refused(openai.NotFoundError, client.files.retrieve, file.id)
        self.refused(openai.NotFoundError, client.files.delete, file.id)

    def test_21_uploads(self):
        upload = client.uploads.create(bytes=6, filename="p.txt", mime_type="text/plain", purpose="user_data")
        self.assertEqual(upload.status, "pending")
        second = client.uploads.parts.create(upload.id, data=b"def")
        first = client.uploads.parts.create(upload.id, data=b"abc")
        self.refused(openai.BadRequestError, client.uploads.complete, upload.id, part_ids=[first.id])
        done = client.uploads.complete(upload.id, part_ids=[first.id, second.id])
        self.assertEqual(client.files.content(done.file.id).read(), b"abcdef")
        other = client.uploads.create(bytes=6, filename="p.txt", mime_type="text/plain", purpose="user_data")
        self.assertEqual(client.uploads.cancel(other.id).status, "cancelled")


class TestContainers(ContractTest):
    def test_22_31_create(self):
        made = client.containers.create(name="py", file_ids=None, expires_after=None, memory_limit=None)
        self.assertTrue(made.id.startswith("cntr_"))
        self.assertEqual((made.object, made.status, made.memory_limit), ("container", "running", "1g"))
        self.assertEqual((made.expires_after.anchor, made.expires_after.minutes), ("last_active_at", 20))
        self.assertEqual(made.network_policy.type, "disabled")
        self.assertEqual(client.containers.retrieve(made.id).name, "py")

    def test_23_25_refused(self):
        error = self.refused(openai.BadRequestError, client.post, "/containers", cast_to=object, body={})
        self.assertEqual((error.code, error.param), ("missing_required_parameter", "name"))
        error = self.refused(openai.BadRequestError, client.containers.create, name="x", memory_limit="2g")
        self.assertEqual((error.code, error.param), ("invalid_value", "memory_limit"))
        for minutes, code in ((21, "integer_above_max_value"), (0, "integer_below_min_value")):
            after = {"anchor": "last_active_at", "minutes": minutes}
            error = self.refused(openai.BadRequestError, client.containers.create, name="x", expires_after=after)
            self.assertEqual((error.code, error.param), (code, "expires_after.minutes"))
        made = client.containers.create(name="x", expires_after={"anchor": "last_active_at", "minutes": 5.0})
        self.assertEqual(made.expires_after.minutes, 5)

    def test_26_27_files(self):
        file = client.files.create(file=("in.csv", b"abc"), purpose="user_data")
        made = client.containers.create(name="files", file_ids=[file.id])
        (copy,) = client.containers.files.list(made.id)
        self.assertEqual((copy.bytes, copy.source), (3, "user"))
        self.assertTrue(copy.path.startswith("/mnt/data/"))
        self.refused(openai.NotFoundError, client.containers.create, name="never py", file_ids=["file-x"])
        self.assertNotIn("never py", [each.name for each in client.containers.list()])

    def test_28_30_lists(self):
        made = [client.containers.create(name="pages py").id for _ in range(5)]
        found = [each.id for each in client.containers.list(limit=2, extra_query={"name": "pages py"})]
        self.assertEqual(found, made[::-1])
        error = self.refused(openai.NotFoundError, client.containers.retrieve, "cntr_x")
        self.assertIn("Container with id 'cntr_x' not found.", error.message)
        for each in made:
            client.containers.delete(each)
            self.refused(openai.NotFoundError, client.containers.retrieve, each)


class TestContainerFiles(ContractTest):
    @classmethod
    def setUpClass(cls):
        cls.container = client.containers.create(name="container files py").id

    def test_33_36_create(self):
        file = client.containers.files.create(self.container, file=("données.bin", bytes(range(256))))
        self.assertEqual((file.object, file.container_id, file.bytes, file.source), ("container.file", self.container, 256, "user"))
        content = client.containers.files.content.retrieve(file.id, container_id=self.container)
        self.assertEqual(content.read(), bytes(range(256)))
        same = client.containers.files.retrieve(file.id, container_id=self.container)
        self.assertEqual(same.to_dict(), file.to_dict())
        client.containers.files.delete(file.id, container_id=self.container)
        self.refused(openai.NotFoundError, client.containers.files.retrieve, file.id, container_id=self.container)

    def test_34_35_by_id(self):
        source = client.files.create(file=("copied.csv", b"a,b"), purpose="user_data")
        file = client.containers.files.create(self.container, file_id=source.id)
        self.assertEqual(file.bytes, 3)
        self.refused(openai.BadRequestError, client.containers.files.create, self.container)
        self.refused(openai.NotFoundError, client.containers.files.create, self.container, file_id="file-x")

    def test_37_38_lists(self):
        other = client.containers.create(name="other files py").id
        made = [client.containers.files.create(other, file=(f"{n}.txt", b"x")).id for n in range(3)]
        self.assertEqual([file.id for file in client.containers.files.list(other, limit=1)], made[::-1])
        client.containers.files.delete(made[0], container_id=other)
        self.assertEqual(len(list(client.containers.files.list(other))), 2)
        self.assertEqual(logs_of(run("import os; print(sorted(os.listdir('/mnt/data')))", other)), "['1.txt', '2.txt']\n")
        self.refused(openai.NotFoundError, client.containers.files.retrieve, made[1], container_id=self.container)
        client.containers.delete(other)

    def test_39_names(self):
        file = client.containers.files.create(self.container, file=("../../etc/passwd", io.BytesIO(b"x")))
        self.assertRegex(file.path, r"^/mnt/data/[^/]*passwd$")

    def test_40_another_project(self):
        stranger = connect(api_key=os.environ["OTHER_API_KEY"])
        file = client.containers.files.create(self.container, file=("mine.txt", b"x"))
        self.refused(openai.NotFoundError, stranger.containers.retrieve, self.container)
        self.refused(openai.NotFoundError, stranger.containers.delete, self.container)
        self.refused(openai.NotFoundError, stranger.containers.files.list, self.container)
        self.refused(openai.NotFoundError, stranger.files.content, file.id)
        tools = [tool(self.container)]
        self.refused(openai.NotFoundError, stranger.responses.create, model="python", input="1", tools=tools)


class TestCodeInterpreter(ContractTest):
    @classmethod
    def setUpClass(cls):
        cls.first = run("x = 41\nopen('/mnt/data/kept.txt', 'w').write('kept')\nprint('hello')", include=None)

    def follow(self, code, **options):
        return run(code, previous_response_id=self.first.id, **options)

    def test_41_43_outputs(self):
        self.assertEqual([item.type for item in self.first.output], ["code_interpreter_call", "message"])
        self.assertIsNone(call_of(self.first).outputs)
        self.assertIn("hello", self.first.output_text)
        self.assertIn("hello\n", logs_of(client.responses.retrieve(self.first.id, include=OUTPUTS)))
        self.assertEqual(call_of(self.follow("y = 1")).outputs, [])

    def test_44_46_state(self):
        self.assertEqual(logs_of(self.follow("1+1")), "2")
        failed = self.follow("raise ValueError('x')")
        self.assertEqual((failed.status, call_of(failed).status), ("completed", "completed"))
        self.assertIn("ValueError: x", logs_of(failed))
        next_one = self.follow("print(x + 1, open('kept.txt').read())")
        self.assertEqual(logs_of(next_one), "42 kept\n")
        self.assertEqual(call_of(next_one).container_id, call_of(self.first).container_id)

    def test_47_49_container(self):
        self.assertEqual(client.containers.retrieve(call_of(self.first).container_id).status, "running")
        replayed = client.responses.create(
            model="python", tools=[AUTO], include=OUTPUTS,
            input=[*self.first.output, {"role": "user", "content": "print(x + 2)"}],
        )
        self.assertEqual(logs_of(replayed), "43\n")

    def test_50_52_explicit(self):
        container = client.containers.create(name="explicit py").id
        self.assertEqual(call_of(run("v = 1", container)).container_id, container)
        self.assertEqual(logs_of(run("print(v)", container)), "1\n")
        error = self.refused(openai.BadRequestError, client.responses.create, model="python", input="1", tools=[{"type": "code_interpreter"}])
        self.assertEqual((error.code, error.param), ("missing_required_parameter", "tools[0].container"))
        self.refused(openai.NotFoundError, run, "1", "cntr_unknown")
        client.containers.delete(container)

    def test_53_memory(self):
        made = client.containers.create(name="big py", memory_limit="4g")
        self.assertEqual(client.containers.retrieve(made.id).memory_limit, "4g")
        client.containers.delete(made.id)

    def test_59_network(self):
        closed = self.follow("import urllib.request\nurllib.request.urlopen('https://example.com', timeout=20)")
        self.assertIn("URLError", logs_of(closed))

    def test_62_libraries(self):
        self.assertEqual(logs_of(self.follow("import pandas, numpy, matplotlib, scipy, openpyxl, PIL; print('all')")), "all\n")

    def test_66_isolated(self):
        other = run("import os; print(os.path.exists('/mnt/data/kept.txt'))")
        self.assertEqual(logs_of(other), "False\n")
        self.assertNotEqual(call_of(other).container_id, call_of(self.first).container_id)

    def test_54_55_files(self):
        file = client.files.create(file=("in.csv", b"a\n7\n"), purpose="user_data")
        content = [
            {"type": "input_file", "file_id": file.id},
            {"type": "input_text", "text": "```python\nimport glob\nprint(open(glob.glob('/mnt/data/*in.csv')[0]).read())\n```"},
        ]
        made = client.responses.create(
            model="python", include=OUTPUTS, tools=[tool(call_of(self.first).container_id)], input=[{"role": "user", "content": content}])
        self.assertEqual(logs_of(made), "a\n7\n\n")
        error = self.refused(openai.BadRequestError, run, "1", {"type": "auto", "file_ids": ["file-x"] * 51})
        self.assertEqual((error.code, error.param), ("array_above_max_length", "tools[0].container.file_ids"))

    def test_56_58_results(self):
        made = self.follow(
            "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nopen('/mnt/data/out.csv', 'w').write('a,b')")
        (image,) = [output for output in call_of(made).outputs if output.type == "image"]
        self.assertTrue(image.url.startswith("data:image/png;base64,iVBOR"))
        (text,) = made.output[-1].content
        (cited,) = [each for each in text.annotations if each.filename == "out.csv"]
        self.assertEqual(text.text[cited.start_index:cited.end_index], "sandbox:/mnt/data/out.csv")
        content = client.containers.files.content.retrieve(cited.file_id, container_id=cited.container_id)
        self.assertEqual(content.read(), b"a,b")
        self.assertEqual(client.files.content(cited.file_id).read(), b"a,b")

    def test_57_code_points(self):
        made = self.follow("print('😀😀'); open('/mnt/data/smile.txt', 'w').write('x')")
        (text,) = made.output[-1].content
        (cited,) = [each for each in text.annotations if each.filename == "smile.txt"]
        self.assertEqual(text.text[cited.start_index:cited.end_index], "sandbox:/mnt/data/smile.txt")

    def test_63_65_choices(self):
        made = self.follow("print(1)", max_tool_calls=1, tool_choice="required")
        self.assertEqual((made.status, made.max_tool_calls, made.tool_choice), ("completed", 1, "required"))
        choice = {"type": "code_interpreter"}
        error = self.refused(openai.BadRequestError, client.responses.create, model="python", input="1", tool_choice=choice)
        self.assertEqual(error.param, "tool_choice")


if __name__ == "__main__":
    unittest.main(verbosity=2)
