"""What is asked in front of the screen: which one, which path, whether two numbers are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

_CSS = """
{name} { align: center middle; }
{name} > Vertical { width: 72; height: auto; max-height: 80%; padding: 1 2;
    background: $surface; border: thick $primary; }
{name} .digits { text-style: bold; margin: 1 0; }
{name} Horizontal { height: auto; }
{name} Button { margin-right: 2; }
"""


class PickScreen(ModalScreen[int | None]):
    """One of several; Escape picks none."""

    CSS = _CSS.replace("{name}", "PickScreen")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, question: str, names: Sequence[str]) -> None:
        super().__init__()
        self._question, self._names = question, names

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield OptionList(*(Option(name) for name in self._names), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer with the place of what was picked."""
        self.dismiss(event.option_index)


class AskScreen(ModalScreen[str | None]):
    """A line of text; Escape gives none."""

    CSS = _CSS.replace("{name}", "AskScreen")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, question: str, value: str = "") -> None:
        super().__init__()
        self._question, self._value = question, value

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Input(self._value, id="answer")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer with the line."""
        event.stop()
        self.dismiss(event.value)


class SafetyScreen(ModalScreen[bool]):
    """Sixty digits to compare with somebody."""

    CSS = _CSS.replace("{name}", "SafetyScreen")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "Back")]

    def __init__(self, name: str, number: str, is_verified: bool | None) -> None:
        super().__init__()
        self._who, self._number, self._is_verified = name, number, is_verified

    def compose(self) -> ComposeResult:
        """Lay it out."""
        groups = self._number.split()
        lines = [" ".join(groups[at : at + 4]) for at in range(0, len(groups), 4)]
        state = {
            True: "You have verified them.",
            False: "You have not verified them yet.",
            None: "It has changed since you verified them.",
        }
        with Vertical():
            yield Static(f"You and {self._who}", markup=False)
            yield Static("\n".join(lines), classes="digits", id="digits", markup=False)
            yield Static(
                f"{state[self._is_verified]} Compare the digits, by voice or at the desk: if both "
                "of you see the same, nobody stands between you.",
                markup=False,
            )
            with Horizontal():
                yield Button("The same: verified", variant="success", id="same")
                yield Button("Not the same, or later", id="later")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer whether they are the same."""
        self.dismiss(event.button.id == "same")


class AlarmsScreen(ModalScreen[bool]):
    """All alarms."""

    CSS = _CSS.replace("{name}", "AlarmsScreen")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "Back")]

    def __init__(self, alarms: Sequence[str]) -> None:
        super().__init__()
        self._alarms = alarms

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical():
            text = "\n\n".join(f"! {alarm}" for alarm in self._alarms) or "No alarms."
            yield Static(text, id="texts", markup=False)
            with Horizontal():
                yield Button("I have seen them", variant="warning", id="seen")
                yield Button("Back", id="back")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer whether they can be put aside."""
        self.dismiss(event.button.id == "seen")
