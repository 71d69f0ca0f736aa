"""Controls that several parts of the page share."""

from typing import Any

import gradio as gr

from ..generator import Generator


def seed_field(label: str, value: int, name: str, *, visible: bool = True) -> Any:
    """The control of a seed. name: its id in the page."""
    number = gr.Number(
        value, label=label, precision=0, minimum=0, maximum=2**32 - 1, elem_id=name, visible=visible, min_width=110
    )
    return as_typed(number)


def strict(control: Any) -> Any:
    """The control, with one message on the page for invalid values; the terminal stays quiet."""
    preprocess = control.preprocess

    def checked(payload: Any) -> Any:
        try:
            return preprocess(payload)
        except Exception as error:  # A stranger's values may cause nearly any.
            shown = repr(payload)[:60]
            raise gr.Error(f"{control.label or 'this field'} cannot be {shown}", print_exception=False) from error

    control.preprocess = checked
    return control


def as_typed(control: Any) -> Any:
    """The control, with values as typed, for the studio to check.

    Gradio turns 1.5 into 2, and complains about unused fields.
    """
    control.preprocess = lambda payload: payload
    return control


def layer_names(G: Generator) -> list[tuple[str, int]]:
    """The layers with the resolution that each works at."""
    sizes = [2 ** (i // 2 + 2) for i in range(G.num_ws)]
    return [(f"{i} ({size}x{size})", i) for i, size in enumerate(sizes)]
