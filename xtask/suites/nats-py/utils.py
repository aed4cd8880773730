"""Servers for the tests of nats-py, started by name from PATH.

The client's package ships its tests without this module. It is written from what the tests call: each test case class names the
servers that its tests find running, on fixed ports, which is why a run has a network namespace of its own.
"""

import asyncio
import functools
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

START_SECONDS = 10
TEST_SECONDS = 20


class Server:
    """One server: its port, its flags, and whether it runs."""

    def __init__(self, port, *flags, config=None, http_port=None):
        self.port = port
        self.flags = list(flags)
        self.config = config
        self.http_port = http_port
        self.process = None
        self.folder = None

    def start(self):
        self.folder = tempfile.mkdtemp(prefix="suite-")
        command = ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), *self.flags]
        if self.http_port:
            command += ["-m", str(self.http_port)]
        if self.config:
            path = os.path.join(self.folder, "server.conf")
            with open(path, "w") as file:
                file.write(self.config)
            command += ["-c", path]
        self.log = os.path.join(self.folder, "server.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for port in filter(None, (self.port, self.http_port)):
            self.wait_for(port)

    def wait_for(self, port):
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                gone = self.process.poll() is not None
                if gone or time.monotonic() > end:
                    with open(self.log) as log:
                        raise RuntimeError(f"nats-server does not listen on {port}:\n{log.read()}")
                time.sleep(0.01)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


class ServerTestCase(unittest.TestCase):
    """A test case whose servers run while each of its tests does."""

    #: How many of the servers are running when a test begins; None for all.
    started = None

    def servers(self):
        return []

    def setUp(self):
        self.server_pool = self.servers()
        try:
            for server in self.server_pool[: self.started]:
                server.start()
        except Exception:
            self.tearDown()
            raise

    def tearDown(self):
        for server in self.server_pool:
            server.stop()


class SingleServerTestCase(ServerTestCase):
    def servers(self):
        return [Server(4222, http_port=8222)]


class MultiServerAuthTestCase(ServerTestCase):
    def servers(self):
        return [
            Server(4223, "--user", "foo", "--pass", "bar", http_port=8223),
            Server(4224, "--user", "hoge", "--pass", "fuga", http_port=8224),
        ]


class MultiServerAuthTokenTestCase(ServerTestCase):
    def servers(self):
        tokens = {4223: "token", 4224: "token", 4225: "another"}
        return [Server(port, "--auth", token, http_port=port + 4000) for port, token in tokens.items()]


class NoAuthUserServerTestCase(ServerTestCase):
    CONFIG = """
    authorization {
      users = [
        { user: "foo", password: "foo" }
        { user: "bar", password: "bar", permissions: { subscribe: { deny: "foo" } } }
      ]
    }
    no_auth_user: "foo"
    """

    def servers(self):
        return [Server(4555, config=self.CONFIG)]


def trio(*flags):
    """Three servers of one cluster."""
    routes = [f"nats://127.0.0.1:{port}" for port in (6223, 6224, 6225)]
    return [
        Server(
            4223 + at,
            *flags,
            "--cluster",
            routes[at],
            "--cluster_name",
            "trio",
            "--routes",
            ",".join(routes),
            http_port=8223 + at,
        )
        for at in range(3)
    ]


class ClusteringTestCase(ServerTestCase):
    started = 1

    def servers(self):
        return trio()


class ClusteringDiscoveryAuthTestCase(ServerTestCase):
    def servers(self):
        return trio("--user", "foo", "--pass", "bar")


def certificate(name):
    return os.path.join(os.environ["SUITE_CERTIFICATES"], f"suite.{name}.pem")


def tls(*more):
    """A configuration that asks clients for certificates."""
    return "\n".join(
        [
            "tls {",
            f'  cert_file: "{certificate("server.cert")}"',
            f'  key_file: "{certificate("server.key")}"',
            f'  ca_file: "{certificate("ca")}"',
            "  verify: true",
            "  timeout: 10",
            *more,
            "}",
        ]
    )


class TLSServerTestCase(ServerTestCase):
    def servers(self):
        self.ssl_ctx = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=certificate("ca"))
        self.ssl_ctx.load_cert_chain(certificate("client.cert"), certificate("client.key"))
        return self.tls_servers()

    def tls_servers(self):
        return [Server(4224, config=tls())]


class TLSServerHandshakeFirstTestCase(TLSServerTestCase):
    def tls_servers(self):
        return [Server(4224, config=tls("  handshake_first: true"))]


class MultiTLSServerAuthTestCase(TLSServerTestCase):
    def tls_servers(self):
        return [
            Server(4223, "--user", "foo", "--pass", "bar", config=tls()),
            Server(4224, "--user", "hoge", "--pass", "fuga", config=tls()),
        ]


class UnservedTestCase(unittest.TestCase):
    """Needs what a core broker does not have."""

    def setUp(self):
        self.skipTest("a core broker does not have this")


SingleJetStreamServerTestCase = UnservedTestCase


def async_test(test):
    """Runs a coroutine as a test, on a loop of its own and against a watchdog."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), TEST_SECONDS))

    return run
