"""JavaScript transforms in QuickJS: no host access, a time limit and a memory limit, a batch a call.

A script that fails for one record costs that record alone. Where a whole batch is stopped, by a loop without end or by
the memory limit, its records are run again one by one, each in a sandbox of its own, so that only the guilty are found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import quickjs

from kwiksync_ops.mapping.faults import Column, unmappable
from kwiksync_ops.mapping.sandbox import Sandbox, ScriptStoppedError

TIME_LIMIT_MS = 250
MEMORY_LIMIT_MB = 32
RECORD_SHARE = 10
"""A single record may take this part of a batch's time."""
MAX_STOPPED = 100
"""So many records of a batch may be stopped; the others of the batch are then rejected without a trial."""

_MAX_EXACT = 2**53 - 1
_LONG_NUMBER = re.compile(r"[0-9]{16}")
_MAX_MESSAGE = 300
_UNPORTABLE = (ValueError, TypeError, RecursionError)
_NOT_RUN = unmappable(f"was not tried: the script was stopped for {MAX_STOPPED} records of the batch before this one.")

_Pair = tuple[Any, Any]

_DRIVER = """
(function (source) {
  "use strict";
  const transform = new Function("value", "record", "return (\\n" + source + "\\n);");
  const parse = JSON.parse, stringify = JSON.stringify, text = String, isFinite = Number.isFinite;
  function plain(value) {
    switch (typeof value) {
      case "undefined": return null;
      case "bigint": return text(value);
      case "number":
        if (!isFinite(value)) throw new RangeError("the script returned " + value);
        return value;
      case "function":
        throw new TypeError("the script returned a function; end it with (value, record)");
      case "symbol":
        throw new TypeError("the script returned a symbol");
    }
    return value;
  }
  function attempt(pair) {
    try {
      return stringify([plain(transform(pair[0], pair[1]))]);
    } catch (error) {
      if (error === null || error instanceof InternalError && error.message === "out of memory") throw error;
      return stringify([null, text(error)]);
    }
  }
  return function (input) { return "[" + parse(input).map(attempt).join(",") + "]"; };
})
"""


class ScriptError(ValueError):
    """A script that does not parse; the text goes on from its name."""


class Script:
    """A compiled script.

    Raises:
        ScriptError: it is not one JavaScript expression.
    """

    def __init__(
        self,
        source: str,
        sandbox: Sandbox,
        *,
        time_limit_ms: int = TIME_LIMIT_MS,
        memory_limit_mb: int = MEMORY_LIMIT_MB,
    ) -> None:
        expression = source.rstrip("; \t\r\n")
        self._program = f"{_DRIVER}({json.dumps(expression)})"
        self._sandbox = sandbox
        self._time_limit_s = time_limit_ms / 1_000
        self._memory_limit_mb = memory_limit_mb
        try:
            quickjs.Context().eval(self._program)  # parses the script and does not run it
        except quickjs.JSException as exc:
            reason = str(exc).strip().partition("\n")[0]
            raise ScriptError(f"is not one JavaScript expression: {reason}") from exc

    def run(self, values: Sequence[Any], records: Sequence[Any]) -> Column:
        """What the script returns for each value and record; undefined is None. A Fault where it has no result."""
        pairs = list(zip(values, records, strict=True))
        try:
            return [_outcome(result) for result in self._call(pairs, self._time_limit_s)]
        except (ScriptStoppedError, *_UNPORTABLE):
            return self._run_singly(pairs)

    def _run_singly(self, pairs: list[_Pair]) -> Column:
        results: Column = []
        stopped = 0
        for pair in pairs:
            try:
                results.append(self._run_one(pair) if stopped < MAX_STOPPED else _NOT_RUN)
            except ScriptStoppedError as exc:
                stopped += 1
                results.append(unmappable(f"has no value, the script was stopped: {self._reason(exc)}."))
        return results

    def _run_one(self, pair: _Pair) -> Any:
        try:
            (result,) = self._call([pair], self._time_limit_s / RECORD_SHARE)
        except _UNPORTABLE as exc:
            return unmappable(f"has no value, the record can't be passed to the script: {exc}.")
        return _outcome(result)

    def _reason(self, exc: ScriptStoppedError) -> str:
        if exc.is_too_long:
            return f"it ran longer than {self._time_limit_s * 1_000 / RECORD_SHARE:g} ms for one record"
        if exc.is_too_large:
            return f"it needed more than {self._memory_limit_mb} MB"
        return (
            f"it threw null, or needed more than {self._memory_limit_mb} MB" if exc.message == "null" else exc.message
        )

    def _call(self, pairs: list[_Pair], time_limit_s: float) -> list[list[Any]]:
        text = self._sandbox.call(
            self._program, _encode(pairs), time_limit_s=time_limit_s, memory_limit_mb=self._memory_limit_mb
        )
        results: list[list[Any]] = json.loads(text, parse_float=Decimal)
        return results


def _outcome(result: list[Any]) -> Any:
    return (
        result[0] if len(result) == 1 else unmappable(f"has no value, the script failed: {result[1][:_MAX_MESSAGE]}.")
    )


def _encode(pairs: list[_Pair]) -> str:
    text = json.dumps(pairs, default=_portable, allow_nan=False)
    if _LONG_NUMBER.search(text):
        text = json.dumps(_exact(pairs), default=_portable, allow_nan=False)
    return text


def _portable(value: Any) -> Any:
    """A number that JavaScript holds exactly stays a number; another one arrives as text."""
    if isinstance(value, Decimal):
        near = float(value)
        return near if Decimal(repr(near)) == value else str(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MAX_EXACT:
        return str(value)
    return value
