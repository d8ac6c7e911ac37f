"""The collector's configuration, typed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(Section):
    """`[server]`: where the collector listens and what it takes."""

    host: str = "127.0.0.1"
    port: int = Field(default=4318, ge=0, le=65535)
    max_body_bytes: int = Field(default=16 * 1024 * 1024, gt=0)
    queue_spans: int = Field(default=50_000, gt=0)


class Store(Section):
    """`[store]`: the database."""

    url: str = "sqlite:///outlay.db"


class Settings(Section):
    server: Server = Server()
    store: Store = Store()
