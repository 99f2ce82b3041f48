"""Counters and gauges in the words of Prometheus. Labels come from closed sets: no number, no path, nobody's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import nan

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from sqlalchemy import Engine, QueuePool
from starlette.types import Scope

from ecif import __version__
from ecif.services.figures import FIGURES

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads


class Meters:
    """The meters of one application, in a registry of its own.

    Attributes:
        decisions: what was decided (判定), by kind (``existence``, ``opening``, ``source_record``) and result.
        calls_in_flight: calls that are not answered yet and do something.
    """

    def __init__(self, engine: Engine | None) -> None:
        self.registry = registry = CollectorRegistry()
        self.calls_in_flight = 0
        self.decisions = Counter(
            "ecif_decisions", "判定结果 Results of decisions", ("kind", "result"), registry=registry
        )
        self._calls = Counter("ecif_calls", "请求数 Calls answered", ("method", "route", "status"), registry=registry)
        self._seconds = Histogram(
            "ecif_call_seconds", "响应时间 Time to answer", ("method", "route"), buckets=SECONDS, registry=registry
        )
        in_flight = Gauge("ecif_calls_in_flight", "处理中的请求 Calls not answered yet", registry=registry)
        in_flight.set_function(lambda: self.calls_in_flight)
        self._up = Gauge("ecif_database_up", "数据库可用 The database answers", registry=registry)
        self._figures = {name: Gauge(f"ecif_{name}", what, registry=registry) for name, what in FIGURES.items()}
        Info("ecif", "版本 Version", registry=registry).info({"version": __version__})
        ProcessCollector(registry=registry)
        if engine and isinstance(engine.pool, QueuePool):
            self._watch_pool(engine)

    def _watch_pool(self, engine: Engine) -> None:
        size = Gauge("ecif_pool_size", "连接池大小 Connections the pool may hold", registry=self.registry)
        used = Gauge("ecif_pool_checked_out", "使用中的连接 Connections in use", registry=self.registry)
        size.set_function(lambda: engine.pool.size())  # type: ignore[attr-defined]
        used.set_function(lambda: engine.pool.checkedout())  # type: ignore[attr-defined]

    @contextmanager
    def resting(self) -> Iterator[None]:
        """A call that only waits, and holds nothing that others need, is not in flight."""
        self.calls_in_flight -= 1
        try:
            yield
        finally:
            self.calls_in_flight += 1

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Counts an answer."""
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self._calls.labels(method, route_of(scope), status).inc()
        self._seconds.labels(method, route_of(scope)).observe(seconds)

    def text(self, figures: Mapping[str, float] | None) -> bytes:
        """All of them in Prometheus's text format; without figures the database is away."""
        self._up.set(figures is not None)
        for name, gauge in self._figures.items():
            gauge.set(nan if figures is None else figures[name])
        return generate_latest(self.registry)


def route_of(scope: Scope) -> str:
    """The template of the route that answers; nothing for what no route answers."""
    return getattr(scope.get("route"), "path_format", "")
