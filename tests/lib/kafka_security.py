# SPDX-License-Identifier: MIT
"""A broker behind TLS that asks everybody who they are: certificates by openssl, a token service, and the rights of docs/topics.md.

Three doors for clients, each with TLS: `mtls` wants a certificate, `login` a password or a token, `open` nothing (there one is
ANONYMOUS, and nobody lets that do anything). Tokens are signed here by PyJWT and judged by Kafka's own validator.
"""

import base64
import http.server
import json
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

ADMIN = "admin"  # a super user, as is the broker itself
ISSUER, AUDIENCE = "https://tokens.test", "kafka"
PRIVATE = "password-for-tests-of-"  # and the name of who has it


def password(name):
    return PRIVATE + name


class Certificates:
    """An authority, and what it signs: name.pem (certificate) and name.key, and both in name.both."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = self.folder / f"{name}.pem"
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                  "basicConstraints=critical,CA:TRUE", "-keyout", self.folder / f"{name}.key", "-out", self.authority)

    def _run(self, *words):
        subprocess.run(["openssl", *[str(w) for w in words]], check=True, capture_output=True, timeout=60)

    def sign(self, name, hosts="IP:127.0.0.1"):
        """Returns (certificate, key)."""
        pem, key, request, more = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        more.write_text(f"subjectAltName={hosts}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self._run("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.folder / f"{self.name}.key", "-CAcreateserial",
                  "-days", "2", "-extfile", more, "-out", pem)
        (self.folder / f"{name}.both").write_text(key.read_text() + pem.read_text())  # as Kafka wants a PEM key store
        for path in (key, self.folder / f"{name}.both"):
            path.chmod(0o600)
        return pem, key


class TokenService:
    """OAuth 2.0's token endpoint for client credentials, over TLS. `keys` is a JWKS file for whoever judges the tokens."""

    def __init__(self, certificates, folder, life_s=3600):
        import jwt
        from cryptography.hazmat.primitives.asymmetric import rsa

        self.life_s, self.asked = life_s, []  # (client, form) of each request, refused ones too
        self.short = {}  # client → [tokens it may still have, seconds that each lives]; others: any number, life_s
        self._jwt, self._key = jwt, rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        self.keys = Path(folder) / "jwks.json"
        self.keys.write_text(json.dumps({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}))
        pem, key = certificates.sign("tokens")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                status, body = service.answer(self.path, self.headers, self.rfile.read(int(self.headers["content-length"])).decode())
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path, headers, text):
        form = dict(urllib.parse.parse_qsl(text))
        scheme, _, basic = headers.get("authorization", "").partition(" ")
        pair = base64.b64decode(basic).decode() if scheme == "Basic" else ":"
        client, _, secret = (urllib.parse.unquote_plus(part) for part in pair.partition(":"))
        self.asked.append((client, form))
        left, life_s = self.short.get(client, (1, self.life_s))
        if client in self.short:
            self.short[client][0] -= 1
        if path != "/token" or form.get("grant_type") != "client_credentials" or secret != password(client) or left < 1:
            return 401, b'{"error":"invalid_client"}'
        now = int(time.time())
        token = self._jwt.encode({"sub": client, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + life_s,
                                  "scope": form.get("scope", "")}, self._key, algorithm="RS256", headers={"kid": "one"})
        return 200, json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": life_s}).encode()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def broker_settings(base_port, certificates, keys, users):
    """What makes the broker at base_port (base_port + 1: its controller) one with the three doors; (settings, doors)."""
    doors = {"mtls": base_port, "open": base_port + 3, "login": base_port + 4}
    listeners = ",".join([*(f"{door.upper()}://127.0.0.1:{port}" for door, port in doors.items()), f"CONTROLLER://127.0.0.1:{base_port + 1}"])
    plain = " ".join(f'user_{name}="{password(name)}"' for name in users)
    kafka = "org.apache.kafka.common.security"
    return {
        "listeners": listeners, "advertised.listeners": listeners.rpartition(",")[0],
        "listener.security.protocol.map": "MTLS:SSL,OPEN:SSL,LOGIN:SASL_SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "MTLS",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": certificates.folder / "broker.both",
        "ssl.truststore.type": "PEM", "ssl.truststore.location": certificates.authority,
        "listener.name.mtls.ssl.client.auth": "required", "listener.name.controller.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]*).*$/$1/",
        "sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER",
        "listener.name.login.plain.sasl.jaas.config": f"{kafka}.plain.PlainLoginModule required {plain};",
        "listener.name.login.oauthbearer.sasl.jaas.config": f"{kafka}.oauthbearer.OAuthBearerLoginModule required;",
        "listener.name.login.oauthbearer.sasl.server.callback.handler.class": f"{kafka}.oauthbearer.OAuthBearerValidatorCallbackHandler",
        "listener.name.login.sasl.oauthbearer.jwks.endpoint.url": keys.as_uri(),
        "listener.name.login.sasl.oauthbearer.expected.audience": AUDIENCE,
        "listener.name.login.sasl.oauthbearer.expected.issuer": ISSUER,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:broker;User:{ADMIN}",
    }, doors


def java_options(keys):
    """The broker reads keys from no address that it is not told."""
    return [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys.as_uri()}"]


def rights(markdown):
    """docs/topics.md → {role: (topics it reads, topics it writes)}."""
    table = markdown.partition("## Rights")[2]
    rows = re.findall(r"^\| ([a-z-]+) \| ([^|]*) \| ([^|]*) \|$", table, re.M)
    return {role: tuple([] if side == "nothing" else side.split(", ") for side in sides) for role, *sides in rows if role != "role"}


def grant(admin, of_roles):
    """Let each role do what `rights` says, as rules of Kafka's authorizer. `admin` is an AdminClient."""
    from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, ResourcePatternType,
                                       ResourceType)
    from stack import wait_until

    def rule(kind, name, pattern, role, operation):
        return AclBinding(kind, name, pattern, f"User:{role}", "*", operation, AclPermissionType.ALLOW)

    rules = []
    for role, (reads, writes) in of_roles.items():
        rules += [rule(ResourceType.TOPIC, "*", ResourcePatternType.LITERAL, role, operation)
                  for operation in (AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)]
        rules += [rule(ResourceType.TOPIC, t, ResourcePatternType.LITERAL, role, AclOperation.READ) for t in (*reads, "schemas")]
        rules += [rule(ResourceType.TOPIC, t, ResourcePatternType.LITERAL, role, AclOperation.WRITE) for t in writes]
        rules.append(rule(ResourceType.GROUP, role, ResourcePatternType.PREFIXED, role, AclOperation.READ))
        rules.append(rule(ResourceType.GROUP, "*", ResourcePatternType.LITERAL, role, AclOperation.DESCRIBE))
        rules += [rule(ResourceType.GROUP, g, ResourcePatternType.LITERAL, role, AclOperation.READ) for g in ("chasqui-floor", "chasqui-acquitted")]
    for future in admin.create_acls(rules, request_timeout=30).values():
        future.result(30)
    everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
    wait_until(lambda: len(admin.describe_acls(everything, request_timeout=20).result(30)) >= len(rules), 30, "the broker to know the rules")
