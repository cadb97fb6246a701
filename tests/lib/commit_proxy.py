# SPDX-License-Identifier: MIT
"""A door in front of PostgreSQL that can lose the answer to a COMMIT: the row is there, and the client cannot know.

    with CommitProxy(listen_port, postgres_port) as proxy:
        proxy.lose(1)      # the answer to the next COMMIT of a client whose application_name has `who` in it
        proxy.lost         # how many were lost so far
"""

import socket
import struct
import threading

COMMIT = b"Q" + struct.pack(">I", 11) + b"COMMIT\0"


class CommitProxy:
    def __init__(self, listen_port, target_port, who=b"chasqui-persistence"):
        self.target, self.who, self.lost, self._wanted = target_port, who, 0, 0
        self._lock, self._open = threading.Lock(), set()
        self._listener = socket.create_server(("127.0.0.1", listen_port))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._listener.close()
        self.cut()

    def lose(self, n):
        with self._lock:
            self._wanted += n

    def cut(self):
        """Every connection there is."""
        with self._lock:
            ends = list(self._open)
        for s in ends:
            _shut(s)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                client.close()  # PostgreSQL is away, and so are we
                continue
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            state = {"ours": False, "waiting": False}
            for source, sink, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._carry, args=(source, sink, up, state), daemon=True).start()

    def _carry(self, source, sink, up, state):
        try:
            while data := source.recv(65536):
                if up:
                    state["ours"] |= self.who in data  # in the startup message
                    if state["ours"] and data.endswith(COMMIT):
                        with self._lock:
                            if self._wanted:
                                self._wanted -= 1
                                state["waiting"] = True
                elif state["waiting"] and b"COMMIT\0" in data:
                    with self._lock:
                        self.lost += 1
                    break  # it happened, and nobody is told
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for s in (source, sink):
                _shut(s)
            with self._lock:
                self._open -= {source, sink}


def _shut(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    s.close()
