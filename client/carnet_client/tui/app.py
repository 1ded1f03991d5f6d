"""The screen: conversations, what one of them says, and a line to write in. Alarms stay on top."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Footer, Input, Label, ListItem, ListView, ProgressBar, Static

from carnet_client.answers import AccountInfo, ThreadInfo
from carnet_client.cli.faults import explain
from carnet_client.cli.showing import lines_of, plain
from carnet_client.conversation import Conversation
from carnet_client.errors import ClientError, UserMistake
from carnet_client.events import Alarm, Connected, Disconnected, Event, ThreadChanged
from carnet_client.messenger import Messenger
from carnet_client.tui.screens import AlarmsScreen, AskScreen, PickScreen, SafetyScreen
from carnet_crypto.errors import ProtocolError
from carnet_crypto.secret.filenames import safe_name
from carnet_crypto.values import AccountId, ThreadId

FAILURES = (ClientError, ProtocolError, OSError)


class ThreadItem(ListItem):
    """A conversation in the list."""

    def __init__(self, thread: ThreadId, title: str) -> None:
        super().__init__(Label(title, markup=False))
        self.thread = thread


class ChatApp(App[None]):
    """See the module.

    Args:
        messenger: signed in and enrolled; whoever made it closes it.
    """

    TITLE = "carnet-client"
    CSS = """
    #alarms { background: $error; color: $text; padding: 0 1; display: none; }
    #alarms.shown { display: block; }
    #threads { width: 34; border-right: solid $panel; }
    #title { padding: 0 1; background: $panel; height: 1; }
    #messages { padding: 0 1; }
    .message { margin: 0 0 1 0; }
    .own { color: $accent; }
    #progress { display: none; height: 1; padding: 0 1; }
    #progress.shown { display: block; }
    #state { height: 1; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "begin", "New"),
        Binding("ctrl+o", "attach", "Send file"),
        Binding("ctrl+s", "save", "Save file"),
        Binding("f2", "verify", "Safety number"),
        Binding("f3", "alarms", "Alarms"),
        Binding("ctrl+q", "quit", "Quit"),
    ]

    def __init__(self, messenger: Messenger) -> None:
        super().__init__()
        self.messenger = messenger
        self.conversation: Conversation | None = None
        self.state_text = "Connecting…"
        self._infos: dict[ThreadId, ThreadInfo] = {}

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Static(id="alarms", markup=False)
        with Horizontal():
            yield ListView(id="threads")
            with Vertical():
                yield Static("Ctrl+N begins a conversation.", id="title", markup=False)
                yield VerticalScroll(id="messages")
                yield ProgressBar(id="progress", show_eta=False)
                yield Input(placeholder="Write, and press Enter", id="composer")
        yield Static(self.state_text, id="state", markup=False)
        yield Footer()

    async def on_mount(self) -> None:
        """List the conversations, open the latest, and follow."""
        self.query_one("#composer", Input).focus()
        self._follow()
        self._begin()

    @work(group="begin", exit_on_error=False)
    async def _begin(self) -> None:
        async def act() -> None:
            await self.messenger.people()
            await self._list()
            if self._infos and self.conversation is None:
                await self._open(next(iter(self._infos)))

        await self._try(act)

    # --- what happens

    @work(group="follow", exit_on_error=False)
    async def _follow(self) -> None:
        async def act() -> None:
            async for event in self.messenger.follow():
                await self._take(event)

        await self._try(act)

    async def _take(self, event: Event) -> None:
        match event:
            case Connected():
                self._say("Connected. What you see is what the server has, verified.")
                await self._list()
                await self._show()
            case Disconnected():
                self._say("The server does not answer; trying again.")
            case ThreadChanged(thread=thread):
                await self._list()
                if self.conversation is not None and self.conversation.id == thread:
                    await self._show()
                    await self._read()
            case Alarm():
                self._show_alarms()

    def _say(self, text: str) -> None:
        self.state_text = text
        self.query_one("#state", Static).update(text)

    def _show_alarms(self) -> None:
        alarms = self.messenger.alarms
        bar = self.query_one("#alarms", Static)
        more = f" (and {len(alarms) - 1} more: F3)" if len(alarms) > 1 else " (F3)"
        bar.update(f"! {alarms[-1].message}{more}" if alarms else "")
        bar.set_class(bool(alarms), "shown")

    # --- showing

    async def _list(self) -> None:
        found = await self.messenger.threads()
        self._infos = {info.id: info for info in found}
        shown = self.query_one("#threads", ListView)
        chosen = None if self.conversation is None else self.conversation.id
        own = {info.id for info in (await self.messenger.viewer()).accounts}
        items = [ThreadItem(info.id, self._title(info, own)) for info in found]
        await shown.clear()
        await shown.extend(items)
        for index, info in enumerate(found):
            if info.id == chosen:
                shown.index = index
        self._show_alarms()

    def _title(self, info: ThreadInfo, own: set[AccountId]) -> str:
        names = [plain(self.messenger.name(m.id)) for m in info.members if m.id not in own]
        unread = f" ({info.unread})" if info.unread else ""
        closed = " closed" if not info.is_open else ""
        return f"{', '.join(names) or 'nobody else'}{unread}{closed}"

    async def _open(self, thread: ThreadId) -> None:
        self.conversation = await self.messenger.thread(thread)
        await self._show()
        await self._read()

    async def _read(self) -> None:
        if self.conversation is not None and self.conversation.is_open:
            await self.conversation.mark_read()

    async def _show(self) -> None:
        conversation = self.conversation
        if conversation is None:
            return
        title = plain(conversation.title)
        if not conversation.is_open:
            title += " (nothing can be written any more)"
        self.query_one("#title", Static).update(title)
        pane = self.query_one("#messages", VerticalScroll)
        shown = []
        for message in conversation.messages:
            lines = lines_of(self.messenger, conversation, message)
            own = " own" if message.author == conversation.account else ""
            shown.append(Static("\n".join(lines), markup=False, classes=f"message{own}"))
        await pane.remove_children()
        await pane.mount(*shown)
        pane.scroll_end(animate=False)
        self.query_one("#composer", Input).disabled = not conversation.is_open
        self._show_alarms()

    # --- doing

    async def on_list_view_selected(self, event: ListView.Selected) -> None:
        """Open a conversation."""
        if isinstance(event.item, ThreadItem):
            thread = event.item.thread
            self._run(lambda: self._open(thread))
            self.query_one("#composer", Input).focus()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send what was written; it stays in the line until the server has it."""
        if event.input.id != "composer" or not event.value.strip():
            return
        text = event.value

        async def act() -> None:
            conversation = self._chosen()
            event.input.disabled = True
            try:
                await conversation.send(text)
                event.input.value = ""
            finally:
                event.input.disabled = not conversation.is_open
                event.input.focus()
            await self._show()

        self._run(act)

    def action_begin(self) -> None:
        """Begin a conversation with somebody."""

        async def act() -> None:
            people = [
                info for info in await self.messenger.people() if info.id != self.messenger.account
            ]
            if not people:
                raise UserMistake("There is nobody you can write to who has enrolled.")
            chosen = await self.push_screen_wait(
                PickScreen("Write to whom?", [plain(info.name) for info in people])
            )
            if chosen is not None:
                await self._write_to(people[chosen])

        self._run(act)

    async def _write_to(self, info: AccountInfo) -> None:
        found = await self.messenger.find(bytes(info.id).hex())
        self.conversation = await self.messenger.open_thread([found])
        await self._list()
        await self._show()
        self.query_one("#composer", Input).focus()

    def action_attach(self) -> None:
        """Send a file."""

        async def act() -> None:
            conversation = self._chosen()
            typed = await self.push_screen_wait(AskScreen("Which file?"))
            if not typed:
                return
            try:
                self._progress(0, 1)
                await conversation.attach(path_of(typed), progress=self._progress)
            finally:
                self.query_one("#progress").remove_class("shown")
            await self._show()

        self._run(act)

    def _progress(self, done: int, total: int) -> None:
        bar = self.query_one("#progress", ProgressBar)
        bar.add_class("shown")
        bar.update(total=max(total, 1), progress=done)

    def action_save(self) -> None:
        """Save a file of the conversation."""

        async def act() -> None:
            conversation = self._chosen()
            files = [
                (message, index)
                for message in conversation.messages
                for index in range(len(message.files))
            ]
            if not files:
                raise UserMistake("There is no file in this conversation.")
            names = [f"#{m.number} {safe_name(m.files[index].name)}" for m, index in files]
            chosen = await self.push_screen_wait(PickScreen("Save which?", names))
            if chosen is None:
                return
            folder = await self.push_screen_wait(AskScreen("To which folder?", str(Path.cwd())))
            if folder:
                message, index = files[chosen]
                target = path_of(folder)
                try:
                    path = await conversation.save(message, target, index, self._progress)
                finally:
                    self.query_one("#progress").remove_class("shown")
                self.notify(f"Saved as {path}", markup=False)

        self._run(act)

    def action_verify(self) -> None:
        """Compare safety numbers with somebody of the conversation."""

        async def act() -> None:
            conversation = self._chosen()
            others = [m for m in conversation.members if m != conversation.account]
            for account in others:
                name = plain(self.messenger.name(account))
                number = await self.messenger.safety_number(account)
                verified = self.messenger.is_verified(account)
                if await self.push_screen_wait(SafetyScreen(name, number, verified)):
                    await self.messenger.verify(account)
                    self.notify(f"{name} is verified.", markup=False)
            self._show_alarms()

        self._run(act)

    def action_alarms(self) -> None:
        """Show all alarms, and put those aside that were seen."""

        async def act() -> None:
            alarms = list(self.messenger.alarms)
            if await self.push_screen_wait(AlarmsScreen([alarm.message for alarm in alarms])):
                for alarm in alarms:
                    self.messenger.dismiss(alarm)
            self._show_alarms()

        self._run(act)

    def _chosen(self) -> Conversation:
        if self.conversation is None:
            raise UserMistake("Choose a conversation first, or begin one with Ctrl+N.")
        return self.conversation

    @work(group="acts", exit_on_error=False)
    async def _run(self, act: Callable[[], Awaitable[None]]) -> None:
        await self._try(act)

    async def _try(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except FAILURES as error:
            is_ours = isinstance(error, ClientError | OSError)
            text = explain(error) if is_ours else f"That failed: {error}"
            self.notify(text, severity="error", timeout=10, markup=False)
            self._show_alarms()


def path_of(typed: str) -> Path:
    """Return the path that somebody typed; ~ is their home."""
    return Path(typed.strip()).expanduser()
