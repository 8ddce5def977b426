"""Documents uploaded to employees. Of a document, only name, size and hash are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from visma_sandbox.nmbrs_access import Access
from visma_sandbox.nmbrs_envelope import Document
from visma_sandbox.nmbrs_faults import SoapFault

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

# No SOAP operation lists document types; a client has to be told.
DOCUMENT_TYPES: Final = (
    "7f0b5c1e-0000-4000-8000-00000000d001",
    "7f0b5c1e-0000-4000-8000-00000000d002",
)
_NOTHING: Final = sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One upload that was accepted."""

    employee_id: int
    name: str
    document_type: str
    size: int
    sha256: str
    received_at: float


class DocumentCabinet:
    """All uploads, in the order they came. The same document twice is two documents, as with Nmbrs."""

    def __init__(self, sandbox: Sandbox, access: Access) -> None:
        self._sandbox = sandbox
        self._access = access
        self.documents: list[StoredDocument] = []

    def put(self, arguments: Mapping[str, Any]) -> None:
        """Store the document of an ``EmployeeDocument_UploadDocument`` request.

        :raises SoapFault: 2003 employee, 2040 name without extension, 2047 document type, 2041 too large.
        """
        settings = self._sandbox.settings
        self._access.check_employee(arguments["EmployeeId"])
        name: str = arguments["StrDocumentName"] or ""
        stem, dot, extension = name.rpartition(".")
        if not (stem and dot and extension.strip()):
            raise SoapFault.of_code("2040")
        if arguments["GuidDocumentType"] not in settings["nmbrs_document_types"]:
            raise SoapFault.of_code("2047")
        document: Document | None = arguments["Body"]
        size = document.size if document else 0
        if size > int(settings["nmbrs_document_limit"]):
            raise SoapFault.of_code("2041")
        self.documents.append(
            StoredDocument(
                employee_id=arguments["EmployeeId"],
                name=name,
                document_type=arguments["GuidDocumentType"],
                size=size,
                sha256=document.sha256 if document else _NOTHING,
                received_at=self._sandbox.clock(),
            )
        )

    def counts(self) -> dict[str, int]:
        """How many documents there are, and how many bytes."""
        return {"documents": len(self.documents), "bytes": sum(each.size for each in self.documents)}

    def clear(self) -> None:
        """Forget all of them."""
        self.documents.clear()
