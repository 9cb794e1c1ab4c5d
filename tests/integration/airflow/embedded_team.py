"""A company like that of `team`, whose chain is a file in its home: founded in a second."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.integration.airflow.team import Team


@dataclass
class EmbeddedTeam(Team):
    """The same people, on an embedded chain."""

    def found_from(self, founded_home: Path) -> None:
        """Make home, keys, rights and the policy, from a copy of a home."""
        shutil.copytree(founded_home, self.home)
        (self.home / "config.toml").write_text('[spool]\ndurability = "process"\n')
        self.run("init")
        self.appoint()

    @property
    def connection(self) -> str:
        """The Airflow connection with which Ada asks, as an environment variable holds it."""
        return json.dumps(
            {
                "conn_type": "mlops_chain",
                "password": (self.folder / "ada.password").read_text(),
                "extra": {
                    "home": str(self.home),
                    "requester_key": f"keystore:{self.key('ada')}",
                },
            }
        )
