from __future__ import annotations

import io
import random
import zlib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.dialog_reviews.pdf import problems_of
from visma_sandbox.review_documents import ReviewDocument

HEAD, TAIL = b"%PDF-1.7\n", b"\ntrailer\n<< /Root 1 0 R >>\nstartxref\n9\n%%EOF\n"


def pdf(body: bytes = b"1 0 obj\n<< /Type /Catalog >>\nendobj\n") -> bytes:
    return HEAD + body + TAIL


def found(content: bytes, **wishes: Any) -> tuple[str, ...]:
    return problems_of(io.BytesIO(content), **wishes)


def packed(content: bytes, entries: bytes = b"/Filter /FlateDecode") -> bytes:
    """Return an object stream that holds *content*."""
    return b"5 0 obj\n<< /Type /ObjStm /N 1 /First 4 %s >>\nstream\r\n%s\nendstream\nendobj\n" % (
        entries,
        content,
    )


@pytest.mark.parametrize(
    "content",
    [
        pdf(),
        b"\0" * 1019 + pdf()[:5] + pdf()[5:],
        pdf() + b"\n" * 1000,
        pdf(packed(zlib.compress(b"1 0 << /Type /Pages >>"))),
        pdf(packed(b"1 0 << /Type /Pages >>", b"")),
        pdf(packed(zlib.compress(b"1 0 << >>"), b"/Filter[/FlateDecode]")),
        pdf(b"1 0 obj\n<< /JavaScripting 1 >>\nendobj\n".replace(b"/JavaScripting", b"/Java")),
        pdf(b"1 0 obj\n<< /EncryptMetadata true >>\nendobj\n"),
        pdf(b"<< /S /URI /URI (https://example.com/JavaScript-cursus/LaunchDay) >>"),
        pdf(packed(zlib.compress(b"1 0 << /Type /Page >>" * 50)) * 3_000),
    ],
)
def test_a_plain_pdf_has_no_problem(content: bytes) -> None:
    assert found(content) == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"MZ\x90\0 not a PDF %%EOF", "not_a_pdf"),
        (b"\0" * 1020 + pdf(), "not_a_pdf"),
        (pdf()[:-6], "truncated"),
        (pdf() + b"\0" * 1100, "truncated"),
        (pdf(b"<< /S /JavaScript /JS (x) >>"), "javascript"),
        (pdf(b"<< /S/JavaScript>>"), "javascript"),
        (pdf(b"<< /S/JavaScript\0/JS(x)>>"), "javascript"),
        (pdf(b"<< /Type /Embedded#46ile#73 4 0 R >>"), "attachment"),
        (pdf(b"<< /S /#4aavaScript >>"), "javascript"),
        (pdf(b"<< /S /#4AavaScrip#74 >>"), "javascript"),
        (pdf(b"<< /S /Launch /F (calc.exe) >>"), "launch"),
        (pdf(b"<< /Names << /EmbeddedFiles 4 0 R >> >>"), "attachment"),
        (pdf(b"trailer << /Encrypt 4 0 R >>"), "encrypted"),
        (pdf(b"trailer << /Encr#79pt 4 0 R >>"), "encrypted"),
        (pdf(packed(zlib.compress(b"<< /S /JavaScript >>"))), "javascript"),
        (pdf(packed(zlib.compress(b"<< /S /JavaScript >>")).replace(b"/ObjStm", b"/Obj#53tm")), "javascript"),
        (pdf(packed(zlib.compress(b"x" * 9_000_000 + b"<< /S /Launch >>"))), "launch"),
        (pdf(packed(zlib.compress(b"x"), b"/Filter [/FlateDecode /LZWDecode]")), "unreadable_objects"),
        (pdf(packed(b"<~x~>", b"/Filter /ASCII85Decode")), "unreadable_objects"),
        (pdf(packed(zlib.compress(b"x"), b"/Filter 9 0 R")), "unreadable_objects"),
        (
            pdf(packed(zlib.compress(b"x"), b"/Filter /FlateDecode /DecodeParms << /Predictor 12 >>")),
            "unreadable_objects",
        ),
        (pdf(packed(b"no deflate")), "unreadable_objects"),
        (pdf(packed(zlib.compress(bytes(20_000))[:-9])), "unreadable_objects"),
        (pdf(b"5 0 obj << /Type /ObjStm >>"), "unreadable_objects"),
        (pdf(packed(zlib.compress(bytes(17 << 20)))), "unreadable_objects"),
    ],
)
def test_what_is_wrong_is_named(content: bytes, problem: str) -> None:
    assert found(content) == (problem,)


def test_a_name_is_found_wherever_it_falls_in_a_large_file() -> None:
    piece = 256 * 1024
    filler = random.Random(1).randbytes(piece * 2)
    for place in range(piece - len(HEAD) - 14, piece - len(HEAD) + 3):
        content = pdf(filler[:place] + b" /JavaScript " + filler[place:])
        assert found(content) == ("javascript",)


def test_an_object_stream_is_found_wherever_it_falls() -> None:
    piece = 256 * 1024
    filler = random.Random(2).randbytes(piece * 2)
    stream = packed(zlib.compress(b"<< /S /Launch >>"))
    for place in range(piece - len(HEAD) - len(stream) - 5, piece - len(HEAD) + 3, 3):
        assert found(pdf(filler[:place] + stream + filler[place:])) == ("launch",)


def empty_blocks(size: int) -> bytes:
    """Return what takes long to unpack and holds nothing."""
    return b"\x78\x9c" + b"\0\0\0\xff\xff" * (size // 5)


@pytest.mark.parametrize(
    ("content", "most"),
    [
        (pdf(b"/ObjStm" * 100_000), 3 << 20),
        (pdf(packed(zlib.compress(bytes(15 << 20))) * 40), 265 << 20),
        (pdf(packed(zlib.compress(bytes(5 << 20)), b"/ObjStm" * 100 + b"/Filter /FlateDecode")), 7 << 20),
        (pdf(b"".join(packed(empty_blocks(2_000_000)) for _ in range(10))), 45 << 20),
    ],
    ids=["names", "bombs", "one stream of many names", "nothing, at length"],
)
def test_what_is_made_to_take_long_does_not(
    content: bytes, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    begin = zlib.decompressobj

    class Counting(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            piece = super().read(size)
            looked_at.append(len(piece))
            return piece

    class Inflating:
        def __init__(self) -> None:
            self._inflating = begin()

        def decompress(self, packed: bytes, most: int) -> bytes:
            text = self._inflating.decompress(packed, most)
            looked_at.append(len(text))
            return text

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inflating, name)

    monkeypatch.setattr("airflow_provider_visma.dialog_reviews.pdf.zlib.decompressobj", Inflating)
    problems_of(Counting(content))
    assert sum(looked_at) <= most


def test_several_problems_are_named_together() -> None:
    content = pdf(b"<< /S /JavaScript >> << /S /Launch >>")[:-6]
    assert found(content) == ("javascript", "launch", "truncated")


def test_what_is_allowed_passes() -> None:
    content = pdf(b"<< /S /JavaScript >> << /Encrypt 4 0 R >>")
    assert found(content) == ("encrypted", "javascript")
    assert found(content, allow_active=True) == ("encrypted",)
    assert found(content, allow_encrypted=True) == ("javascript",)
    assert found(content, allow_active=True, allow_encrypted=True) == ()


def test_a_limit_is_a_limit() -> None:
    assert found(pdf(), max_bytes=len(pdf())) == ()
    assert found(pdf(), max_bytes=len(pdf()) - 1) == ("too_large",)


def test_noise_is_not_taken_for_a_program() -> None:
    for seed in range(5):
        document = ReviewDocument("pdf", 2_000_000, f"noise {seed}")
        assert found(b"".join(document.pieces())) == ()


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("reportlab", ()),
        ("qpdf-object-stream", ()),
        ("qpdf-javascript", ("javascript",)),
        ("qpdf-attachment", ("attachment",)),
        ("qpdf-encrypted", ("encrypted", "javascript")),
    ],
)
def test_what_common_writers_of_pdf_make_is_judged_alike(name: str, problems: tuple[str, ...]) -> None:
    assert found((Path(__file__).parent / "pdfs" / f"{name}.pdf").read_bytes()) == problems
