"""A report as an Atom feed, an entry at a time.

What must stay true: the feed is made while it is sent, and holds one entry at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from visma_sandbox.orbit_reporting.columns import View
from visma_sandbox.orbit_reporting.documents import error_element
from visma_sandbox.orbit_reporting.edm import NAMESPACE, Column, Row
from visma_sandbox.orbit_reporting.feed_form import ATOM_NAMESPACE, DATA_NAMESPACE, Cell, Form, escaped
from visma_sandbox.orbit_reporting.reports import Report

_MEDIA_TYPES: Final = ("image/png", "application/pdf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One answer: which rows of a report, and how.

    :param base: address of the service, with its slash at the end.
    :param updated: moment of the answer, ISO 8601.
    :param count: what ``m:count`` says, if anything.
    :param next_link: where the rest is.
    :param breaks_after: entries after which the feed ends in an error, unclosed.
    :param error: of that error: ``code``, ``message``, ``inside`` (an entry that is begun).
    :param spoilt: a value that is none of its type: ``row`` (in the feed), ``column``, ``value``.
    """

    report: Report
    views: Sequence[View]
    rows: Iterable[int]
    base: str
    updated: str
    form: Form
    count: int | None = None
    next_link: str | None = None
    breaks_after: int | None = None
    error: Mapping[str, Any] = field(default_factory=dict)
    spoilt: Mapping[str, Any] | None = None

    def texts(self) -> Iterator[str]:
        """The document in pieces."""
        a, loose = self.form.atom, self.form.loose
        following = self._next_link()
        yield self._head()
        if "next_first" in loose:
            yield following
        for place, entry in enumerate(self._entries()):
            if place == self.breaks_after:
                yield from self._broken(entry)
                return
            yield entry
        if self.breaks_after is not None:
            yield from self._broken("")
            return
        if "next_first" not in loose:
            yield following
        yield f"</{a}feed>"

    def _head(self) -> str:
        form, a, gap = self.form, self.form.atom, self.form.gap
        start = "\ufeff" if "bom" in form.loose else ""
        start += "" if "no_declaration" in form.loose else f'<?xml version="1.0" encoding="{form.encoding}"?>'
        base = "" if "no_base" in form.loose else f' xml:base="{escaped(self.base)}{form.base_below}"'
        bindings = "" if "prefix_per_entry" in form.loose else form.bindings
        space = f"xmlns:{a[:-1]}" if a else "xmlns"
        m = f"{form.meta}:count"
        bound = "" if bindings else form.bindings
        return gap.join(
            (
                f'{start}<{a}feed{base} {space}="{ATOM_NAMESPACE}"{bindings}>',
                "<!-- <entry> -->" if gap else "",
                "<?page <entry>?>" if "instructions" in form.loose else "",
                f"<{a}id>{escaped(self.base)}{self.report.id}</{a}id>",
                f'<{a}title type="text">{escaped(self.report.title)}</{a}title>',
                f"<{a}updated>{self.updated}</{a}updated>",
                f'<{a}link rel="self" title="{escaped(self.report.title)}"'
                f' href="{form.up}{self.report.id}" />',
                "" if self.count is None else f"<{m}{bound}>{self.count}</{m}>",
            )
        )

    def _next_link(self) -> str:
        if self.next_link is None:
            return ""
        return f'{self.form.gap}<{self.form.atom}link rel="next" href="{escaped(self.next_link)}" />'

    def _entries(self) -> Iterator[str]:
        later = list(self.views)
        write = self._writer(later.pop(0))
        for place, index in enumerate(self.rows):
            while later and later[0].first <= index:
                write = self._writer(later.pop(0))
            yield write(index, place)

    def _writer(self, view: View) -> Callable[[int, int], str]:
        """The writer of an entry: index and place in the feed → element."""
        report, gap = self.report, self.form.gap
        cells = [self.form.cell(each.column) for each in view.columns]
        names = [each.column.name for each in view.columns]
        before, after = self._around(view)
        as_report = view.is_report
        spoilt = self.spoilt or {}
        spoilt_row = int(spoilt.get("row", 0)) if self.spoilt is not None else -1

        def write(index: int, place: int) -> str:
            values: Row = report.row(index)
            if not as_report:
                values = view.values(values)
            properties = [cell(value) for cell, value in zip(cells, values, strict=True)]
            if place == spoilt_row:
                _spoil(properties, cells, names, spoilt)
            return before(index) + gap.join(properties) + after

        return write

    def _around(self, view: View) -> tuple[Callable[[int], str], str]:
        """What an entry has before its properties, by index, and after them."""
        form, a, gap = self.form, self.form.atom, self.form.gap
        loose = form.loose
        media = "media" in loose
        bindings = form.bindings if "prefix_per_entry" in loose else ""
        properties = f"<{form.meta}:properties{bindings}>{gap}"
        kind = f"{NAMESPACE}.{self.report.id}"
        bare = "bare" in loose
        base, report = escaped(self.base), self.report
        title = "" if bare else f"<{a}title />{gap}<{a}updated>{self.updated}</{a}updated>{gap}<{a}author>"
        title += "" if bare else f"<{a}name /></{a}author>{gap}"
        category = f'<{a}category term="{kind}" scheme="{DATA_NAMESPACE}/scheme" />'
        content = f'<{a}content type="application/xml">{gap}' if not media else ""
        expanded = _expansion(view.columns[0].column, self.form) if "expanded" in loose else None

        up = "../" if "entry_base" in loose else form.up

        def before(index: int) -> str:
            key = report.key(index)
            own = f"{report.id}({key})"
            near = f"{up}{own}"
            entry_base = f' xml:base="{base}{own}/"' if "entry_base" in loose else ""
            links = "" if expanded is None else expanded(index, near)
            source = ""
            if media:
                medium = _MEDIA_TYPES[index % 2]
                source = (
                    f'<{a}link rel="edit-media" href="{near}/$value" />{gap}'
                    f'<{a}content type="{medium}" src="{near}/$value" />{gap}'
                )
            ids = (
                ""
                if bare
                else f"<{a}id>{base}{own}</{a}id>{gap}{category}{gap}"
                f'<{a}link rel="edit" title="{report.id}" href="{near}" />{gap}'
            )
            etag, more = _extension(form, near) if "extended" in loose else ("", "")
            said = f"{ids}{more}{links}{title}{source}{content}"
            return f"{gap}<{a}entry{entry_base}{etag}>{gap}{said}{properties}"

        closing = "" if media else f"</{a}content>{gap}"
        return before, f"{gap}</{form.meta}:properties>{gap}{closing}</{a}entry>"

    def _broken(self, entry: str) -> Iterator[str]:
        """The error that ends a feed which has begun, and nothing after it."""
        if self.error.get("inside"):
            middle = entry.rfind("</", 0, entry.rfind(f"</{self.form.meta}:properties>"))
            yield entry[: entry.find(">", middle) + 1]
        yield error_element(
            str(self.error.get("code", "")), str(self.error.get("message", "An error occurred."))
        )


def _spoil(
    properties: list[str], cells: Sequence[Cell], names: Sequence[str], spoilt: Mapping[str, Any]
) -> None:
    place = names.index(spoilt["column"]) if "column" in spoilt else 0
    properties[place] = cells[place](str(spoilt.get("value", "not a value")))


def _extension(form: Form, own: str) -> tuple[str, str]:
    """An attribute and elements that an entry may have besides, and that say nothing of its row.

    The last is of a namespace that nobody knows: it looks like properties, and is none.
    """
    a, m, gap = form.atom, form.meta, form.gap
    bound = form.bindings if "prefix_per_entry" in form.loose else ""
    stream = f'rel="{DATA_NAMESPACE}/mediaresource/Photo" type="image/png" title="Photo"'
    association = f'rel="{DATA_NAMESPACE}/relatedlinks/Owner" type="application/xml" title="Owner"'
    action = f'metadata="$metadata#Reports.Close" title="Close" target="{own}/Close"'
    elements = (
        f'<{a}link {stream} href="{own}/Photo" />',
        f'<{a}link {association} href="{own}/$links/Owner" />',
        f"<{m}:action{bound} {action} />",
        f"<{a}summary>Not a property</{a}summary>",
        '<x:properties xmlns:x="urn:example:extension"><x:RowID>-1</x:RowID></x:properties>',
    )
    return f' {m}:etag="W/&quot;1&quot;"{bound}', gap.join((*elements, ""))


def _expansion(key: Column, form: Form) -> Callable[[int, str], str]:
    """Expanded links, which nobody must take for rows: their entries have a column of the report's own."""
    a, m, gap = form.atom, form.meta, form.gap
    cell = form.cell(Column(key.name, key.type))
    bound = form.bindings if "prefix_per_entry" in form.loose else ""

    def link(own: str, name: str, kind: str, inline: str | None) -> str:
        href = f'href="{own}/{name}" title="{name}" type="application/atom+xml;type={kind}"'
        start = f'<{a}link rel="{DATA_NAMESPACE}/related/{name}" {href}'
        if inline is None:
            return f"{start} />{gap}"
        return f"{start}>{gap}<{m}:inline{bound}>{inline}</{m}:inline>{gap}</{a}link>{gap}"

    def entry(number: int) -> str:
        return (
            f'<{a}entry><{a}id>urn:nested:{number}</{a}id><{a}content type="application/xml">'
            f"<{m}:properties>{cell(str(-number))}</{m}:properties></{a}content></{a}entry>"
        )

    def expansion(index: int, own: str) -> str:
        match index % 4:
            case 0:
                inline = gap.join(("", entry(1), ""))
                return link(own, "Owner", "entry", inline) + link(own, "Lines", "feed", None)
            case 1:
                return link(own, "Owner", "entry", "") + link(own, "Lines", "feed", None)
            case 2:
                entries = "".join(entry(number) for number in (1, 2))
                feed = (
                    f'<{a}feed><{m}:count>2</{m}:count><{a}title type="text">Lines</{a}title>{entries}'
                    f'<{a}link rel="next" href="{own}/Lines?$skiptoken=2" /></{a}feed>'
                )
                return link(own, "Owner", "entry", None) + link(own, "Lines", "feed", feed)
            case _:
                empty = f'<{a}feed><{a}title type="text">Lines</{a}title></{a}feed>'
                return link(own, "Owner", "entry", None) + link(own, "Lines", "feed", empty)

    return expansion
