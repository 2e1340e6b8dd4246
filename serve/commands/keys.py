"""`librarian keys …`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from librarian import DataDir, Groups, Json, QdrantUrl, Set, Tenant

if TYPE_CHECKING:
    from serve.keeping import Keeping

HELP = """Make, list and revoke API keys.

A key opens one tenant's documents, as a reader of its groups. It is shown once and kept only as a hash.

  librarian keys create alice --groups sre,dev --permissions read,write --expires 90d

  librarian keys revoke 1a2b3c4d5e6f7081
"""


def app() -> typer.Typer:
    """The sub-command with its own sub-commands."""
    made = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    made.command("list")(list_)
    made.command()(create)
    made.command()(revoke)
    return made


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom or what the key is for.")],
    permissions: Annotated[str, typer.Option("--permissions", "-p", help="Of read, write, admin.")] = "read",
    expires: Annotated[str | None, typer.Option("--expires", metavar="TIME", help="As 90d, 12h or 30m.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(help="Requests a minute; 0: no limit.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="Tokens a minute; 0: no limit.")] = None,
    concurrent_requests: Annotated[int | None, typer.Option(help="Requests at once; 0: no limit.")] = None,
    tenant: Tenant = None,
    groups: Groups = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Make a key and print it, once. A limit that is not given is that of the service's settings.

    librarian keys create alice --groups sre --permissions read,write --requests-per-minute 60
    """
    from rag.caller_limits import CallerLimits
    from rag.keys import lifetime_of
    from rag.settings import load

    flags = {"tenant": tenant, "groups": groups, "data_dir": data_dir, "qdrant_url": qdrant_url}
    settings = load(flags, pairs=set_).settings
    lifetime = None if expires is None else lifetime_of(expires)
    wanted = list(dict.fromkeys(each.strip() for each in permissions.split(",") if each.strip()))
    with _keeping(settings) as keys:
        limits = CallerLimits(requests_per_minute, tokens_per_minute, concurrent_requests)
        made = keys.create(name, settings.tenant, settings.groups, wanted, lifetime, limits)
    if json_:
        _print_json(made)
        return
    _say(made["key"])
    typer.echo(f"Key {made['id']} of {_whose(made)}. It is not shown again.", err=True)


def list_(data_dir: DataDir = None, qdrant_url: QdrantUrl = None, set_: Set = None, json_: Json = False) -> None:
    """List the keys: id, name, tenant, groups, permissions, expiry. Their secrets are not kept."""
    import time

    from rag.settings import load

    with _keeping(load({"data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=set_).settings) as keys:
        found = keys.list()
    if json_:
        _print_json(found)
        return
    if not found:
        _say("There are no keys yet: librarian keys create NAME makes one.")
    for each in found:
        until = each["expires"]
        when = "never expires" if until is None else time.strftime("until %Y-%m-%d %H:%M UTC", time.gmtime(until))
        when = "expired" if until is not None and until <= time.time() else when
        _say(f"{each['id']}  {each['name']}  {_whose(each)}  {when}")


def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")],
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Revoke a key. Services that run stop taking it within 5 seconds.

    librarian keys revoke 1a2b3c4d5e6f7081
    """
    from rag.settings import load

    with _keeping(load({"data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=set_).settings) as keys:
        gone = keys.revoke(key)
    if json_:
        _print_json(gone)
    else:
        _say(f"Revoked {gone['id']} ({gone['name']}).")


@contextmanager
def _keeping(settings: Any) -> Iterator[Keeping]:
    from serve.keeping import keeping

    with keeping(settings) as keys:
        yield keys


def _whose(key: dict[str, Any]) -> str:
    limits = "".join(f" {name}={value}" for name, value in key["limits"].items() if value is not None)
    return f"tenant={key['tenant']} groups={','.join(key['groups']) or '-'} may {','.join(key['permissions'])}{limits}"


def _say(line: str) -> None:
    from librarian import one_line

    print(one_line(line))


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))
