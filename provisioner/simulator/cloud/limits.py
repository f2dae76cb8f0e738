"""The simulated cloud's limits (facts, particle-cloud 11): a site is one public address, so all callers are one.

Rule 1: windows slide. Nobody knows whether the real ones do; a client that keeps to a sliding window keeps to both.
Rule 2: a refused request is not counted.
"""

from __future__ import annotations

from collections import Counter, deque

from provisioner.simulator.cloud.rules import CloudRules

WINDOW_S = 300.0
HOUR_S = 3600.0


class SlidingCount:
    """At most `limit` occasions within any `window_s` seconds."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit = limit
        self.window_s = window_s
        self.peak = 0
        self._at_s: deque[float] = deque()

    def admits(self, now_s: float) -> bool:
        """Count this occasion if there is room for it."""
        while self._at_s and self._at_s[0] <= now_s - self.window_s:
            self._at_s.popleft()
        if len(self._at_s) >= self.limit:
            return False
        self._at_s.append(now_s)
        self.peak = max(self.peak, len(self._at_s))
        return True


class Limits:
    """All counters of one site. `requests_by_window` counts per five minutes since the start, for checkers."""

    def __init__(self, rules: CloudRules) -> None:
        self._rules = rules
        self.requests = SlidingCount(rules.requests_per_5min, WINDOW_S)
        self.token_calls = SlidingCount(rules.token_calls_per_5min, WINDOW_S)
        self.token_lists = SlidingCount(rules.token_calls_per_5min, WINDOW_S)
        self.streams = SlidingCount(rules.streams_per_5min, WINDOW_S)
        self._serial_lookups: dict[str, SlidingCount] = {}
        self.requests_by_window: Counter[int] = Counter()
        self.token_failures = 0  # in a row
        self.locked_until_s = 0.0

    def admits(self, method: str, path: str, now_s: float) -> bool:
        """Whether a request may pass; if so, it is counted."""
        token_call = method == "POST" and (
            path == "/oauth/token" or (self._rules.customer_calls_are_token_calls and path.endswith("/customers"))
        )
        if now_s < self.locked_until_s and (token_call or self._rules.lockout_of == "everything"):
            return False
        if token_call and not self.token_calls.admits(now_s):
            return False
        if path.startswith("/v1/access_tokens") and not self.token_lists.admits(now_s):
            return False
        if not self.requests.admits(now_s):
            return False
        self.requests_by_window[int(now_s // WINDOW_S)] += 1
        return True

    def admits_stream(self, now_s: float) -> bool:
        """Whether one more event stream may be opened now."""
        return self.streams.admits(now_s)

    def admits_serial_lookup(self, username: str, now_s: float) -> bool:
        """Whether this user may look up one more serial number within the hour."""
        count = self._serial_lookups.setdefault(username, SlidingCount(self._rules.serial_lookups_per_h, HOUR_S))
        return count.admits(now_s)

    def token_granted(self) -> None:
        """A good token call ends the row of failures."""
        self.token_failures = 0

    def token_refused(self, now_s: float) -> bool:
        """Count a failed token call; True when it is the one that locks the address out."""
        self.token_failures += 1
        if self.token_failures < self._rules.token_failures_max:
            return False
        self.token_failures = 0
        self.locked_until_s = now_s + self._rules.lockout_s
        return True
