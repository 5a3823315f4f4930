# SPDX-License-Identifier: Apache-2.0
"""docs/metrics.md, made from the declarations: `python -m zun.telemetry.table > docs/metrics.md`."""

import sys

from zun.telemetry.metrics import ALL, API, COMPUTE, CONTROLLER, GATE, Kind, Metric

_HEAD = """# Figures

For Prometheus. An API server shows them at `GET /metrics` of the API, without a token; `zund all` shows all of them there. A controller, a gate or a node shows its own at the address that
`[metrics] listen` or `--metrics` names; without one it keeps none. Each process also shows `process_*`: its memory, processor time and open files.

Labels never hold names or ids of users' things. A counter ends in `_total`; a histogram is shown as `_bucket`, `_sum` and `_count`.

| name | kind | labels | told by | what |
| --- | --- | --- | --- | --- |
"""
_ROLES = {API: "API server", CONTROLLER: "controller", COMPUTE: "node", GATE: "gate"}


def shown_name(metric: Metric) -> str:
    """As Prometheus shows it."""
    return f"{metric.name}_total" if metric.kind is Kind.COUNTER else metric.name


def table() -> str:
    """The page."""
    rows = [
        f"| `{shown_name(metric)}` | {metric.kind} | {', '.join(metric.labels)} | {', '.join(_ROLES[role] for role in metric.by)} | {metric.help} |"
        for metric in ALL
    ]
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
