"""The log's writer in KMS is rotated as the plugin's page says, and both keys' anchors hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlops_chain_aws.testing.stand_in import ENVIRONMENT, StandIn, served
from tests.shell_pages import DOCS, run_shell_blocks

PAGE = "../plugins/aws/docs/kms.md"
RUNBOOK = DOCS / "how-to/runbook-keys.md"
PEOPLE = ("0x" + 20 * f"{number:02x}" for number in range(1, 100))

AWS = """#!{python}
# As much of AWS's command line as the page needs: options are boto3's arguments.
import sys, boto3, jmespath
from botocore import xform_name
service, command, *words = sys.argv[1:]
given = dict(zip(words[::2], words[1::2]))
query, output = given.pop("--query", None), given.pop("--output", "json")
client = boto3.client(service)
method = command.replace("-", "_")
model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
names = {{"--" + xform_name(name, "-"): name for name in model.input_shape.members}}
answer = getattr(client, method)(**{{names[option]: value for option, value in given.items()}})
if query is not None:
    assert output == "text"
    print(jmespath.search(query, answer))
"""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """KMS on loopback, found by boto3's own variables in every process."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with served() as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL", str(stand_in.endpoint_url))
        yield stand_in


@dataclass
class Site:
    """A folder with a home, in which an operator works.

    Args:
        folder: the operator's.
        programs: where `mlops-chain` and `aws` are.
    """

    folder: Path
    programs: Path

    def run(self, *words: str, code: int = 0) -> str:
        """One command; what it prints. The test fails if it ends otherwise."""
        done = subprocess.run(
            [str(self.programs / words[0]) if words[0] == "mlops-chain" else words[0], *words[1:]],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return " ".join(said.split())

    def address(self, uri: str) -> str:
        return self.run("mlops-chain", "key", "address", uri)

    def record(self) -> None:
        """Something happens: three entries."""
        address = next(PEOPLE)
        self.run("mlops-chain", "user", "bind", f"u{address[2:4]}", address)

    def holds(self) -> str:
        """What verify says of anchors; it has to hold."""
        found = re.search(r"ok anchored (.*?) It holds\.", self.run("mlops-chain", "verify"))
        assert found is not None
        return found[1]

    def anchored_by(self) -> list[str]:
        """Who sent the anchors, in their order; all are final, and none was refused on chain."""
        told: Any = json.loads(
            subprocess.run(
                [self.programs / "mlops-chain", "tx", "list", "--all", "--json"],
                cwd=self.folder,
                capture_output=True,
                check=True,
            ).stdout
        )
        rows = reversed(told["transactions"])
        anchors = [row for row in rows if row["purpose"].startswith("anchor:")]
        assert {row["status"] for row in anchors} == {"finalized"}
        return [row["key"] for row in anchors]


@pytest.fixture
def site(
    aws: StandIn, forking_programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Site:
    """A home whose log's writer is an alias in KMS, with three entries that it has anchored."""
    aws.make_key(alias="log-writer")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_PLUGINS", "all")
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    (home / "config.toml").write_text('[log]\nwriter = "awskms:alias/log-writer"\n')
    aws_command = tmp_path / "bin" / "aws"
    aws_command.parent.mkdir()
    aws_command.write_text(AWS.format(python=sys.executable))
    aws_command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{aws_command.parent}{os.pathsep}{os.environ['PATH']}")
    script = re.search(r"^```python\n(# rotate\.py\n.*?)^```$", RUNBOOK.read_text(), re.M | re.S)
    assert script is not None
    (tmp_path / "rotate.py").write_text(script[1])
    made = Site(tmp_path, forking_programs)
    made.run("mlops-chain", "init")
    made.record()
    made.run("mlops-chain", "relay", "--once")
    assert made.holds() == "3 of 3 entries are on chain"
    return made


def test_the_writers_key_is_rotated_as_the_page_says_and_anchors_of_all_keys_hold(
    site: Site, aws: StandIn
) -> None:
    alias = "awskms:alias/log-writer"
    first = site.address(alias)
    # 1. The alias moves, and the owner has not said so yet: a relay refuses, and nothing is lost.
    kms = aws.client("kms")
    kms.update_alias(AliasName="alias/log-writer", TargetKeyId=aws.make_key().rpartition("/")[2])
    nobodys = site.address(alias)
    site.record()
    refused = site.run("mlops-chain", "relay", "--once", code=2)
    assert f"NotWriter: {nobodys} is not the writer of log" in refused
    assert "let the owner rotate the writer" in refused
    assert f"chain anchor: NotWriter: {nobodys}" in site.run("mlops-chain", "alarm", "list", code=1)
    assert site.holds().startswith("3 of 6 entries are on chain; 3 wait in the log")
    assert site.anchored_by() == [first]
    # 2. What the page says. Its relay anchors what has waited, and its verify holds.
    printed = "".join(run_shell_blocks(PAGE, site.folder, site.programs))
    second = site.address(alias)
    assert second in printed
    assert "It holds." in printed
    assert site.holds() == "6 of 6 entries are on chain"
    assert site.anchored_by() == [first, second]
    assert site.run("mlops-chain", "alarm", "list").count("NotWriter") == 0
    # 3. The same by an ARN with its address, which is wrong at first.
    arn = aws.make_key()
    third = site.address(f"awskms:{arn}")
    assert len({first, nobodys, second, third}) == 4
    config = site.folder / "home" / "config.toml"
    site.record()
    for address, told in (
        (second, f"is now the key {third}, which is not the address that the URI says"),
        (third, f"NotWriter: {third} is not the writer"),
    ):
        config.write_text(f'[log]\nwriter = "awskms:{arn}?address={address}"\n')
        assert told in site.run("mlops-chain", "relay", "--once", "--patience", "1", code=2)
    site.run(sys.executable, "rotate.py")
    site.run("mlops-chain", "relay", "--once")
    # 4. All keys but the last one are gone: what they anchored holds.
    for key in kms.list_keys()["Keys"]:
        if key["KeyArn"] != arn:
            kms.disable_key(KeyId=key["KeyId"])
    assert site.holds() == "9 of 9 entries are on chain"
    assert site.anchored_by() == [first, second, third]
    assert "ok alarms none" in site.run("mlops-chain", "doctor")
