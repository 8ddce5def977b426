"""The list of users in Dialog: search, filter, invite, link, undo.

A name that is searched for, and everything else about a person, is sent in the body of a form and stands in
no address: addresses are kept by browsers and logged by whatever is in between. So the list goes on by
POST, and every answer carries the whole view in its form.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.plugin import audit
from airflow_provider_visma.plugin.access import Editor, PostedForm, Reader
from airflow_provider_visma.plugin.addresses import CONNECTION
from airflow_provider_visma.plugin.dialog import back_to, link_of
from airflow_provider_visma.plugin.dialog_clients import DialogClient, DialogClients
from airflow_provider_visma.plugin.pages import Notice, render

if TYPE_CHECKING:
    from airflow_provider_visma.dialog_import.moves import DialogMoves, Moved, UserRef
    from airflow_provider_visma.dialog_import.roster import ListedUser, UserPage

router = APIRouter(prefix=f"/dialog/{CONNECTION}/users")

PAGE_SIZE: Final = 50
STATES: Final = ("imported", "invited", "linked")
_LONGEST_SEARCH: Final = 200
_CLIENTS: Final = DialogClients()


@dataclass(frozen=True, slots=True)
class View:
    """What part of the list is looked at."""

    search: str = ""
    state: str = ""
    department: str = ""
    start: int = 1

    @classmethod
    def of(cls, form: FormData) -> View:
        """Read it from a form."""
        state = str(form.get("state", ""))
        start = str(form.get("go") or form.get("start") or "")
        return cls(
            search=str(form.get("search", ""))[:_LONGEST_SEARCH].strip(),
            state=state if state in STATES else "",
            department=str(form.get("department", ""))[:_LONGEST_SEARCH],
            start=max(1, int(start)) if start.isascii() and start.isdigit() and len(start) < 10 else 1,
        )


@dataclass(frozen=True, slots=True)
class Pager:
    """Where in the list a page stands; places count from 1, and None is a page that there is not."""

    first: int
    last: int
    total: int
    previous: int | None
    next: int | None
    end: int | None


@router.get("", name="dialog_users")
def users(request: Request, conn_id: str, user: Reader) -> HTMLResponse:
    """Show the first users."""
    return _list(request, conn_id, user, View())


@router.post("", name="dialog_users_view")
def view(request: Request, conn_id: str, user: Reader, form: PostedForm) -> HTMLResponse:
    """Show the users that were asked for."""
    return _list(request, conn_id, user, View.of(form))


@router.get("/invite", name="dialog_invited")
@router.get("/undo", name="dialog_undone")
@router.get("/choose", name="dialog_chosen")
@router.get("/link", name="dialog_linked")
def back(request: Request, conn_id: str, user: Reader) -> RedirectResponse:
    """Return to the list from the address that a form was sent to."""
    return back_to(request, "dialog_users", conn_id)


@router.post("/invite", name="dialog_invite")
def invite(request: Request, conn_id: str, user: Editor, form: PostedForm) -> HTMLResponse:
    """Invite the users who are ticked, or the one whose button it is."""
    one = form.get("one")
    chosen = [str(one)] if one else [str(value) for value in form.getlist("user")]
    if not chosen:
        return _list(request, conn_id, user, View.of(form), notice=Notice("problem", "dialog.invite.nobody"))
    refs = _refs(form, chosen)
    return _moved(request, conn_id, user, form, what="invite", moving=lambda moves: moves.invite(refs))


@router.post("/undo", name="dialog_undo")
def undo(request: Request, conn_id: str, user: Editor, form: PostedForm) -> HTMLResponse:
    """Take an invitation or a link back."""
    (ref,) = _refs(form, [_one(form)])
    return _moved(request, conn_id, user, form, what="undo", moving=lambda moves: (moves.undo(ref),))


@router.post("/choose", name="dialog_choose")
def choose(request: Request, conn_id: str, user: Editor, form: PostedForm) -> HTMLResponse:
    """Show with whom a user may be linked."""
    link = link_of(user, conn_id)
    looked_for = str(form.get("existing_search", ""))[:_LONGEST_SEARCH].strip()
    try:
        with _CLIENTS.of(conn_id) as dialog:
            roster = dialog.roster
            found = roster.user(_one(form))
            if found is None:
                raise HTTPException(404)
            suggested = roster.suggestions(found, looked_for)
            can_search = roster.can_narrow
    except VismaError as error:
        return _list(request, conn_id, user, View.of(form), problem=str(error))
    return render(
        request,
        "dialog/link.html",
        user=user,
        link=link,
        view=View.of(form),
        chosen=found,
        suggested=suggested,
        looked_for=looked_for,
        can_search=can_search,
    )


@router.post("/link", name="dialog_link")
def link_users(request: Request, conn_id: str, user: Editor, form: PostedForm) -> HTMLResponse:
    """Link a user with one whom Dialog had already."""
    (ref,) = _refs(form, [_one(form)])
    existing = str(form.get("existing", ""))
    if not existing:
        return _list(request, conn_id, user, View.of(form), notice=Notice("problem", "dialog.link.nobody"))
    return _moved(
        request,
        conn_id,
        user,
        form,
        what="link",
        moving=lambda moves: (moves.link(ref, existing),),
        with_whom=existing,
    )


def _moved(
    request: Request,
    conn_id: str,
    user: BaseUser,
    form: FormData,
    *,
    what: str,
    moving: Callable[[DialogMoves], tuple[Moved, ...]],
    with_whom: str | None = None,
) -> HTMLResponse:
    """Do what was asked for, write down what became of it, and show the list as it is now."""
    link_of(user, conn_id)
    try:
        with _CLIENTS.of(conn_id) as dialog:
            moved = moving(dialog.moves)
    except VismaError as error:
        extra = {"code": error.code or type(error).__name__}
        audit.record(f"visma_dialog.{what}_failed", user=user, conn_id=conn_id, extra=extra)
        return _list(request, conn_id, user, View.of(form), problem=str(error))
    outcomes = Counter(str(each.outcome) for each in moved)
    done, in_doubt = ([each.id for each in moved if each.outcome == name] for name in ("done", "unknown"))
    details: dict[str, str | int] = {**outcomes, "ids": " ".join(done), "in_doubt": " ".join(in_doubt)}
    if with_whom is not None:
        details["linked_with"] = with_whom
    audit.record(f"visma_dialog.{what}", user=user, conn_id=conn_id, extra=details)
    kind: Any = "done" if len(done) == len(moved) else "problem"
    notice = Notice(kind, f"dialog.{what}.done", {"count": len(done), "of": len(moved)})
    trouble = [(outcome, count) for outcome, count in outcomes.items() if outcome != "done"]
    return _list(request, conn_id, user, View.of(form), notice=notice, trouble=trouble)


def _list(
    request: Request,
    conn_id: str,
    user: BaseUser,
    view: View,
    *,
    notice: Notice | None = None,
    trouble: Iterable[tuple[str, int]] = (),
    problem: str = "",
) -> HTMLResponse:
    link = link_of(user, conn_id)
    found: UserPage | None = None
    departments: list[tuple[str, str]] = []
    functions: dict[str, str] = {}
    can_move = False
    if not problem:
        try:
            with _CLIENTS.of(conn_id) as dialog:
                found = _page(dialog, view)
                departments = dialog.departments
                functions = dialog.functions
                can_move = dialog.roster.can_move
        except VismaError as error:
            problem = str(error)
    if found is not None:
        view = replace(view, start=found.start_index)
    return render(
        request,
        "dialog/users.html",
        user=user,
        link=link,
        view=view,
        found=found,
        pager=_pager(found) if found else None,
        departments=departments,
        functions=functions,
        states=STATES,
        can_act=can_move and link.connection.may_edit,
        can_move=can_move,
        undoable=_undoable,
        settled_at=_settled_at,
        notice=notice,
        trouble=tuple(trouble),
        problem=problem,
    )


def _page(dialog: DialogClient, view: View) -> UserPage:
    from airflow_provider_visma.dialog_import.roster import UserQuery

    query = UserQuery(
        search=view.search,
        state=view.state or None,
        department_code=view.department or None,
        start_index=view.start,
        count=PAGE_SIZE,
    )
    found = dialog.roster.page(query)
    if not found.users and found.total:
        # Somebody was invited from a list of those who are not: its last page may be gone.
        found = dialog.roster.page(replace(query, start_index=_last_start(found.total)))
    return found


def _pager(found: UserPage) -> Pager:
    first, shown, total = found.start_index, len(found.users), found.total
    last = first + shown - 1
    more = last < total and shown > 0
    return Pager(
        first=first if shown else 0,
        last=last if shown else 0,
        total=total,
        previous=max(1, first - PAGE_SIZE) if first > 1 else None,
        next=last + 1 if more else None,
        end=_last_start(total) if more and _last_start(total) > last else None,
    )


def _settled_at(user: ListedUser) -> float | None:
    """Return when an invitation or a link can no longer be taken back; None where Dialog does not say."""
    try:
        until = datetime.fromisoformat(user.takes_effect_at or "")
    except ValueError:
        return None
    return until.timestamp() if until.tzinfo else None


def _undoable(user: ListedUser) -> bool:
    """Tell whether the state of a user may still be taken back; where Dialog says nothing, it is asked."""
    until = _settled_at(user)
    return until is None or time.time() < until


def _last_start(total: int) -> int:
    return (max(total, 1) - 1) // PAGE_SIZE * PAGE_SIZE + 1


def _one(form: FormData) -> str:
    """Return the id of the user whose button was pressed; a form that names nobody is none of ours."""
    if not (one := str(form.get("one", ""))):
        raise HTTPException(404)
    return one


def _refs(form: FormData, ids: Iterable[str]) -> list[UserRef]:
    """Return the users with the versions that the form showed."""
    from airflow_provider_visma.dialog_import.moves import UserRef

    return [UserRef(each, str(form.get(f"version-{each}", "")) or None) for each in dict.fromkeys(ids)]
