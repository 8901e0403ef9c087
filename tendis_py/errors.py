"""Every error text a client can see, in Redis' own words, in one place.

Knows nothing of the rest of the package; everything may import it.
"""

from __future__ import annotations


class ReplyError(Exception):
    """An error reply: the message goes to the client after a ``-``, code word first.

    Raised by command handlers and types; caught by the dispatcher only.
    """

    __slots__ = ()

    @property
    def message(self) -> str:
        return str(self.args[0])

    @property
    def code(self) -> str:
        """The leading code word (``ERR``, ``WRONGTYPE``), under which INFO errorstats counts it."""
        return self.message.split(" ", 1)[0]


class ProtocolError(Exception):
    """Input that is not RESP. It is answered once and the connection is closed."""


class WriteStalledError(Exception):
    """RocksDB refuses writes for now (compaction debt): wait off the GIL and try again."""


class TooLargeError(Exception):
    """A command has found out that it takes too long for the fast lane; it has written nothing."""


class StorageError(Exception):
    """The data folder can't be opened or written; the message says why, for an operator."""


def printable(raw: bytes | bytearray) -> str:
    """``raw`` as text for an error message: lossless, newlines blanked as Redis does."""
    return raw.decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")


WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_INTEGER = "ERR value is not an integer or out of range"
NOT_POSITIVE = "ERR value is out of range, must be positive"
NOT_FLOAT = "ERR value is not a valid float"
NOT_FINITE = "ERR increment would produce NaN or Infinity"
NO_SUCH_KEY = "ERR no such key"
OVERFLOW = "ERR increment or decrement would overflow"
DECREMENT_OVERFLOW = "ERR decrement would overflow"
OFFSET_RANGE = "ERR offset is out of range"
STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
LCS_NOT_STRINGS = "ERR The specified keys must contain string values"
LCS_AMBIGUOUS = "ERR If you want both the length and indexes, please just use IDX."
LCS_MEMORY = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
DB_INDEX = "ERR DB index is out of range"
INVALID_DB = "ERR invalid DB index"
SAME_OBJECT = "ERR source and destination objects are the same"
NO_AUTH = "NOAUTH Authentication required."
WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled."
INTERNAL = "ERR internal error"
NO_AUTH_HELLO = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
    "protocol version at the same time"
)
NO_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user. Are you "
    "sure your configuration is correct?"
)
NO_PROTOCOL = "NOPROTO unsupported protocol version"
PROTOCOL_NOT_INTEGER = "ERR Protocol version is not an integer or out of range"
CLIENT_NAME = "ERR Client names cannot contain spaces, newlines or special characters."
NO_SUCH_CLIENT = "ERR No such client"
CLIENT_ID = "ERR Invalid client ID"
CLIENT_ID_RANGE = "ERR client-id should be greater than 0"
MAXAGE_NOT_INTEGER = "ERR maxage is not an integer or out of range"
MAXAGE_RANGE = "ERR maxage should be greater than 0"
PAUSE_MODE = "ERR CLIENT PAUSE mode must be WRITE or ALL"
NOT_A_COMMAND = "ERR Invalid command specified"
NO_KEY_ARGUMENTS = "ERR The command has no key arguments"
NUMBER_OF_ARGUMENTS = "ERR Invalid number of arguments specified for command"
INVALID_ARGUMENTS = "ERR Invalid arguments specified for command"
SLOWLOG_COUNT = "ERR count should be greater than or equal to -1"
TIMEOUT_NOT_INTEGER = "ERR timeout is not an integer or out of range"
TIMEOUT_NEGATIVE = "ERR timeout is negative"
TIMEOUT_RANGE = "ERR timeout is out of range"
NO_SHUTDOWN = "ERR No shutdown in progress."
SAVE_IN_PROGRESS = "ERR Background save already in progress"
DEBUG_NOT_ALLOWED = (
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can '
    "run it from a local connection, otherwise you need to set this option in the configuration "
    "file, and then restart the server."
)
INVALID_CURSOR = "ERR invalid cursor"
NO_NOVALUES = "ERR NOVALUES option can only be used in HSCAN"
INVALID_FIRST_DB = "ERR invalid first DB index"
INVALID_SECOND_DB = "ERR invalid second DB index"
EXPIRE_NX_ALONE = "ERR NX and XX, GT or LT options at the same time are not compatible"
EXPIRE_GT_OR_LT = "ERR GT and LT options at the same time are not compatible"
NO_LFU_POLICY = (
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
    "when switching between policies at runtime LRU and LFU data will take some time to adjust."
)


def wrong_type() -> ReplyError:
    return ReplyError(WRONG_TYPE)


def syntax_error() -> ReplyError:
    return ReplyError(SYNTAX)


def wrong_arity(name: str) -> ReplyError:
    """``name`` is the full lower-case name, a subcommand's as ``config|get``."""
    return ReplyError(f"ERR wrong number of arguments for '{name}' command")


def unknown_command(args: list[bytes]) -> ReplyError:
    """Redis names the first arguments too, until they fill 128 bytes; each up to its first NUL."""
    shown = b""
    for arg in args[1:]:
        if len(shown) >= 128:
            break
        shown += b"'%b' " % arg.partition(b"\0")[0][: 128 - len(shown)]
    name = printable(args[0].partition(b"\0")[0][:128])
    return ReplyError(f"ERR unknown command '{name}', with args beginning with: {printable(shown)}")


def unknown_subcommand(container: str, subcommand: bytes) -> ReplyError:
    name = printable(subcommand)[:128]
    return ReplyError(f"ERR unknown subcommand '{name}'. Try {container.upper()} HELP.")


def invalid_expire(command: str) -> ReplyError:
    return ReplyError(f"ERR invalid expire time in '{command}' command")


def unsupported_option(word: bytes) -> ReplyError:
    return ReplyError(f"ERR Unsupported option {printable(word)}")


def hello_option(option: bytes) -> ReplyError:
    return ReplyError(f"ERR Syntax error in HELLO option '{printable(option)}'")


def client_attribute(attribute: bytes) -> ReplyError:
    """A value of CLIENT SETINFO that won't do."""
    name = printable(attribute)
    return ReplyError(f"ERR {name} cannot contain spaces, newlines or special characters.")


def unrecognized_option(option: bytes) -> ReplyError:
    return ReplyError(f"ERR Unrecognized option '{printable(option)}'")


def unknown_client_type(name: bytes) -> ReplyError:
    return ReplyError(f"ERR Unknown client type '{printable(name)}'")


def no_such_user(name: bytes) -> ReplyError:
    return ReplyError(f"ERR No such user '{printable(name)}'")


def outside_range(low: int, high: int) -> ReplyError:
    return ReplyError(f"ERR value is out of range, value must between {low} and {high}")


def wrong_subcommand(container: str, subcommand: bytes) -> ReplyError:
    """What Redis says where a subcommand is there but has been given other arguments."""
    name = printable(subcommand)[:128]
    return ReplyError(
        f"ERR unknown subcommand or wrong number of arguments for '{name}'. "
        f"Try {container.upper()} HELP."
    )


def too_many_clients(possible: int) -> str:
    """Why CONFIG SET refuses a number of ``maxclients``."""
    return (
        "The operating system is not able to handle the specified number of clients, "
        f"try with {possible}"
    )
