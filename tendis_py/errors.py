"""Every error text a client can see, in Redis' own words, in one place.

Knows nothing of the rest of the package; everything may import it.
"""

from __future__ import annotations

from typing import Any

LONGEST_CODE = 30


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
        """The leading code word (``ERR``, ``WRONGTYPE``), under which INFO errorstats counts it: as
        in Redis ERR where there is none, or one of more than LONGEST_CODE characters."""
        word, space, _ = self.message.partition(" ")
        return word if space and len(word) <= LONGEST_CODE else "ERR"


class CrossProtocolError(ReplyError):
    """A command that only an HTTP client sends: somebody has a browser talk to the server. It is
    not answered at all, and the connection is closed."""

    __slots__ = ()


class ProtocolError(Exception):
    """Input that is not RESP. It is answered once and the connection is closed."""


class WriteStalledError(Exception):
    """RocksDB refuses writes for now (compaction debt): wait off the GIL and try again."""


class TooLargeError(Exception):
    """A command has found out that it takes too long for the fast lane; it has written nothing."""


class UndeclaredKeysError(TooLargeError):
    """A command is about to use keys that its batch has not locked: it is to run again, with the
    locks of all."""


class BlockedError(Exception):
    """A request waits for something to happen, with ``wait`` (services/waiters.py)."""

    def __init__(self, wait: Any) -> None:
        super().__init__()
        self.wait = wait


class HeldError(Exception):
    """A request may not run yet (CLIENT PAUSE); nothing has happened."""


class StorageError(Exception):
    """The data folder can't be opened or written; the message says why, for an operator."""


class WriteFailedError(StorageError):
    """The disk did not take what was written; ``reason``: the system's words for it."""

    def __init__(self, what: str, error: Exception | str) -> None:
        super().__init__(f"{what} failed: {error}")
        self.reason = str(error).rpartition(": ")[2]


class UnreadableError(StorageError):
    """Something on disk can't be read: a block is damaged, a file has gone. The log has it; the
    message is fit for a client, too."""


def exec_aborted(reason: ReplyError) -> ReplyError:
    """EXEC itself was refused: its transaction is over."""
    words = reason.message.removeprefix("ERR ")
    return ReplyError(f"EXECABORT Transaction discarded because of: {words}")


def printable(raw: bytes | bytearray) -> str:
    """``raw`` as text for an error message: lossless, newlines blanked as Redis does."""
    return raw.decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")


WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_INTEGER = "ERR value is not an integer or out of range"
MIN_NOT_INTEGER = "ERR the min isn't integer"
MAX_NOT_INTEGER = "ERR the max isn't integer"
MIN_ABOVE_MAX = "ERR min > max"
NOT_POSITIVE = "ERR value is out of range, must be positive"
NOT_FLOAT = "ERR value is not a valid float"
NOT_FINITE = "ERR increment would produce NaN or Infinity"
NOT_A_NUMBER = "ERR resulting score is not a number (NaN)"
BUSY_KEY = "BUSYKEY Target key name already exists."
BAD_DATA_FORMAT = "ERR Bad data format"
BAD_PAYLOAD = "ERR DUMP payload version or checksum are wrong"
NEGATIVE_TTL = "ERR Invalid TTL value, must be >= 0"
NEGATIVE_IDLETIME = "ERR Invalid IDLETIME value, must be >= 0"
BAD_FREQUENCY = "ERR Invalid FREQ value, must be >= 0 and <= 255"
NO_RDB_FORM = "ERR sorted integers have no form that Redis could read: there is no such type"
NO_SUCH_KEY = "ERR no such key"
HASH_NOT_INTEGER = "ERR hash value is not an integer"
HASH_NOT_FLOAT = "ERR hash value is not a float"
NOT_A_FINITE_NUMBER = "ERR value is NaN or Infinity"
FIELDS_MISSING = "ERR Mandatory argument FIELDS is missing or not at the right position"
FIELDS_NUMBER = "ERR Number of fields must be a positive integer"
FIELDS_NUMBER_ZERO = "ERR Parameter `numFields` should be greater than 0"
FIELDS_NUMBER_INVALID = "ERR invalid number of fields"
FIELDS_MISMATCH = "ERR The `numfields` parameter must match the number of arguments"
EXPIRE_NEGATIVE = "ERR invalid expire time, must be >= 0"
ONE_FIELD_CONDITION = "ERR Only one of FXX or FNX arguments can be specified"
ONE_FIELD_EXPIRY = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
OVERFLOW = "ERR increment or decrement would overflow"
DECREMENT_OVERFLOW = "ERR decrement would overflow"
VALUE_RANGE = "ERR value is out of range"
OFFSET_RANGE = "ERR offset is out of range"
INCREMENT_INFINITE = "ERR BYFLOAT increment cannot be Infinity"
VALUE_INFINITE = "ERR value cannot be Infinity"
BOUNDS_CROSSED = "ERR LBOUND can't be greater than UBOUND"
ENX_ALONE = "ERR ENX flag requires an expiration"
APPLIED_OVERFLOW = "ERR applied increment would overflow"
APPLIED_INFINITE = "ERR applied increment would be Infinity"
DIGEST_LENGTH = "ERR digest must be exactly 16 hexadecimal characters"
DELEX_TYPE = "ERR Key should be of string type if conditions are specified"
DELEX_CONDITION = "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"
MSETEX_NUMKEYS = "ERR invalid numkeys value"
MSETEX_PAIRS = "ERR wrong number of key-value pairs"
STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
LCS_NOT_STRINGS = "ERR The specified keys must contain string values"
LCS_AMBIGUOUS = "ERR If you want both the length and indexes, please just use IDX."
LCS_MEMORY = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
BIT_OFFSET = "ERR bit offset is not an integer or out of range"
BIT_VALUE = "ERR bit is not an integer or out of range"
BIT_NOT_BINARY = "ERR The bit argument must be 1 or 0."
BITOP_NOT = "ERR BITOP NOT must be called with a single source key."
BITFIELD_TYPE = (
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 "
    "is."
)
BITFIELD_OVERFLOW = "ERR Invalid OVERFLOW type specified"
BITFIELD_READ_ONLY = "ERR BITFIELD_RO only supports the GET subcommand"
HLL_WRONG_TYPE = "WRONGTYPE Key is not a valid HyperLogLog string value."
HLL_CORRUPT = "INVALIDOBJ Corrupted HLL object detected"
HLL_NO_SUCH_KEY = "ERR The specified key does not exist"
HLL_NOT_SPARSE = "ERR HLL encoding is not sparse"
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
SSUBSCRIBE_WAITS = "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"
NO_SUCH_CLIENT = "ERR No such client"
CLIENT_ID = "ERR Invalid client ID"
CLIENT_ID_RANGE = "ERR client-id should be greater than 0"
MAXAGE_NOT_INTEGER = "ERR maxage is not an integer or out of range"
MAXAGE_RANGE = "ERR maxage should be greater than 0"
TRACKING_ONE_REDIRECT = "ERR A client can only redirect to a single other client"
TRACKING_NO_TARGET = "ERR The client ID you want redirect to does not exist"
TRACKING_PREFIX = "ERR PREFIX option requires BCAST mode to be enabled"
TRACKING_BCAST_AND_OPT = "ERR OPTIN and OPTOUT are not compatible with BCAST"
TRACKING_BOTH_OPTS = "ERR You can't specify both OPTIN mode and OPTOUT mode"
_TRACKING_SWITCH = (
    "before disabling tracking for this client, and then re-enabling it with a different mode."
)
TRACKING_SWITCH_BCAST = f"ERR You can't switch BCAST mode on/off {_TRACKING_SWITCH}"
TRACKING_SWITCH_OPT = f"ERR You can't switch OPTIN/OPTOUT mode {_TRACKING_SWITCH}"
CACHING_NOT_TRACKING = (
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
    "OPTOUT mode enabled"
)
CACHING_YES = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
CACHING_NO = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
MONITOR_NESTED = "ERR MONITOR isn't allowed for DENY BLOCKING client"
MONITORS_NO_KEYS = "ERR Replica can't interact with the keyspace"
UNBLOCK_REASON = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
TIMEOUT_NOT_FLOAT = "ERR timeout is not a float or out of range"
MULTI_NESTED = "ERR MULTI calls can not be nested"
EXEC_WITHOUT_MULTI = "ERR EXEC without MULTI"
DISCARD_WITHOUT_MULTI = "ERR DISCARD without MULTI"
WATCH_IN_MULTI = "ERR WATCH inside MULTI is not allowed"
NOT_IN_MULTI = "ERR Command not allowed inside a transaction"
EXEC_ABORTED = "EXECABORT Transaction discarded because of previous errors."
PAUSE_MODE = "ERR CLIENT PAUSE mode must be WRITE or ALL"
NOT_A_COMMAND = "ERR Invalid command specified"
NO_KEY_ARGUMENTS = "ERR The command has no key arguments"
NUMBER_OF_ARGUMENTS = "ERR Invalid number of arguments specified for command"
INVALID_ARGUMENTS = "ERR Invalid arguments specified for command"
SLOWLOG_COUNT = "ERR count should be greater than or equal to -1"
HOTKEYS_ACTIVE = "ERR hotkey tracking session already in progress"
HOTKEYS_STOP_FIRST = "ERR hotkey tracking session in progress, stop tracking first"
HOTKEYS_METRICS = "ERR METRICS parameter is required"
HOTKEYS_METRICS_COUNT = "ERR METRICS count must be > 0 and <= 2"
HOTKEYS_METRICS_MISMATCH = "ERR METRICS count does not match number of metric types provided"
HOTKEYS_NO_METRICS = "ERR METRICS no valid metrics passed. Supported: CPU|NET"
HOTKEYS_COUNT = "ERR COUNT must be between 1 and 64"
HOTKEYS_DURATION = "ERR DURATION must be between 1 and 1000000"
HOTKEYS_SAMPLE = "ERR SAMPLE ratio must be positive"
HOTKEYS_SLOTS = "ERR SLOTS parameter cannot be used in non-cluster mode"
TIMEOUT_NOT_INTEGER = "ERR timeout is not an integer or out of range"
TIMEOUT_NEGATIVE = "ERR timeout is negative"
TIMEOUT_RANGE = "ERR timeout is out of range"
NO_SHUTDOWN = "ERR No shutdown in progress."
SAVE_IN_PROGRESS = "ERR Background save already in progress"
REWRITE_IN_PROGRESS = "ERR Background append only file rewriting already in progress"
ANOTHER_CHILD = (
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
    "order to schedule a BGSAVE whenever possible."
)
NO_CLUSTER = "ERR This instance has cluster support disabled"
NO_FAILOVER = "ERR No failover in progress."
FAILOVER_NEEDS_REPLICAS = "ERR FAILOVER requires connected replicas."
FAILOVER_TIMEOUT = "ERR FAILOVER timeout must be greater than 0"
INVALID_MASTER_PORT = "ERR Invalid master port"
NO_REPLICATION = "ERR This server can't become a replica: it has no replication"
NO_REPLICAS = "ERR This server can't have replicas: it has no replication"
NO_REPLICAS_YET = "NOMASTERLINK This server can't have replicas: it has no replication"
"""To a server that would be one. After an error of another code it tries again at once, hundreds of
times a second; after this one, once a second."""
MIGRATE_KEY_AND_KEYS = (
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)
NO_TARGET = "IOERR error or timeout connecting to the client"
MODULE_NOT_ALLOWED = (
    'ERR MODULE command not allowed. If the enable-module-command option is set to "local", you '
    "can run it from a local connection, otherwise you need to set this option in the "
    "configuration file, and then restart the server."
)
MODULE_NOT_LOADED = "ERR Error loading the extension. Please check the server logs."
NO_SUCH_MODULE = "ERR Error unloading module: no such module with that name"
DEBUG_NOT_ALLOWED = (
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can '
    "run it from a local connection, otherwise you need to set this option in the configuration "
    "file, and then restart the server."
)
RELOAD_OPTIONS = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."
NOT_RELOADED = "ERR Error trying to load the RDB dump, check server logs."
NO_SUCH_PROTOCOL_TYPE = (
    "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|"
    "null|array|set|map|attrib|push|verbatim|true|false"
)
RESP2_NOT_SUPPORTED = "ERR RESP2 is not supported by this command"
NOT_SDS = "ERR Not an sds encoded string."
NOT_LISTPACK = "ERR Not a listpack encoded object."
NOT_QUICKLIST = "ERR Not a quicklist encoded object."
NO_HASH_TABLE = "ERR The value stored at the specified key is not represented using an hash table"
NO_SUCH_DATABASE = "ERR Out of range database"
PACKED_THRESHOLD = "ERR argument must be a memory value bigger than 1 and smaller than 4gb"
NO_CLIENT_EVICTION = "ERR maxmemory-clients is disabled."
CLUSTER_MODE_ONLY = "ERR Debug option only available for cluster mode enabled setup!"
NO_SECRET = "ERR Internal secret is missing"
INVALID_CURSOR = "ERR invalid cursor"
NO_NOVALUES = "ERR NOVALUES option can only be used in HSCAN"
INVALID_FIRST_DB = "ERR invalid first DB index"
INVALID_SECOND_DB = "ERR invalid second DB index"
EXPIRE_NX_ALONE = "ERR NX and XX, GT or LT options at the same time are not compatible"
EXPIRE_GT_OR_LT = "ERR GT and LT options at the same time are not compatible"
NUMKEYS_NOT_POSITIVE = "ERR numkeys should be greater than 0"
NUMKEYS_TOO_MANY = "ERR Number of keys can't be greater than number of args"
LIMIT_NEGATIVE = "ERR LIMIT can't be negative"
COUNT_NOT_POSITIVE = "ERR count should be greater than 0"
INDEX_RANGE = "ERR index out of range"
LPOS_COUNT_NEGATIVE = "ERR COUNT can't be negative"
LPOS_MAXLEN_NEGATIVE = "ERR MAXLEN can't be negative"
LPOS_RANK_ZERO = (
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
    "negative to start from the end of the list"
)
ZADD_NX_XX = "ERR XX and NX options at the same time are not compatible"
ZADD_GT_LT_NX = "ERR GT, LT, and/or NX options at the same time are not compatible"
ZADD_INCR_PAIRS = "ERR INCR option supports a single increment-element pair"
SCORE_BOUND = "ERR min or max is not a float"
LEX_BOUND = "ERR min or max not valid string range item"
ZRANGE_LIMIT_BY_RANK = (
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
ZRANGE_WITHSCORES_BY_LEX = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
WEIGHT_NOT_FLOAT = "ERR weight value is not a float"
NO_LFU_POLICY = (
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
    "when switching between policies at runtime LRU and LFU data will take some time to adjust."
)
LFU_POLICY = (
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
    "switching between policies at runtime LRU and LFU data will take some time to adjust."
)
INVALID_STREAM_ID = "ERR Invalid stream ID specified as stream command argument"
INVALID_STREAM_INTERVAL_START = "ERR invalid start ID for the interval"
INVALID_STREAM_INTERVAL_END = "ERR invalid end ID for the interval"
STREAM_ID_ZERO = "ERR The ID specified in XADD must be greater than 0-0"
STREAM_ID_NOT_GREATER = (
    "ERR The ID specified in XADD is equal or smaller than the target stream top item"
)
STREAM_EXHAUSTED = "ERR The stream has exhausted the last possible ID, unable to add more items"
STREAM_ENTRY_TOO_LARGE = "ERR Elements are too large to be stored"
XSETID_BELOW_TOP = "ERR The ID specified in XSETID is smaller than the target stream top item"
XSETID_BELOW_DELETED = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
XSETID_BELOW_GIVEN_DELETED = (
    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
)
XSETID_ADDED_BELOW_LENGTH = (
    "ERR The entries_added specified in XSETID is smaller than the target stream length"
)
ENTRIES_ADDED_NEGATIVE = "ERR entries_added must be positive"
ENTRIES_READ_NEGATIVE = "ERR value for ENTRIESREAD must be positive or -1"
TRIM_STRATEGIES = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
TRIM_MAXLEN_NEGATIVE = "ERR The MAXLEN argument must be >= 0."
TRIM_LIMIT_NEGATIVE = "ERR The LIMIT argument must be >= 0."
TRIM_LIMIT_ALONE = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
TRIM_LIMIT_EXACT = "ERR syntax error, LIMIT cannot be used without the special ~ option"
TRIM_NO_STRATEGY = "ERR syntax error, XTRIM must be called with a trimming strategy"
NUMIDS_NOT_POSITIVE = "ERR Number of IDs must be a positive integer"
NUMIDS_MISMATCH = "ERR The `numids` parameter must match the number of arguments"
BUSY_GROUP = "BUSYGROUP Consumer Group name already exists"
XGROUP_NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
    "the MKSTREAM option to create an empty stream automatically."
)
XREAD_GROUP_OPTION = (
    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
)
XREAD_NOACK_OPTION = (
    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
)
XREAD_NEW_ID = (
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
    "option."
)
XREAD_CLAIM_OPTION = (
    "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead."
)
MIN_IDLE_NOT_INTEGER = "ERR min-idle-time is not an integer"
MIN_IDLE_NEGATIVE = "ERR min-idle-time must be a positive integer"
XNACK_MODE = "ERR mode must be SILENT, FAIL, or FATAL"
XNACK_NO_IDS = "ERR syntax error, expected IDS keyword"
XNACK_NUMIDS = "ERR numids must be a positive integer"
XNACK_MISMATCH = "ERR number of IDs doesn't match numids"
XNACK_RETRYCOUNT = "ERR Invalid RETRYCOUNT value, must be >= 0"
XREADGROUP_NO_GROUP = "ERR Missing GROUP option for XREADGROUP"
XCLAIM_MIN_IDLE = "ERR Invalid min-idle-time argument for XCLAIM"
XCLAIM_IDLE = "ERR Invalid IDLE option argument for XCLAIM"
XCLAIM_TIME = "ERR Invalid TIME option argument for XCLAIM"
XCLAIM_RETRYCOUNT = "ERR Invalid RETRYCOUNT option argument for XCLAIM"
XAUTOCLAIM_MIN_IDLE = "ERR Invalid min-idle-time argument for XAUTOCLAIM"
XAUTOCLAIM_COUNT = "ERR COUNT must be > 0"
GEO_UNIT = "ERR unsupported unit provided. please use M, KM, FT, MI"
GEO_RADIUS = "ERR need numeric radius"
GEO_RADIUS_NEGATIVE = "ERR radius cannot be negative"
GEO_WIDTH = "ERR need numeric width"
GEO_HEIGHT = "ERR need numeric height"
GEO_BOX_NEGATIVE = "ERR height or width cannot be negative"
GEO_MEMBER = "ERR could not decode requested zset member"
GEO_COUNT = "ERR COUNT must be > 0"
GEO_ANY = "ERR the ANY argument requires COUNT argument"
SORT_NOT_FLOAT = "ERR One or more scores can't be converted into double"

LIBRARY_HEADER_MISSING = "ERR Missing library metadata"
LIBRARY_HEADER_INVALID = "ERR Invalid library metadata"
LIBRARY_WITHOUT_NAME = "ERR Library name was not given"
LIBRARY_NAMED_TWICE = "ERR Invalid metadata value, name argument was given multiple times"
LIBRARY_NAME = (
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
    "one character long"
)
LIBRARY_TOO_LONG = "ERR The code of a library may be 4 MB long"
LIBRARY_NOT_FOUND = "ERR Library not found"
LIBRARY_TIMEOUT = "ERR FUNCTION LOAD timeout"
LIBRARIES_KILLED = "ERR Killed by user with FUNCTION KILL"
LIBRARY_EMPTY = "ERR No functions registered"
LIBRARY_NAME_MISSING = "ERR library name argument was not given"
FUNCTION_NOT_FOUND = "ERR Function not found"
FUNCTION_FLUSH_MODE = "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"
FUNCTION_RESTORE_POLICY = (
    "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
)
FUNCTIONS_PAYLOAD = "ERR Failed loading library payload"
FUNCTIONS_PRE_GA = "ERR Pre-GA function format not supported"
FUNCTIONS_ONLY = "ERR given type is not a function"
FCALL_BAD_NUMKEYS = "ERR Bad number of keys provided"
KEYS_NEGATIVE = "ERR Number of keys can't be negative"
NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL."
_BUSY = "BUSY Redis is busy running a script. You can only call {} KILL or SHUTDOWN NOSAVE."
BUSY_SCRIPT, BUSY_FUNCTION = _BUSY.format("SCRIPT"), _BUSY.format("FUNCTION")
NOT_BUSY = "NOTBUSY No scripts in execution right now."
UNKILLABLE = (
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can "
    "either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE "
    "command."
)
SHUTTING_DOWN = "ERR The server shuts down"
SCRIPT_KILLED = "Script killed by user with SCRIPT KILL..."
SCRIPT_FLUSH = "ERR SCRIPT FLUSH only support SYNC|ASYNC option"
SCRIPT_NO_DEBUGGER = "ERR SCRIPT DEBUG is not supported: there is no debugger"
SCRIPT_DEBUG_MODE = "ERR Use SCRIPT DEBUG YES/SYNC/NO"
SCRIPT_UNKNOWN_COMMAND = "ERR Unknown Redis command called from script"
SCRIPT_ARITY = "ERR Wrong number of args calling Redis command from script"
SCRIPT_NOT_ALLOWED = "ERR This Redis command is not allowed from script"
SCRIPT_NO_ARGUMENTS = "ERR Please specify at least one argument for this redis lib call"
SCRIPT_ARGUMENTS = "ERR Lua redis lib command arguments must be strings or integers"
SCRIPT_UNKNOWN_CHECKED = "ERR Invalid command passed to redis.acl_check_cmd()"
READ_ONLY_SCRIPT = "ERR Write commands are not allowed from read-only scripts."
SCRIPT_MAY_WRITE = "ERR Can not execute a script with write flag using *_ro command."
SHEBANG_ENGINE = "ERR Invalid engine in script shebang"
SHEBANG_INVALID = "ERR Invalid script shebang"
LIBRARY_HEADER_MISSING = "ERR Missing library metadata"
LIBRARY_HEADER_INVALID = "ERR Invalid library metadata"
LIBRARY_WITHOUT_NAME = "ERR Library name was not given"
LIBRARY_NAMED_TWICE = "ERR Invalid metadata value, name argument was given multiple times"
LIBRARY_NAME = (
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
    "one character long"
)
LIBRARY_NOT_FOUND = "ERR Library not found"
LIBRARY_EMPTY = "ERR No functions registered"
LIBRARY_NAME_MISSING = "ERR library name argument was not given"
FUNCTION_NOT_FOUND = "ERR Function not found"
FUNCTION_FLUSH_MODE = "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"
FUNCTION_RESTORE_POLICY = (
    "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
)
FUNCTIONS_PAYLOAD = "ERR Failed loading library payload"
FUNCTIONS_PRE_GA = "ERR Pre-GA function format not supported"
FUNCTIONS_ONLY = "ERR given type is not a function"
PAYLOAD_CHECKSUM = "ERR DUMP payload version or checksum are wrong"
FCALL_BAD_NUMKEYS = "ERR Bad number of keys provided"
NUMKEYS_NEGATIVE = "ERR Number of keys can't be negative"


def wrong_type() -> ReplyError:
    return ReplyError(WRONG_TYPE)


def syntax_error() -> ReplyError:
    return ReplyError(SYNTAX)


def wrong_arity(name: str) -> ReplyError:
    """``name`` is the full lower-case name, a subcommand's as ``config|get``."""
    return ReplyError(f"ERR wrong number of arguments for '{name}' command")


_OF_HTTP = frozenset((b"post", b"host:"))
"""Words that begin a line of every HTTP request that a web page can have sent."""


def unknown_command(args: list[bytes]) -> ReplyError:
    """Redis names the first arguments too, until they fill 128 bytes; each up to its first NUL.
    CrossProtocolError when the command is one of HTTP."""
    shown = b""
    for arg in args[1:]:
        if len(shown) >= 128:
            break
        shown += b"'%b' " % arg.partition(b"\0")[0][: 128 - len(shown)]
    name = printable(args[0].partition(b"\0")[0][:128])
    kind = CrossProtocolError if args[0].lower() in _OF_HTTP else ReplyError
    return kind(f"ERR unknown command '{name}', with args beginning with: {printable(shown)}")


def unknown_subcommand(container: str, subcommand: bytes) -> ReplyError:
    name = printable(subcommand)[:128]
    return ReplyError(f"ERR unknown subcommand '{name}'. Try {container.upper()} HELP.")


def invalid_expire(command: str) -> ReplyError:
    return ReplyError(f"ERR invalid expire time in '{command}' command")


def not_an_integer(what: str) -> str:
    """``what`` names an argument of INCREX."""
    return f"ERR {what} is not an integer or out of range"


def not_a_float(what: str) -> str:
    """As ``not_an_integer``."""
    return f"ERR {what} is not a valid float"


def unsupported_option(word: bytes) -> ReplyError:
    return ReplyError(f"ERR Unsupported option {printable(word)}")


def hello_option(option: bytes) -> ReplyError:
    return ReplyError(f"ERR Syntax error in HELLO option '{printable(option)}'")


def client_attribute(attribute: bytes) -> ReplyError:
    """A value of CLIENT SETINFO that won't do."""
    name = printable(attribute)
    return ReplyError(f"ERR {name} cannot contain spaces, newlines or special characters.")


def unknown_argument(argument: bytes) -> ReplyError:
    return ReplyError(f"ERR unknown argument: {printable(argument.partition(bytes(1))[0])}")


def unrecognized_option(option: bytes) -> ReplyError:
    return ReplyError(f"ERR Unrecognized option '{printable(option)}'")


def unknown_client_type(name: bytes) -> ReplyError:
    return ReplyError(f"ERR Unknown client type '{printable(name)}'")


def no_such_user(name: bytes) -> ReplyError:
    return ReplyError(f"ERR No such user '{printable(name)}'")


USER_NAME = "ERR Usernames can't contain spaces or null characters"
DEFAULT_USER_STAYS = "ERR The 'default' user cannot be removed"
ACL_NO_FILE = (
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration."
)
ACL_NOT_SAVED = (
    "ERR There was an error trying to save the ACLs. Please check the server logs for more "
    "information"
)
GENPASS_BITS = (
    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
    "number up to 4096"
)


def user_not_found(name: bytes) -> ReplyError:
    return ReplyError(f"ERR User '{printable(name)}' not found")


def command_not_found(name: bytes) -> ReplyError:
    return ReplyError(f"ERR Command '{printable(name)}' not found")


def unknown_category(name: bytes) -> ReplyError:
    return ReplyError(f"ERR Unknown category '{printable(name)[:128]}'")


def wrong_arity_plain(command: str) -> ReplyError:
    """As ``wrong_arity``, of a request within another."""
    return ReplyError(f"ERR wrong number of arguments for '{command}' command")


NO_PERMISSION = {
    "key": "NOPERM No permissions to access a key",
    "channel": "NOPERM No permissions to access a channel",
}
"""By what may not be used."""


def no_permission(user: bytes, command: str) -> ReplyError:
    return ReplyError(
        f"NOPERM User {printable(user)} has no permissions to run the '{command}' command"
    )


def acl_failure_in_script(error: ReplyError) -> ReplyError:
    return ReplyError(f"ERR ACL failure in script: {str(error).removeprefix('NOPERM ')}")


def no_longer_permitted(reason: str) -> ReplyError:
    """Of a request within EXEC that was permitted when it was queued."""
    what = {
        "command": "no permission to execute the command or subcommand",
        "key": "no permission to touch the specified keys",
        "channel": "no permission to access one of the channels used as arguments",
    }[reason]
    return ReplyError(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
        f"call. This command is no longer allowed for the following reason: {what}"
    )


def sort_denied(option: str) -> ReplyError:
    return ReplyError(f"ERR {option} option of SORT denied due to insufficient ACL permissions.")


def at_least_one_key(command: str) -> ReplyError:
    return ReplyError(f"ERR at least 1 input key is needed for '{command}' command")


def no_samples(event: bytes) -> ReplyError:
    return ReplyError(f"ERR No samples available for event '{c_text(event)}'")


def unknown_stage(name: bytes) -> ReplyError:
    return ReplyError(f"ERR unknown stage '{printable(name)[:128]}'")


def outside_range(low: int, high: int) -> ReplyError:
    return ReplyError(f"ERR value is out of range, value must between {low} and {high}")


def not_while_subscribed(command: str) -> ReplyError:
    return ReplyError(
        f"ERR Can't execute '{command}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
        "RESET are allowed in this context"
    )


def hotkeys_metric_again(name: str) -> ReplyError:
    return ReplyError(f"ERR METRICS {name} defined more than once!")


def refused_debugging(form: str) -> ReplyError:
    """Of what would end or damage the process, or is about Redis' own memory."""
    return ReplyError(f"ERR DEBUG {form} is not supported by tendis-py")


def wrong_subcommand(container: str, subcommand: bytes) -> ReplyError:
    """What Redis says where a subcommand is there but has been given other arguments."""
    name = printable(subcommand)[:128]
    return ReplyError(
        f"ERR unknown subcommand or wrong number of arguments for '{name}'. "
        f"Try {container.upper()} HELP."
    )


CANT_LISTEN = "Unable to listen on this port. Check server logs."
CANT_BIND = "Failed to bind to specified addresses."


def no_executors(model: str) -> str:
    """Why ``work-queue-handoff always`` can't be."""
    return f"the threading model '{model}' has no executors to hand requests to"


def too_many_clients(possible: int) -> str:
    """Why CONFIG SET refuses a number of ``maxclients``."""
    return (
        "The operating system is not able to handle the specified number of clients, "
        f"try with {possible}"
    )


def unbalanced_streams(command: str, needed: str) -> ReplyError:
    """``needed`` names the IDs that XREAD or XREADGROUP takes."""
    return ReplyError(
        f"ERR Unbalanced '{command}' list of streams: "
        f"for each stream key an {needed} must be specified."
    )


def meaningless_id(id_: str) -> ReplyError:
    """``$`` and ``+`` in XREADGROUP."""
    return ReplyError(
        f"ERR The {id_} ID is meaningless in the context of XREADGROUP: you want to read the "
        "history of this consumer by specifying a proper ID, or use the > ID to get new messages. "
        f"The {id_} ID would just return an empty result set."
    )


def no_group(key: bytes, group: bytes, context: str = "") -> ReplyError:
    return ReplyError(
        f"NOGROUP No such key '{c_text(key)}' or consumer group '{c_text(group)}'{context}"
    )


def no_group_of_key(key: bytes, group: bytes) -> ReplyError:
    return ReplyError(
        f"NOGROUP No such consumer group '{c_text(group)}' for key name '{c_text(key)}'"
    )


def xclaim_option(option: bytes) -> ReplyError:
    return ReplyError(f"ERR Unrecognized XCLAIM option '{c_text(option)}'")


def xnack_option(option: bytes) -> ReplyError:
    return ReplyError(f"ERR Unrecognized XNACK option '{c_text(option)}'")


def c_text(raw: bytes) -> str:
    """As ``printable``, up to the first NUL: where Redis prints an argument with %s."""
    return printable(raw.partition(b"\0")[0])


def not_on_map(longitude: float, latitude: float) -> ReplyError:
    return ReplyError(f"ERR invalid longitude,latitude pair {longitude:f},{latitude:f}")


def geo_store_shows(store: str) -> ReplyError:
    """A search whose results are stored has nothing to show."""
    return ReplyError(
        f"ERR {store} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
    )


def geo_exactly_one(options: str, command: bytes) -> ReplyError:
    """``command`` as the client spelled it."""
    return ReplyError(f"ERR exactly one of {options} can be specified for {c_text(command)}")


def bitop_sources(operation: bytes) -> ReplyError:
    return ReplyError(
        f"ERR BITOP {printable(operation)} must be called with at least two source keys."
    )


def write_failure(reason: str) -> str:
    return f"MISCONF Errors writing to the AOF file: {reason}"


def unknown_pfdebug(subcommand: bytes) -> ReplyError:
    return ReplyError(f"ERR Unknown PFDEBUG subcommand '{printable(subcommand)}'")


def hll_test_failed(why: str) -> ReplyError:
    return ReplyError(f"TESTFAILED {why}")


def overlapping_prefixes(prefix: bytes, which: str, other: bytes) -> ReplyError:
    return ReplyError(
        f"ERR Prefix '{c_text(prefix)}' overlaps with {which} prefix '{c_text(other)}'. "
        "Prefixes for a single client must not overlap."
    )


def shebang_engine(engine: bytes) -> ReplyError:
    return ReplyError(f"ERR Unexpected engine in script shebang: {c_text(engine)}")


def shebang_option(option: bytes) -> ReplyError:
    return ReplyError(f"ERR Unknown lua shebang option: {c_text(option)}")


def script_flag(flag: bytes) -> ReplyError:
    return ReplyError(f"ERR Unexpected flag in script shebang: {c_text(flag)}")


def library_exists(name: bytes) -> str:
    return f"ERR Library '{printable(name)}' already exists"


def joined_library_exists(name: bytes) -> str:
    """The same, where it comes from a payload."""
    return f"ERR Library {printable(name)} already exists"


def function_exists(name: bytes) -> str:
    return f"ERR Function {printable(name)} already exists"


def library_metadata(word: bytes) -> str:
    return f"ERR Invalid metadata value given: {c_text(word)}"


def unknown_engine(name: bytes) -> str:
    return f"ERR Engine '{printable(name)}' not found"


def function_option(word: bytes) -> ReplyError:
    """Of FUNCTION LOAD."""
    return ReplyError(f"ERR Unknown option given: {c_text(word)}")


def function_argument(word: bytes) -> ReplyError:
    """Of FUNCTION LIST."""
    return ReplyError(f"ERR Unknown argument {c_text(word)}")


def target_failed(step: str) -> ReplyError:
    """The server that keys are to move to does not do its part; ``step``: reading or writing."""
    return ReplyError(f"IOERR error or timeout {step} to target instance")


def target_refused(line: bytes) -> ReplyError:
    """``line``: its error, without the ``-``."""
    return ReplyError(f"ERR Target instance replied with error: {printable(line)}")
