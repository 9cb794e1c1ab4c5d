"""A champion by approval, with every key in AWS KMS and every payload in S3.

    python examples/aws_promotion.py

Who asks, who approves, and what anchors the log sign with keys that never leave KMS. What events
say lies encrypted in one bucket, the model's files in another. AWS is a stand-in here (moto, as a
server of its own on loopback): nothing reaches a network, and nobody's credentials are used.

It works in a temporary folder on the embedded chain, by the command `mlops-chain` and plain MLflow.
It is a check and not a show: it fails if something happens that must not.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WIDTH = 80
MODEL = "fraud"
PEOPLE = ("ada", "bob", "carol")
WRITER = "log-writer"
REGION = "eu-central-1"
PAYLOADS = "acme-mlops-payloads"
MODELS = "acme-models"
POLICY = """[groups]
risk = ["bob", "carol"]

[default."alias:champion"]
group = "risk"
approvals = 2
"""
PRIVATE = "patients of the north clinic"
"""What a run's tag says, and nobody may read in a bucket."""


_INSTALL = (
    "run pip install './plugins/aws[test]' in the repository; what is wrong then says "
    "python -m mlops_chain_aws.testing.stand_in"
)


class StoryFailed(Exception):
    """Something happened that must not; the text says what."""


def tell(text: str) -> None:
    """A paragraph for a person."""
    print("\n" + textwrap.fill(text, WIDTH))


@contextlib.contextmanager
def stand_in_for_aws() -> Iterator[dict[str, str]]:
    """AWS that is nobody's: the variables by which boto3, and so everything here, finds it."""
    try:
        from mlops_chain_aws.testing.stand_in import ENVIRONMENT
    except ModuleNotFoundError as exc:
        raise StoryFailed(f"{exc.name} is not installed: {_INSTALL}") from None
    command = [sys.executable, "-m", "mlops_chain_aws.testing.stand_in"]
    variables = {**ENVIRONMENT, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **variables,
    }
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            endpoint = server.stdout.readline().strip()
            if not endpoint:
                raise StoryFailed(f"the stand-in for AWS did not start: {_INSTALL}")
            yield {**variables, "AWS_ENDPOINT_URL": endpoint}
        finally:
            server.terminate()


class Cloud:
    """What an administrator of AWS makes, once."""

    def __init__(self) -> None:
        import boto3

        session = boto3.session.Session()
        self.kms: Any = session.client("kms")
        self.s3: Any = session.client("s3")

    def build(self) -> None:
        """A key for each who signs, and the buckets."""
        for name in (*PEOPLE, WRITER):
            key = self.kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
            key_id = key["KeyMetadata"]["KeyId"]
            self.kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key_id)
        for bucket in (PAYLOADS, MODELS):
            self.s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
            self.s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
            )

    def payloads(self) -> dict[str, bytes]:
        """All that an administrator of the bucket can read, but for the mark whose store it is."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=PAYLOADS)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        found = {key: self.s3.get_object(Bucket=PAYLOADS, Key=key)["Body"].read() for key in keys}
        return {key: data for key, data in found.items() if not data.startswith(b"This is the")}

    def remove(self, key: str) -> None:
        """Delete an object, every version of it."""
        found = self.s3.list_object_versions(Bucket=PAYLOADS, Prefix=key)
        for version in found["Versions"]:
            self.s3.delete_object(Bucket=PAYLOADS, Key=key, VersionId=version["VersionId"])


class Team:
    """A folder with a home whose keys and payloads are in AWS.

    Args:
        folder: everything is in it that is not in AWS.
        aws: variables by which AWS is found.
    """

    def __init__(self, folder: Path, aws: dict[str, str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **aws,
            "COLUMNS": str(WIDTH),
        }

    def chain(self, *words: str, shown: bool = True, fails: bool = False) -> str:
        """Run `mlops-chain …`, and show it: its output.

        Raises:
            StoryFailed: it failed and may not, or did not and must.
        """
        if shown:
            print(f"\n$ mlops-chain {' '.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "chain_client.cli", *words],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if shown:
            print(_without_text_to_sign(done.stdout).rstrip())
        if bool(done.returncode) != fails:
            ended = f"mlops-chain {' '.join(words)} ended with {done.returncode}"
            raise StoryFailed(f"{ended}:\n{done.stderr or done.stdout}")
        return done.stdout

    def found(self) -> None:
        """Make the home, bind people to keys, give rights."""
        self.home.mkdir(mode=0o700)
        (self.home / "config.toml").write_text(
            f'[log]\nwriter = "awskms:alias/{WRITER}"\npayloads = "s3://{PAYLOADS}/fraud-team"\n'
        )
        self.chain("init", shown=False)
        for name in PEOPLE:
            address = self.chain("key", "address", f"awskms:alias/{name}").strip()
            self.chain("user", "bind", name, address, shown=False)
        self.chain("role", "grant", "requester", "ada", shown=False)
        (self.folder / "policy.toml").write_text(POLICY)
        self.chain("policy", "apply", "policy.toml", "--yes", shown=False)


class DataScientist:
    """Dan: MLflow as everywhere else, with his artifacts in S3.

    Args:
        folder: where MLflow's database is.
    """

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._folder = folder
        self.client = MlflowClient(f"chain+sqlite:///{folder}/mlflow.db")
        self._experiment = self.client.create_experiment("fraud", f"s3://{MODELS}/fraud")

    def train(self) -> None:
        """A run with a model in it, registered as version 1."""
        run = self.client.create_run(self._experiment).info
        self.client.set_tag(run.run_id, "dataset", PRIVATE)
        self.client.log_metric(run.run_id, "auc", 0.93)
        folder = self._folder / "training"
        folder.mkdir()
        (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: none\n")
        (folder / "weights.bin").write_bytes(bytes(range(256)) * 40)
        self.client.log_artifacts(run.run_id, str(folder), "model")
        self.client.create_registered_model(MODEL)
        self.client.create_model_version(MODEL, f"{run.artifact_uri}/model", run.run_id)

    def champion(self) -> str | None:
        """The version that everybody loads as models:/fraud@champion."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_model_version_by_alias(MODEL, "champion")
        except MlflowException:
            return None
        return str(found.version)

    def help_himself(self) -> str:
        """Set the alias without asking anybody: what he is told.

        Raises:
            StoryFailed: nothing stopped him.
        """
        from mlflow.exceptions import MlflowException

        try:
            self.client.set_registered_model_alias(MODEL, "champion", "1")
        except MlflowException as exc:
            return str(exc.message)
        raise StoryFailed("the alias was set without approval")


def run(folder: Path, aws: dict[str, str]) -> None:
    """The story, in an empty folder.

    Raises:
        StoryFailed: something happened that must not.
    """
    team, cloud = Team(folder, aws), Cloud()
    tell(
        "AWS is a stand-in on this machine; no credentials of yours are used. It takes a minute, "
        "or two."
    )
    tell(
        "An administrator makes a key in KMS for Ada, Bob, Carol and the log's writer, and a "
        "bucket for payloads. The home's config.toml names writer and bucket, and no key."
    )
    cloud.build()
    team.found()
    _expect((team.home / "keys" / "log-writer.json").exists(), False, "a writer's key on disk")
    dan = DataScientist(folder)
    dan.train()
    tell("Dan has trained version 1, and wants it to be the champion at once:")
    print(textwrap.indent(textwrap.fill(dan.help_himself(), WIDTH - 2), "  "))
    _expect(dan.champion(), None, "a champion that nobody approved")
    tell("Ada proposes it; Bob and Carol approve. KMS signs for each of them.")
    said = team.chain(
        *("model", "propose", MODEL, "1", "--target", "@champion"),
        *("--key", "awskms:alias/ada", "--yes"),
    )
    found = re.search("^proposed 0x([0-9a-f]{12})", said, flags=re.MULTILINE)
    if found is None:
        raise StoryFailed("the proposal has no id")
    for name in ("bob", "carol"):
        team.chain("model", "approve", found[1], "--key", f"awskms:alias/{name}", "--yes")
    team.chain("sync")
    _expect(dan.champion(), "1", "the champion")
    tell("The relay anchors what happened, by the writer's key, and moves payloads to S3.")
    team.chain("relay", "--once")
    team.chain("status")
    objects = cloud.payloads()
    legible = [key for key, data in objects.items() if PRIVATE.encode() in data]
    _expect(legible, [], "payloads that the bucket's administrator can read")
    tell(f"What {len(objects)} events say lies in s3://{PAYLOADS}. Nobody can read it there.")
    team.chain("verify")
    tell("Somebody with rights on the bucket deletes one of them, every version:")
    cloud.remove(min(objects))
    if "log_payload_object_missing" not in team.chain("verify", fails=True):
        raise StoryFailed("verify does not name the payload that is missing")
    tell("It shows. Whoever may delete in the bucket can destroy, but not hide it.")


def _expect(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise StoryFailed(f"{what}: expected {expected!r}, found {found!r}")


def _without_text_to_sign(text: str) -> str:
    """A command's output; of what is signed only the first line, for it comes often here."""
    return re.sub(r"(?ms)^(Promote version [^\n]*)\n.*?^Salt: [^\n]*\n", r"\1\n[…]\n", text)


def _set_up(folder: Path, aws: dict[str, str]) -> None:
    """This process, and what it starts, use the folder's home and the stand-in."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MLFLOW_", "MLOPS_CHAIN_")):
            del os.environ[name]
    os.environ |= {
        **aws,
        "MLFLOW_S3_ENDPOINT_URL": aws["AWS_ENDPOINT_URL"],
        "MLOPS_CHAIN_HOME": str(folder / "home"),
        "MLOPS_CHAIN_RELAY_AUTOSTART": "false",  # the story brings things on by itself
        "PYTHONWARNINGS": "ignore",
        "DO_NOT_TRACK": "true",
    }


def main() -> int:
    """Run the story; exit code 1 if it fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="An empty folder that is kept.")
    asked: Any = parser.parse_args()
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="aws-promotion-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    try:
        with stand_in_for_aws() as aws:
            _set_up(folder, aws)
            run(folder, aws)
    except StoryFailed as exc:
        print(f"\nFAILED: {exc}", file=sys.stderr)
        return 1
    finally:
        if asked.folder is None:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
