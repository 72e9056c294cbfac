"""workspace.json: which configuration, backbone and classes a workspace was made with, but nothing of any one sample."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from core.backbone.model import BackboneSpec
from core.config import EraserConfig
from core.errors import StoreError

SCHEMA = 2  # of the folder: 1 had no numbers, no digests of parts and no Merkle roots
ABOUT = "workspace.json"
Length = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class About:
    """What workspace.json holds."""

    config: EraserConfig
    backbone: BackboneSpec
    device: str
    classes: tuple[str, ...]
    shape: tuple[Length, Length]  # height and width of the images
    name: str = ""  # of the data set
    id: Annotated[str, Field(pattern="^([0-9a-f]{32})?$")] = ""  # 32 random hexadecimal digits, permanent; none in schema 1
    schema: Annotated[int, Field(ge=1)] = SCHEMA

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    def current(self) -> About:
        """Return this in the present schema, with an id of its own."""
        return replace(self, id=self.id or uuid.uuid4().hex, schema=SCHEMA)

    @property
    def digest(self) -> str:
        """SHA-256 of the file that holds it."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> About:
        """Read the file; raises StoreError when it is missing, damaged or of a later version."""
        try:
            content = path.read_text(encoding="utf-8")
            about, written = _FILE.validate_json(content, strict=True), json.loads(content)
            if about.schema > 1 and not about.id:
                raise ValueError("it has no id")
            about = replace(about, config=EraserConfig.from_json(written["config"]), backbone=BackboneSpec.from_json(written["backbone"]))
        except FileNotFoundError as error:
            raise StoreError(
                f"{path.parent} is not a workspace: {path.name} is missing. Make one with Workspace.create or `fit`."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} is damaged ({_reason(error)}). Restore it from a copy, or make a new workspace.") from error
        if about.schema > SCHEMA:
            raise StoreError(
                f"{path.parent} has schema {about.schema}, and this version reads 1 to {SCHEMA}. Open it with the version that wrote it."
            )
        return about


_FILE = TypeAdapter(About)


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}"
