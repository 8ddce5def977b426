"""The provider's pages in Airflow's own UI.

Every Airflow process imports this module, so it stays light: the web application behind it is built at its
first request, which only the API server gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

URL_PREFIX = "/visma"


class PagesAtFirstRequest:
    """The web application, built when the first request comes."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._app is None:
            from airflow_provider_visma.plugin.app import create_app

            self._app = create_app()
        ours = dict(scope)
        # Airflow writes the query to its access log when the request is over, from the scope that it gave us.
        # The code of a sign-in, or a name that was searched for, does not belong there.
        scope["query_string"] = b""
        await self._app(ours, receive, send)


class VismaPlugin(AirflowPlugin):
    """What Airflow's UI gains: pages under ``/visma`` and their places in the navigation.

    Addresses are relative to where Airflow's UI is. A page without ``url_route`` opens in a tab of its own:
    Airflow shows the others in a sandboxed frame, which a sign-in elsewhere could not leave. Such a page has
    to be in a menu, here beside the connections: as an entry of its own Airflow 3.3 makes it a dead button.
    """

    name = "visma"
    fastapi_apps: list[Any] = [  # noqa: RUF012  # the class attribute is Airflow's interface
        {"name": "Visma", "app": PagesAtFirstRequest(), "url_prefix": URL_PREFIX}
    ]
    external_views: list[Any] = [  # noqa: RUF012
        {"name": "Orbit sign-in", "href": "visma/orbit", "destination": "nav", "category": "Admin"},
        {
            "name": "Dialog",
            "href": "visma/dialog",
            "url_route": "visma-dialog",
            "destination": "nav",
            "category": "Visma",
        },
    ]
