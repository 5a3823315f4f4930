# SPDX-License-Identifier: Apache-2.0
"""`zunctl doctor`: what people read, and the exit code that scripts look at."""

import json
from typing import Any

import httpx
import pytest

from support.zunctl import Service, run_here

OK = {"severity": "ok", "about": "store", "what": "the store answers", "advice": ""}
NOTE = {"severity": "note", "about": "versions", "what": "versions differ", "advice": "Finish the upgrade."}
ERROR = {"severity": "error", "about": "nodes", "what": "node n1 does not report", "advice": "See whether it runs."}


def said(*findings: dict[str, Any], arguments: tuple[str, ...] = ()) -> int:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/doctor"
        return httpx.Response(200, json={"at": "2026-01-01T00:00:00", "version": "0.2.0", "findings": list(findings)})

    return run_here(answer, "doctor", *arguments)


def test_what_is_wrong_is_shown_with_advice_and_the_command_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(OK, NOTE, ERROR) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "note     versions: versions differ",
        "         Finish the upgrade.",
        "error    nodes: node n1 does not report",
        "         See whether it runs.",
    ]
    assert shown.err == "1 to look after, 1 well (-a shows them)\n"


def test_notes_do_not_fail_the_command_and_what_is_well_is_shown_when_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said(OK, NOTE, arguments=("-a",)) == 0
    assert capsys.readouterr().out.startswith("ok       store: the store answers\n")


def test_programs_get_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(OK, ERROR, arguments=("-o", "json")) == 1
    assert json.loads(capsys.readouterr().out)["findings"] == [OK, ERROR]


def test_of_a_service_in_one_process_everything_is_examined(service: Service) -> None:
    run = service.run("doctor", "-a")
    assert run.code == 0, run.out
    for words in ("store: the store (", "controllers: ", "all: ", "1 of 1 nodes report", "all run version", "quota: "):
        assert words in run.out
