"""The walk of `connect` through a new system: call it, look at it, propose, review, preview, write."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kwiksync_ops.cli.connect_person import Person
from kwiksync_ops.cli.connect_view import (
    show_fields,
    show_objects,
    show_preview,
    show_proposal,
    show_sampled,
    show_way_out,
)
from kwiksync_ops.cli.connect_words import KindOptions, parse_objects
from kwiksync_ops.cli.output import Output
from kwiksync_ops.cli.session import Session
from kwiksync_ops.cli.text import count
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError, KwikSyncError
from kwiksync_ops.vocabulary import Direction

if TYPE_CHECKING:
    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.connectors.discovery import ObjectInfo
    from kwiksync_ops.services.discovery import Explorer, Inspected
    from kwiksync_ops.services.outbound_proposals import OutboundProposal
    from kwiksync_ops.services.preview import Preview
    from kwiksync_ops.services.proposals import TableProposal, Wishes
    from kwiksync_ops.services.system_files import SystemDraft

_MOST_SHOWN = 200


@dataclass(frozen=True)
class Answers:
    """What the command line says; an empty answer is asked for, or taken from the proposals."""

    kind: str
    system: str
    connection: str
    objects: Mapping[str, str]
    catalogue: str
    options: KindOptions
    wishes: Wishes
    timezone: str
    calls_per_minute: int
    schedule: str | None
    description: str
    customer_key_file: Path | None
    replaces: bool
    direction: str


class Walk:
    """One walk through a new system. What was found and proposed so far is in its attributes."""

    def __init__(self, session: Session, output: Output, person: Person, answers: Answers) -> None:
        self._session = session
        self._output = output
        self._person = person
        self._answers = answers
        self._key = self._customer_key()
        self._checked = ""
        self._inspected: list[Inspected] = []
        self._tables = dict(answers.objects)
        self._wishes = answers.wishes
        self.proposals: list[TableProposal] = []
        self.outbound: list[OutboundProposal] = []

    def refuse_early(self) -> None:
        """What would end badly after all questions is told before the first one."""
        from kwiksync_ops.services.system_files import files_in_the_way, refuse_bad_settings, refused_overwrite

        refuse_bad_settings(self._draft())
        there = files_in_the_way(self._session.settings.include, self._answers.system)
        if there and not self._answers.replaces:
            raise refused_overwrite(there)

    def explore(self) -> None:
        """Call the system, list its objects, and look at those that are wanted."""
        with closing(self._open()) as explorer:
            self._checked = explorer.check()
            self._output.say(f"✓ {self._checked}", style="green")
            chosen = self._choose(explorer.objects(self._answers.catalogue))
            for info in self._output.track(chosen, len(chosen), "Looking at the objects"):
                self._inspect(explorer, info)

    def review(self) -> None:
        """Propose, show, and let the person change it until it is right."""
        self._propose()
        for found in self._inspected:
            show_fields(self._output, found)
        show_sampled(self._output, self._inspected, self.proposals)
        self._ask_for_tables()
        if not self.proposals:
            raise ConfigurationError(
                "No object of the system is like a KWikSync table.",
                remedy="Say which one becomes what, such as --object customers=locations.",
            )
        for table in [proposal.table for proposal in self.proposals]:
            self._review_table(table)

    def review_way_out(self) -> None:
        """Propose how the tables are written to the system, where they are to be; a person may leave each out."""
        if self._answers.direction == Direction.INBOUND:
            return
        with closing(self._open()) as explorer:
            proposed = [found for each in self.proposals if (found := self._way_out(explorer, each))]
        for found in proposed:
            show_way_out(self._output, found)
            if self._person.agrees("Write to it so?"):
                self.outbound.append(found)
        if not self.outbound:
            raise ConfigurationError(
                "No object of the system is written to.",
                remedy="Say how by --option TABLE:push.…=…, or connect it inbound.",
            )

    def _way_out(self, explorer: Explorer, proposal: TableProposal) -> OutboundProposal | None:
        from kwiksync_ops.services.outbound_proposals import propose_outbound

        try:
            return propose_outbound(proposal, self._answers.kind, explorer)
        except KwikSyncError as exc:
            self._output.say(f"{proposal.table} is not written to: {exc.message} {exc.remedy}", style="yellow")
            return None

    def preview(self) -> dict[str, Preview]:
        from kwiksync_ops.services.proposals import preview_proposal

        name = self._answers.system
        previews = {each.table: preview_proposal(each, name, self.proposals) for each in self.proposals}
        for proposal in self.proposals:
            show_preview(self._output, proposal, previews[proposal.table])
        return previews

    def write(self) -> list[Path]:
        """Write the files, if the person agrees; and store the Customer Key that was given."""
        from kwiksync_ops.services.system_files import draft_files, write_system

        answers, draft = self._answers, self._draft()
        names = ", ".join(str(path) for path in draft_files(draft))
        if not self._person.agrees(f"Write {names} below {self._session.settings.include}?"):
            raise typer.Abort
        files = write_system(self._session.settings.include, draft, replaces=answers.replaces)
        self._store_key()
        return files

    def head(self, files: Sequence[Path]) -> dict[str, Any]:
        answers = self._answers
        return {
            "system": answers.system,
            "kind": answers.kind,
            "connection": answers.connection,
            "direction": answers.direction,
            "check": self._checked,
            "written": bool(files),
        }

    def say_end(self, files: Sequence[Path], rejected: int) -> None:
        name = self._answers.system
        for path in files:
            self._output.say(f"written  {path}")
        if rejected:
            self._output.say(f"{count(rejected, 'record')} of the previews would be rejected.", style="yellow")
        following = f"Now: kwiksync plan {name}, kwiksync apply {name}, kwiksync sync {name} --mode preview."
        self._output.say(following if files else "Nothing was written.", style="green" if files else "")

    def _draft(self) -> SystemDraft:
        from kwiksync_ops.services.system_files import SystemDraft

        answers = self._answers
        return SystemDraft(
            answers.system,
            answers.kind,
            answers.connection,
            self.proposals,
            options=answers.options.system,
            description=answers.description,
            schedule=answers.schedule,
            timezone=answers.timezone,
            calls_per_minute=answers.calls_per_minute,
            direction=answers.direction,
            outbound=self.outbound,
        )

    def _open(self) -> Explorer:
        from kwiksync_ops.services.discovery import Explorer
        from kwiksync_ops.storage.api_calls import HubCallLimiter

        answers, session = self._answers, self._session
        limiter = HubCallLimiter(session.hub, answers.system, answers.calls_per_minute, session.clock)
        return Explorer(answers.kind, self._credentials(), answers.options.system, limiter, session.clock)

    def _credentials(self) -> Credentials:
        from kwiksync_ops.services.connections import credentials_of, find_connection
        from kwiksync_ops.services.discovery import how_to_make_a_connection
        from kwiksync_ops.services.keys import customer_key

        answers, session = self._answers, self._session
        try:
            found = find_connection(answers.connection)
        except ConfigurationError as exc:
            exc.remedy = how_to_make_a_connection(answers.kind, answers.connection)
            raise
        key = self._key or customer_key(session.hub, session.settings.secret_keys, answers.system)
        return credentials_of(found.host, found.login, found.password, found.extra, key)

    def _customer_key(self) -> str:
        path = self._answers.customer_key_file
        if path is None:
            is_asked = self._person.is_asked and self._answers.kind == "rest"
            return self._person.secret("Customer Key, if the system wants one") if is_asked else ""
        try:
            text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise typer.BadParameter(f"{path} can't be read.", param_hint="--customer-key-file") from exc
        return text.removesuffix("\n").removesuffix("\r")

    def _store_key(self) -> None:
        from kwiksync_ops.services.keys import set_customer_key
        from kwiksync_ops.vault import Vault

        if self._key:
            session, vault = self._session, Vault(self._session.settings.secret_keys)
            set_customer_key(session.hub, vault, self._answers.system, self._key, who=session.who, clock=session.clock)

    def _choose(self, objects: Sequence[ObjectInfo]) -> list[ObjectInfo]:
        """The objects to look at: those that were named, else those that a person picks, or that look likely."""
        from kwiksync_ops.services.discovery import likely_objects, named_objects

        if self._answers.objects:
            return named_objects(objects, list(self._answers.objects), self._unlisted())
        if not objects:
            return self._named_by_person()
        likely = likely_objects(objects)
        if not self._person.is_asked:
            return [info for info in objects if info.name in likely] or list(objects)
        show_objects(self._output, objects[:_MOST_SHOWN], likely)
        numbers = ", ".join(str(at) for at, info in enumerate(objects, 1) if info.name in likely)
        return self._person.again(
            lambda: _picked(objects, self._person.text("Which ones? Numbers, or names", default=numbers))
        )

    def _unlisted(self) -> list[str]:
        """Objects that no list has to hold: paths, file patterns, and queries."""
        options = self._answers.options.tables
        is_open = self._answers.kind in ("files", "rest")
        return [name for name, table in self._tables.items() if is_open or "query" in options.get(table, {})]

    def _named_by_person(self) -> list[ObjectInfo]:
        from kwiksync_ops.services.discovery import named_objects

        text = self._person.text("Its objects (paths below the base URL, or file patterns), with commas between")
        names = list(parse_objects([name.strip() for name in text.split(",") if name.strip()]).items())
        if not names:
            raise ConfigurationError(
                "The system has no list of its objects.",
                remedy="Name them by --object, such as --object /api/v1/tickets; or their list by --catalogue.",
            )
        self._tables |= dict(names)
        return named_objects([], [name for name, _ in names])

    def _inspect(self, explorer: Explorer, info: ObjectInfo) -> None:
        """Look at an object. One that was not named, and can't be looked at, is left out."""
        from kwiksync_ops.services.discovery import likely_objects

        table = self._tables.get(info.name) or likely_objects([info]).get(info.name, "")
        try:
            self._inspected.append(explorer.inspect(info, self._answers.options.tables.get(table)))
        except KwikSyncError as exc:
            if info.name in self._tables:
                raise
            self._output.say(f"{info.name} is left out: {exc.message}", style="yellow")

    def _propose(self) -> None:
        from kwiksync_ops.services.proposals import choose_tables, propose

        wanted = {name: table for name, table in self._tables.items() if table}
        self.proposals = propose(self._inspected, choose_tables(self._inspected, wanted), self._wishes)

    def _ask_for_tables(self) -> None:
        """A table for each object that is like none; without a person that is an error for one that was named."""
        chosen = {proposal.inspected.info.name for proposal in self.proposals}
        for name in (found.info.name for found in self._inspected):
            if name in chosen or not (self._person.is_asked or name in self._answers.objects):
                continue
            if not self._person.is_asked:
                raise ConfigurationError(
                    f"{name} is like no KWikSync table that is left.",
                    remedy=f"Say which one it becomes: --object {name}=TABLE.",
                )
            self._person.again(lambda name=name: self._take_table(name))  # type: ignore[misc]  # bound now

    def _take_table(self, name: str) -> None:
        table = self._person.text(f"{name} is like no table. Which one does it become? Nothing leaves it out")
        if table:
            parse_objects([f"{name}={table}"])
            self._tables[name] = table
            self._propose()

    def _review_table(self, table: str) -> None:
        while True:
            proposal = next(each for each in self.proposals if each.table == table)
            show_proposal(self._output, proposal)
            if proposal.key is None:
                self._need_key(proposal)
            elif self._person.agrees("Take it so?"):
                return
            else:
                self._person.again(lambda: self._change(table))

    def _need_key(self, proposal: TableProposal) -> None:
        problem = f"No field of {proposal.inspected.info.name} has a value in each record that never comes twice."
        if not self._person.is_asked:
            raise ConfigurationError(
                problem, remedy=f"Name the one that identifies a record: --key {proposal.table}=FIELD."
            )
        self._output.say(problem, style="yellow")
        self._person.again(
            lambda: self._wish(proposal.table, f"key={self._person.text('Which one identifies a record?')}")
        )

    def _change(self, table: str) -> None:
        text = self._person.text("COLUMN=FIELD, key=FIELD or cursor=FIELD; nothing after the = leaves it empty")
        if text:
            self._wish(table, text)

    def _wish(self, table: str, text: str) -> None:
        """One change by a person; a wrong one changes nothing."""
        name, sign, source = (part.strip() for part in text.partition("="))
        if not sign or not name or (name == "key" and not source):
            raise typer.BadParameter(f"{text!r} is not COLUMN=FIELD.")
        before, own = self._wishes, self._wishes
        match name:
            case "key":
                own = replace(own, keys={**own.keys, table: source})
            case "cursor":
                own = replace(own, cursors={**own.cursors, table: source})
            case _:
                own = replace(own, fields={**own.fields, (table, name): source})
        self._wishes = own
        try:
            self._propose()
        except ConfigurationError:
            self._wishes = before
            raise


def _picked(objects: Sequence[ObjectInfo], text: str) -> list[ObjectInfo]:
    by_name = {info.name: info for info in objects}
    by_number = {str(at): info for at, info in enumerate(objects, 1)}
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = next((word for word in words if word not in by_name and word not in by_number), None)
    if unknown or not words:
        hint = did_you_mean(unknown, by_name) if unknown else ""
        raise ConfigurationError(f"There is no object {unknown or ''!r} in the list.{hint}")
    return list({info.name: info for info in (by_name.get(word) or by_number[word] for word in words)}.values())
