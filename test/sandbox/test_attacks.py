"""User code against the supervisor and the file workers. After each attack everything still works."""

import json
import unittest

from harness import GVISOR, SandboxTest


class Attacks(SandboxTest):
    def tearDown(self) -> None:
        self.assert_healthy()

    def others(self) -> list[int]:
        """Pids of the supervisor and its file workers, as the guest sees them."""
        if GVISOR:
            code = "import os, json\nprint(json.dumps([int(p) for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]))"
            pids = json.loads(self.run_text(code))
            self.assertIn(1, pids)
            self.assertGreaterEqual(len(pids), 4)
            return pids
        return [self.sandbox.process.pid]

    def test_identity(self) -> None:
        text = self.run_text("print(open('/proc/self/status').read())")
        status = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        self.assertEqual(status["Uid"].split(), ["1000"] * 4)
        self.assertEqual(status["Gid"].split(), ["1000"] * 4)
        self.assertEqual(status["Groups"].split(), [])
        for name in ("CapEff", "CapPrm", "CapInh", "CapBnd"):
            self.assertEqual(int(status[name], 16), 0)
        code = "import ctypes; print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))"
        self.assertEqual(self.run_text(code), "1\n")

    def test_devices(self) -> None:
        code = (
            "import os, stat, itertools\n"
            "places = ('/tmp', '/mnt/data', '/dev/shm', '/dev')\n"
            "for place, kind, (major, minor) in itertools.product(places, (stat.S_IFCHR, stat.S_IFBLK), ((1, 3), (1, 1), (10, 200), (10, 229), (8, 0))):\n"
            "    path = f'{place}/node{os.getpid()}'\n"
            "    fd = os.open('/', os.O_RDONLY)\n"
            "    for make in (lambda: os.mknod(path, kind | 0o666, os.makedev(major, minor)), lambda: os.mknod(path[1:], kind | 0o666, os.makedev(major, minor), dir_fd=fd)):\n"
            "        try: make(); print('made', path, kind, major, minor); os.unlink(path)\n"
            "        except OSError: pass\n"
            "    os.close(fd)\n"
            "os.mkfifo('/tmp/pipe'); os.unlink('/tmp/pipe')\n"
            "os.mknod('/tmp/plain', stat.S_IFREG | 0o600); os.unlink('/tmp/plain')\n"
        )
        self.assertEqual(self.run_text(code), "")
        child = f"import subprocess, sys; print(subprocess.run([sys.executable, '-c', {code!r}], capture_output=True, text=True).stdout)"
        self.assertEqual(self.run_text(child), "\n")

    def test_malformed_frames_end_the_kernel_only(self) -> None:
        find = "import os, struct, time\nchannel = next(f for f in range(900, 1000) if os.readlink(f'/proc/self/fd/{f}').startswith('socket'))\n"
        headers = ('{"t":"image","mime":[],"bytes":1,"more":false}', '{"t":"image","mime":{},"bytes":1,"more":false}', '{"t":[]}', '{"t":"display","cut":[]}', '{"t":"error","name":1,"value":{}}', "[" * 60_000)
        for header in headers:
            with self.subTest(header=header[:60]):
                code = find + f"open('before', 'w').write('kept')\nh = {header!r}.encode(); os.write(channel, struct.pack('>II', len(h), 0) + h); time.sleep(1)"
                result = self.client.run(code)
                self.assertIn(result.done["status"], ("kernel_died", "completed"))
                self.assertEqual(list(result.files()), [self.sandbox.path("before")])
                if "image" in header:
                    self.assertEqual((result.done["status"], result.notices()), ("kernel_died", ["kernel_died"]))
                self.client.run("import os; os.unlink('before')")

    def test_signals(self) -> None:
        code = "import os\nfor pid in %s:\n    for number in (0, 9, 15, 19, 2):\n        try: os.kill(pid, number); print('reached', pid, number)\n        except PermissionError: pass"
        self.assertEqual(self.run_text(code % self.others()), "")

    @unittest.skipUnless(GVISOR, "would reach the host's processes of that uid")
    def test_kill_everything(self) -> None:
        pids = self.others()
        result = self.client.run("import os\ntry: os.kill(-1, 9)\nexcept OSError: pass\nos.kill(os.getpid(), 9)")
        self.assertEqual(result.done["status"], "kernel_died")
        self.assertLessEqual(set(pids), set(self.others()))
        self.client.run("import os, signal\nos.kill(-1, signal.SIGSTOP)", timeout_ms=5_000)

    def test_tracing_and_memory(self) -> None:
        code = (
            "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
            # gVisor 20240729 shows these of any process: addresses and an environment without secrets.
            "KNOWN = ('environ', 'maps', 'auxv')\n"
            "for pid in %s:\n"
            "    for request in (16, 0x4206):\n"
            "        if libc.ptrace(request, pid, 0, 0) == 0: print('traced', pid)\n"
            "    for name in ('mem', 'environ', 'maps', 'auxv', 'syscall', 'stack'):\n"
            "        try:\n"
            "            with open(f'/proc/{pid}/{name}', 'rb') as f:\n"
            "                if name == 'mem': f.seek(0x400000)\n"
            "                data = f.read(64)\n"
            "            if data and name not in KNOWN: print('read', pid, name, data[:20])\n"
            "        except OSError: pass\n"
            "    for name in ('cwd', 'root', 'exe', *(f'fd/{n}' for n in range(30))):\n"
            "        try: target = os.readlink(f'/proc/{pid}/{name}')\n"
            "        except OSError: continue\n"
            "        if target in ('/dev/null', '/proc/meminfo'): continue\n"
            "        for flags in (os.O_RDONLY, os.O_WRONLY):\n"
            "            try: os.close(os.open(f'/proc/{pid}/{name}', flags | os.O_NONBLOCK)); print('opened', pid, name, target)\n"
            "            except OSError: pass\n"
            "    for name in ('mem', 'oom_score_adj', 'comm', 'coredump_filter'):\n"
            "        try: os.close(os.open(f'/proc/{pid}/{name}', os.O_WRONLY)); print('writable', pid, name)\n"
            "        except OSError: pass\n"
            "    import resource\n"
            "    try: resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3)); print('prlimit', pid)\n"
            "    except (OSError, ValueError): pass\n"
            "    class Iov(ctypes.Structure): _fields_ = [('b', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
            "    buffer = ctypes.create_string_buffer(16)\n"
            "    local, remote = Iov(ctypes.addressof(buffer), 16), Iov(0x400000, 16)\n"
            "    if libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0: print('vm_readv', pid)\n"
            "    fd = libc.syscall(434, pid, 0)\n"
            "    if fd >= 0 and libc.syscall(438, fd, 3, 0) >= 0: print('pidfd_getfd', pid)\n"
        )
        self.assertEqual(self.run_text(code % self.others()), "")

    def test_nothing_secret_to_read(self) -> None:
        # A current gVisor does not open it, that of 2024 does.
        code = "try: print(open('/proc/1/environ', 'rb').read())\nexcept PermissionError: pass"
        text = self.run_text(code) if GVISOR else ""
        for word in ("TOKEN", "SECRET", "KEY=", "PASSWORD"):
            self.assertNotIn(word, text.upper())

    def test_privileges_do_not_come_back(self) -> None:
        code = (
            "import os, ctypes\n"
            "for call in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.chown('/', 1000, 1000), lambda: os.chroot('/tmp')):\n"
            "    try: call(); print('allowed')\n"
            "    except PermissionError: pass\n"
            "    except OSError as e: print(e) if e.errno != 30 else None"
        )
        self.assertEqual(self.run_text(code), "")

    @unittest.skipUnless(GVISOR, "needs the container's root")
    def test_supervisors_files(self) -> None:
        code = (
            "import os, socket\n"
            "for path in ('/opt/sandbox/supervisor/main.py', '/opt/sandbox/x', '/etc/passwd', '/run/sandbox/x', '/usr/x'):\n"
            "    try: open(path, 'a'); print('written', path)\n"
            "    except OSError: pass\n"
            "try: os.listdir('/run/sandbox'); print('listed')\n"
            "except PermissionError: pass\n"
            "for call in (lambda s: s.connect('/run/sandbox/supervisor.sock'),):\n"
            "    s = socket.socket(socket.AF_UNIX)\n"
            "    try: call(s); print('connected')\n"
            "    except PermissionError: pass\n"
            "for call in (lambda: os.unlink('/run/sandbox/supervisor.sock'), lambda: os.rename('/run/sandbox', '/tmp/x')):\n"
            "    try: call(); print('removed')\n"
            "    except OSError: pass"
        )
        self.assertEqual(self.run_text(code), "")

    @unittest.skipUnless(GVISOR, "needs the container's network")
    def test_no_network(self) -> None:
        code = (
            "import socket, time\nbegun = time.time()\n"
            "for host in ('1.1.1.1', '169.254.169.254', '10.0.0.1', '172.17.0.1', '100.100.100.200'):\n"
            "    s = socket.socket(); s.settimeout(2)\n"
            "    try: s.connect((host, 80)); print('connected', host)\n"
            "    except OSError as e: print('slow', host) if isinstance(e, TimeoutError) else None\n"
            "try: socket.getaddrinfo('example.com', 80); print('resolved')\n"
            "except OSError: pass\n"
            "print(time.time() - begun < 3)"
        )
        self.assertEqual(self.run_text(code), "True\n")

    def test_leftover_process_cannot_disturb_a_restart(self) -> None:
        code = "import subprocess\nfor i in range(20): subprocess.Popen('trap \"\" TERM INT HUP; while true; do :; done', shell=True, start_new_session=True)"
        self.client.run(code, timeout_ms=20_000)
        self.client.ask("restart")
        self.assertEqual(self.client.run("1").notices(), [])

    def test_garbage_from_the_host_ends_only_its_connection(self) -> None:
        for data in (b"\xff" * 64, b"\0\0\0\x02\0\0\0\0[]", b"\0\0\0\0\0\0\0\0"):
            other = self.sandbox.connect()
            other.sock.sendall(data)
            with self.assertRaises((EOFError, ConnectionError)):
                other.receive()
