"""ACL: the users there are, what they may do, and who was denied what."""

from __future__ import annotations

import logging
import secrets
from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.permission import refusal_by_name
from tendis_py.commands.registry import CATEGORIES, REGISTRY, Command, Lane, command, container
from tendis_py.errors import (
    ACL_NO_FILE,
    ACL_NOT_SAVED,
    DEFAULT_USER_STAYS,
    GENPASS_BITS,
    USER_NAME,
    ReplyError,
    command_not_found,
    unknown_category,
    user_not_found,
    wrong_arity_plain,
    wrong_subcommand,
)
from tendis_py.resp.replies import OK, OrderedSet, Reply
from tendis_py.services.acl import ChangeError
from tendis_py.services.acl.log import LogEntry
from tendis_py.services.acl.rules import Selector, has_blanks
from tendis_py.session import User

log = logging.getLogger(__name__)

_EVERYWHERE = ("request_policy:all_nodes", "response_policy:all_succeeded")
_FOR_ANYBODY = "noscript loading stale"
_DEFAULT_BITS, _MOST_BITS = 256, 4096
_DEFAULT_COUNT = 10

container(
    "acl",
    group="server",
    since="6.0.0",
    summary="A container for Access List Control commands.",
)

_acl = partial(command, group="server", since="6.0.0", flags="admin noscript loading stale")

# Users


@_acl(
    "acl|setuser",
    -3,
    complexity="O(N). Where N is the number of rules provided.",
    lane=Lane.FAST,  # so that very many rules are for the slow one
    alters_session=True,
    tips=_EVERYWHERE,
    syntax="username [rule [rule ...]]",
)
def acl_setuser(ctx: Context, args: list[bytes]) -> Reply:
    """Creates and modifies an ACL user and its rules."""
    if has_blanks(args[2]):
        raise ReplyError(USER_NAME)
    try:
        ctx.services.acl.set_user(args[2], args[3:], REGISTRY, ctx.session)
    except ChangeError as error:
        raise ReplyError(f"ERR {error}") from None
    return OK


@_acl(
    "acl|deluser",
    -3,
    complexity="O(1) amortized time considering the typical user.",
    lane=Lane.FAST,
    alters_session=True,
    tips=_EVERYWHERE,
    syntax="username [username ...]",
)
def acl_deluser(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes ACL users, and terminates their connections."""
    acl = ctx.services.acl
    if acl.default.name in args[2:]:
        raise ReplyError(DEFAULT_USER_STAYS)
    return acl.remove_users(args[2:], ctx.session)


@_acl(
    "acl|getuser",
    3,
    complexity="O(N). Where N is the number of password, command and pattern rules that the user "
    "has.",
    syntax="username",
)
def acl_getuser(ctx: Context, args: list[bytes]) -> Reply:
    """Lists the ACL rules of a user."""
    user = ctx.services.acl.find(args[2])
    if user is None:
        return None
    definition = user.definition
    return {
        b"flags": OrderedSet(definition.flags()),
        b"passwords": list(definition.passwords),
        **_described(definition.root),
        b"selectors": [_described(selector) for selector in definition.selectors[1:]],
    }


def _described(selector: Selector) -> dict[Reply, Reply]:
    return {
        b"commands": selector.command_rules(),
        b"keys": b" ".join(selector.key_rules()),
        b"channels": b" ".join(selector.channel_rules()),
    }


@_acl("acl|list", 2, complexity="O(N). Where N is the number of configured users.")
def acl_list(ctx: Context, args: list[bytes]) -> Reply:
    """Dumps the effective rules in ACL file format."""
    users = ctx.services.acl.all()
    return [b"user %b %b" % (user.name, user.definition.describe()) for user in users]


@_acl("acl|users", 2, complexity="O(N). Where N is the number of configured users.")
def acl_users(ctx: Context, args: list[bytes]) -> Reply:
    """Lists all ACL users."""
    return [user.name for user in ctx.services.acl.all()]


@_acl("acl|whoami", 2, flags=_FOR_ANYBODY)
def acl_whoami(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the authenticated username of the current connection."""
    return ctx.session.user.name


# What they may do


@_acl(
    "acl|cat",
    -2,
    flags=_FOR_ANYBODY,
    complexity="O(1) since the categories and commands are a fixed set.",
    syntax="[category]",
)
def acl_cat(ctx: Context, args: list[bytes]) -> Reply:
    """Lists the ACL categories, or the commands inside a category."""
    _at_most(3, args)
    if len(args) == 2:
        return [category.encode() for category in CATEGORIES]
    category = args[2].decode("utf-8", "replace").lower()
    if category not in CATEGORIES:
        raise unknown_category(args[2])
    return [one.name.encode() for one in REGISTRY.all() if category in one.categories]


@_acl(
    "acl|dryrun",
    -4,
    since="7.0.0",
    complexity="O(1).",
    syntax="username command [arg [arg ...]]",
)
def acl_dryrun(ctx: Context, args: list[bytes]) -> Reply:
    """Simulates the execution of a command by a user, without executing the command."""
    user, request = ctx.services.acl.find(args[2]), args[3:]
    if user is None:
        raise user_not_found(args[2])
    wanted = REGISTRY.find(request)
    if wanted is None:
        raise command_not_found(request[0])
    if len(request) not in wanted.fits:
        raise wrong_arity_plain(wanted.name)
    return _tried(user, wanted, request)


def _tried(user: User, wanted: Command, request: list[bytes]) -> Reply:
    denial = None if user.permits is None else user.permits.denial(wanted, request)
    if denial is None:
        return OK
    return refusal_by_name(user.name, wanted, request, denial)


@_acl("acl|genpass", -2, flags=_FOR_ANYBODY, syntax="[bits]")
def acl_genpass(ctx: Context, args: list[bytes]) -> Reply:
    """Generates a pseudorandom, secure password that can be used to identify ACL users."""
    _at_most(3, args)
    bits = integer(args[2]) if len(args) == 3 else _DEFAULT_BITS
    if not 0 < bits <= _MOST_BITS:
        raise ReplyError(GENPASS_BITS)
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


# Files


@_acl(
    "acl|load",
    2,
    complexity="O(N). Where N is the number of configured users.",
    alters_session=True,
)
def acl_load(ctx: Context, args: list[bytes]) -> Reply:
    """Reloads the rules from the configured ACL file."""
    acl = ctx.services.acl
    if not acl.has_file:
        raise ReplyError(ACL_NO_FILE)
    try:
        acl.load(REGISTRY, ctx.session)
    except ChangeError as error:
        raise ReplyError(f"ERR {error}") from None
    return OK


@_acl(
    "acl|save",
    2,
    complexity="O(N). Where N is the number of configured users.",
    tips=_EVERYWHERE,
)
def acl_save(ctx: Context, args: list[bytes]) -> Reply:
    """Saves the effective ACL rules in the configured ACL file."""
    acl = ctx.services.acl
    if not acl.has_file:
        raise ReplyError(ACL_NO_FILE)
    try:
        acl.save()
    except OSError as error:
        log.warning("ACL SAVE: %s", error)
        raise ReplyError(ACL_NOT_SAVED) from None
    return OK


# Denials


@_acl(
    "acl|log",
    -2,
    complexity="O(N) with N being the number of entries shown.",
    syntax="[count | RESET]",
)
def acl_log(ctx: Context, args: list[bytes]) -> Reply:
    """Lists recent security events generated due to ACL rules."""
    _at_most(3, args)
    entries = ctx.services.acl.log
    if len(args) == 3 and args[2].lower() == b"reset":
        entries.clear()
        return OK
    count = integer(args[2]) if len(args) == 3 else _DEFAULT_COUNT
    now = ctx.services.clock.time_ns() // 1_000_000
    return [_shown(entry, now) for entry in entries.latest(max(count, 0))]


def _shown(entry: LogEntry, now: int) -> Reply:
    return {
        b"count": entry.count,
        b"reason": entry.reason.value.encode(),
        b"context": entry.context.encode(),
        b"object": entry.object,
        b"username": entry.username,
        b"age-seconds": (now - entry.updated) / 1000,
        b"client-info": entry.client,
        b"entry-id": entry.id,
        b"timestamp-created": entry.created,
        b"timestamp-last-updated": entry.updated,
    }


def _at_most(count: int, args: list[bytes]) -> None:
    if len(args) > count:
        raise wrong_subcommand("acl", args[1])


@command("acl|help", 2, group="server", since="6.0.0", flags="loading stale")
def acl_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "ACL",
        (
            "CAT [<category>]",
            "List all commands that belong to <category>, or all command categories\n"
            "when no category is specified.",
        ),
        ("DELUSER <username> [<username> ...]", "Delete a list of users."),
        (
            "DRYRUN <username> <command> [<arg> ...]",
            "Returns whether the user can execute the given command without executing the command.",
        ),
        ("GETUSER <username>", "Get the user's details."),
        (
            "GENPASS [<bits>]",
            "Generate a secure 256-bit user password. The optional `bits` argument can\n"
            "be used to specify a different size.",
        ),
        ("LIST", "Show users details in config file format."),
        ("LOAD", "Reload users from the ACL file."),
        ("LOG [<count> | RESET]", "Show the ACL log entries."),
        ("SAVE", "Save the current config to the ACL file."),
        (
            "SETUSER <username> <attribute> [<attribute> ...]",
            "Create or modify a user with the specified attributes.",
        ),
        ("USERS", "List all the registered usernames."),
        ("WHOAMI", "Return the current connection username."),
    )
