"""The viewer's pages. Only people's findings are written, and every file read belongs to the run."""

import os
import sys
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from getpass import getuser
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from stepforge.labelers import speaking
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.reports.problem_view import view_of
from stepforge.pipelines.run_folder.failures import lost_problems
from stepforge.pipelines.run_folder.lock import is_held
from stepforge.pipelines.run_folder.row_index import STATES
from stepforge.pipelines.run_folder.rows import ROW_RECORDS, Row
from stepforge.pipelines.serving.loopback import Limits, Meter, loopback_app, serve, token_for_service
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_row
from stepforge.pipelines.storage.store import AnyPath
from stepforge.pipelines.viewer.catalog import Address, Catalog, address_of
from stepforge.pipelines.viewer.listing import PAGE, PATIENCE, Listing, ListQuery, asked_for
from stepforge.pipelines.viewer.questions import model_of, questions_about
from stepforge.pipelines.viewer.review_pages import ReviewDesk, review_routes
from stepforge.pipelines.viewer.session import BrowserSession
from stepforge.pipelines.viewer.tree_view import tree_of
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.labeled import LabeledProblem

HERE = Path(__file__).parent
BODY_BYTES = 64 << 10
Endpoint = Callable[[Request], Response]


class Viewer:
    def __init__(self, run: RunFile, layout: Layout, desk: ReviewDesk) -> None:
        self.run, self.layout, self.desk = run, layout, desk
        self.catalog = Catalog(layout)
        self.listing = Listing(self.catalog)
        self.pages = Environment(
            loader=FileSystemLoader(HERE / "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self.pages.globals.update(folder=layout.folder, desk=desk)

    def html(self, name: str, status: int = 200, /, **values: object) -> HTMLResponse:
        """Return a page; everything in ``values`` is escaped."""
        return HTMLResponse(self.pages.get_template(f"{name}.html").render(**values), status)

    def problems(self, request: Request) -> Response:
        page = self.listing.page(asked_for(request.query_params))
        return self.html(
            "problems",
            page=page,
            query=page.query,
            pages=max(1, -(-page.fitting // PAGE)),
            domains=sorted(self.catalog.rows()["domain"].unique()),
            labelers=self._labelers(),
            states=STATES,
            state=self._state(),
            damaged=dict(self.catalog.damaged),
        )

    def _labelers(self) -> list[str]:
        """Return the run's labelers in their order, and whatever else has verdicts (a rule that relabeled the run)."""
        rows = self.catalog.rows()
        others = {name for column in ("found", "abstained") for name in rows[column].explode().unique().drop_nulls()}
        return list(dict.fromkeys([*(part.name for part in speaking(self.run.label)), *sorted(others)]))

    def state(self, request: Request) -> Response:
        """Polled by an open page, to see whether it is still up to date; reads on."""
        self.catalog.refresh(PATIENCE)
        return JSONResponse(self._state())

    def _state(self) -> Mapping[str, object]:
        read, waiting = self.catalog.shards
        return {"changed": self.catalog.changed, "read": read, "waiting": waiting, "running": is_held(self.layout)}

    def problem(self, request: Request) -> Response:
        address, row, about = self._row(request)
        view = view_of(row, lost_problems(self.layout, address.shard))
        wrong = (i for i, solution in enumerate(view.solutions, 1) if solution.outcome == "wrong")
        return self.html(
            "problem",
            view=view,
            has_tree=isinstance(row, LabeledProblem),
            said=self.desk.said_of(view.problem.id),
            asked=next(wrong, 1),  # right solutions are rarely asked about
            **about,
        )

    def tree(self, request: Request) -> Response:
        _, row, about = self._row(request)
        if not isinstance(row, LabeledProblem):
            raise IndexError("it is not labeled yet, so no completions were drawn")
        completions = len(row.evidence) + len(row.further)
        return self.html("tree", problem=row.problem, nodes=tree_of(row), completions=completions, **about)

    def questions(self, request: Request) -> Response:
        _, row, about = self._row(request)
        number = request.path_params["solution"]
        if not isinstance(row, LabeledProblem) or not 1 <= number <= len(row.solutions):
            raise IndexError("there is no such solution")
        model = model_of(self.run, self.layout)
        return self.html(
            "questions",
            problem=row.problem,
            rollout=row.solutions[number - 1].rollout,
            labeler=row.costs[0].labeler if row.costs else "",
            verdict=row.solutions[number - 1].verdict,
            number=number,
            solutions=len(row.solutions),
            asked=questions_about(row, number - 1, self.run, model),
            **about,
        )

    def _row(self, request: Request) -> tuple[Address, Row, Mapping[str, object]]:
        """Return the row at the address, and its neighbors in the list that it was opened from."""
        address = Address(*(request.path_params[name] for name in Address._fields))
        if address.stage not in ROW_RECORDS:
            raise IndexError("there is no such stage")
        shard = self.layout.shard(address.stage, address.shard)
        if not shard.exists():
            raise IndexError("there is no such shard, or it is being redone")
        row = read_row(shard, ROW_RECORDS[address.stage], address.row)
        query = asked_for(request.query_params)
        try:
            place = int(request.query_params.get("n", "0"))
        except ValueError:
            place = 0
        return address, row, {"address": address, "query": query, "place": place, **self._beside(query, place)}

    def _beside(self, query: ListQuery, place: int) -> Mapping[str, object]:
        if place < 1:  # not opened from a list
            return {"before": None, "after": None, "fitting": 0}
        order, rows, *_ = self.listing.order(query, place + 1)
        beside = {}
        for name, other in (("before", place - 1), ("after", place + 1)):
            known = 0 < other <= len(order)
            beside[name] = f"/problem/{address_of(rows.row(order[other - 1], named=True))}" if known else None
        return {**beside, "fitting": len(order)}

    def page(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint whose failures are pages too."""

        @wraps(endpoint)
        def shown(request: Request) -> Response:
            try:
                return endpoint(request)
            except IndexError as error:
                return self.html("error", 404, title="Not found", text=str(error))
            except (RunFailed, BadInput, OSError) as error:
                return self.html("error", 500, title="Cannot be read", text=str(error))

        return shown


def viewer_app(viewer: Viewer, token: str) -> ASGIApp:
    def nothing(request: Request) -> Response:
        raise IndexError("there is nothing at this address")

    at = "/problem/{stage}/{shard:int}/{row:int}"
    pages: list[tuple[str, Endpoint]] = [
        ("/", viewer.problems),
        ("/state", viewer.state),
        ("/keys", lambda request: viewer.html("keys")),
        (at, viewer.problem),
        (f"{at}/tree", viewer.tree),
        (at + "/questions/{solution:int}", viewer.questions),
        ("/favicon.ico", lambda request: RedirectResponse("/static/icon.svg")),
    ]
    routes = [
        *(Route(path, viewer.page(endpoint)) for path, endpoint in pages),
        *review_routes(viewer.desk, viewer.html, viewer.page),
        Mount("/static", StaticFiles(directory=HERE / "static")),
        Route("/{rest:path}", viewer.page(nothing)),
    ]
    guarded = loopback_app(routes, token=token, meter=Meter("view"), limits=Limits(body_bytes=BODY_BYTES))
    return BrowserSession(guarded, token=token)


def view(
    folder: AnyPath,
    *,
    port: int,
    browser: bool,
    reviewer: str | None,
    adjudicates: bool,
    condensed: bool,
    say: Callable[[str], None],
) -> None:
    """Serve a run until interrupted. Raises BadInput: this is not a run folder, or the port is taken."""
    run, layout = open_run(folder)
    viewer = Viewer(run, layout, ReviewDesk(layout, reviewer or _user(), adjudicates=adjudicates, condensed=condensed))
    token = token_for_service()

    def ready(address: str) -> None:
        link = f"{address}/?token={token}"
        say(f"{link}\nstop with Ctrl-C")
        windows = sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
        if browser and windows:  # else a text browser would take over the terminal
            webbrowser.open(link)

    with suppress(KeyboardInterrupt):
        serve(viewer_app(viewer, token), port=port, ready=ready)


def _user() -> str:
    with suppress(OSError, KeyError):
        return getuser()
    return "reviewer"
