"""What INFO counts: each executing thread counts for itself, this adds up."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from tendis_py.services.histogram import Buckets, merge, new_buckets

if TYPE_CHECKING:
    from tendis_py.commands.registry import Command
    from tendis_py.dispatch import Dispatcher
    from tendis_py.services.stages import StageTimes


class Stats:
    def __init__(self) -> None:
        self.started = time.time()
        self.dispatchers: list[Dispatcher] = []
        self.stage_times: list[StageTimes] = []
        self.net_input = 0
        self.net_output = 0
        self.protocol_errors = 0
        self.output_limit_closed = 0

    def command_buckets(self) -> dict[Command, Buckets]:
        """Command → its histogram over all threads."""
        parts: dict[Command, list[Buckets]] = {}
        for dispatcher in self.dispatchers:
            for command, buckets in dispatcher.buckets.copy().items():
                parts.setdefault(command, []).append(buckets)
        return {command: merge(found) for command, found in parts.items()}

    def failures(self) -> Counter[Command]:
        """Command → how often it ran and answered with an error."""
        return sum((Counter(one.failures) for one in self.dispatchers), Counter())

    def rejections(self) -> Counter[Command]:
        """Command → how often it was refused before it ran."""
        return sum((Counter(one.rejections) for one in self.dispatchers), Counter())

    def errors(self) -> Counter[str]:
        """Error code word → how often it was answered."""
        return sum((Counter(one.errors) for one in self.dispatchers), Counter())

    def stage_buckets(self, stage: str) -> Buckets:
        """The histogram of one stage over all threads."""
        return merge([times.buckets[stage] for times in self.stage_times]) or new_buckets()
