"""Configuration in redis-server's conventions, all from one table of directives.

`kinds` and `buffer_limits` are the types of values, `settings` the table, `syntax` redis.conf's,
`live` the configuration of a running server, `rewrite` CONFIG REWRITE, `command_line` and
`reference` what an operator types and reads. Nothing here knows the rest of the server.
"""

from tendis_py.config.buffer_limits import BufferLimit, BufferLimits
from tendis_py.config.command_line import Invocation, load_config, parse_command_line
from tendis_py.config.kinds import parse_memory
from tendis_py.config.live import Config, ConfigRewriteError, ConfigSetError
from tendis_py.config.reference import help_text, reference_markdown, version_text
from tendis_py.config.settings import default_memtable_size
from tendis_py.config.syntax import ConfigError

__all__ = [
    "BufferLimit",
    "BufferLimits",
    "Config",
    "ConfigError",
    "ConfigRewriteError",
    "ConfigSetError",
    "Invocation",
    "default_memtable_size",
    "help_text",
    "load_config",
    "parse_command_line",
    "parse_memory",
    "reference_markdown",
    "version_text",
]
