# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the installation. For administrators; beyond the Zun v1 API."""

from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.base.timestamps import iso
from zun.services.doctor.service import Doctor


class DoctorHandlers:
    """`/v1/doctor`."""

    def __init__(self, doctor: Doctor) -> None:
        self._doctor = doctor

    async def examine(self, call: Call) -> Response:
        """Everything that was looked at, with advice where something is wrong."""
        found = await self._doctor.examine(call.context)
        findings = [
            {"severity": str(one.severity), "about": one.about, "what": one.what, "advice": one.advice}
            for one in found.findings
        ]
        return responses.json({"at": iso(found.at), "version": found.version, "findings": findings})
