"""The layout of the demo: one image, and four ways to make it. Needs Gradio, like `photo_tab` and `controls`.

Above 300 lines, as the events of a page and the controls that they change are read together.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..errors import InputError, StyleGANError
from ..generator import Generator
from ..latents.bands import layer_indices
from ..latents.seeds import check_seeds
from ..runtime.choices import DRAWN_NOISE
from .controls import as_typed, layer_names, seed_field, strict
from .kept import KeptImages
from .photo_tab import PhotoTab
from .studio import MAX_PSI, Look, Studio
from .turns import Turns
from .words import BAND_TEXTS, LABELS, NOISE, caption, class_names, licence, no_edits, title

logger = logging.getLogger(__name__)

# One image is computed at a time: how many more may wait, and how many are kept for browsers to fetch.
QUEUE = 32
KEPT = 500

FIRST_SEED = 5
NO_SEED = "a seed is missing: enter an integer from 0 to 4294967295"
OWN = 7  # Controls that one of the tabs has.


def css() -> str:
    """The style sheet of the page."""
    return (resources.files(__package__) / "page.css").read_text()


def script() -> str:
    """What the page does in the browser: a function in JavaScript."""
    return (resources.files(__package__) / "page.js").read_text()


def theme() -> Any:
    """Gradio's plainest theme with system fonts: it fetches none."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )


def build_page(studio: Studio, folder: Path) -> Any:
    """The demo as Gradio blocks. folder: for the images that it sends."""
    return _Page(studio, folder).blocks


class _Page:
    """The controls by name, and the functions behind them."""

    def __init__(self, studio: Studio, folder: Path):
        self.studio, self.kept, self.turns = studio, KeptImages(folder, limit=KEPT), Turns(limit=QUEUE)
        self.first = next(iter(studio.models))
        self.edits = sorted({name for edits in studio.directions.values() for name in edits})
        with gr.Blocks(title="stylegan", analytics_enabled=False, fill_width=False) as self.blocks:
            self._lay_out(studio.generator(self.first))
            self._connect()
        self.blocks.queue(max_size=QUEUE, default_concurrency_limit=1, api_open=False)

    # Layout.

    def _lay_out(self, G: Generator) -> None:
        with gr.Row(elem_id="top"):
            self.title = gr.HTML(title(G, self.studio.models[self.first]), elem_id="title")
            self.model = gr.Dropdown(
                list(self.studio.models),
                value=self.first,
                label=LABELS["model"],
                container=False,
                min_width=160,
                scale=0,
                elem_id="model",
            )
        with gr.Row(elem_id="stage"):
            with gr.Column(elem_id="left", min_width=300, scale=5):
                self.picture = gr.Image(
                    show_label=False, buttons=["fullscreen"], elem_id="picture", alt_text="The generated picture"
                )
                with gr.Row(elem_id="under"):
                    self.caption = gr.HTML(elem_id="caption")
                    self.save = gr.DownloadButton("Save PNG", elem_id="save", size="sm", min_width=110, scale=0)
            with gr.Column(elem_id="right", min_width=300, scale=6):
                self.what = gr.Radio(["face", "mix", "between", "photo"], value="face", visible="hidden", label="what")
                with gr.Tabs():
                    with gr.Tab("One picture") as self.face_tab:
                        self._lay_out_face()
                    with gr.Tab("Mix two") as self.mix_tab:
                        self._lay_out_mix(G)
                    with gr.Tab("In between") as self.between_tab:
                        self._lay_out_between()
                    with gr.Tab("Your photo") as self.photo_tab:
                        self.photo = PhotoTab(self.studio, self.kept, self.first, limit=KEPT)
                self._lay_out_look(G)
        self.licence = gr.HTML(licence(G), elem_id="licence")

    def _lay_out_face(self) -> None:
        with gr.Row(equal_height=True, elem_classes="seeds"):
            self.seed = seed_field(LABELS["seed"], FIRST_SEED, "seed")
            self.new_face = gr.Button("New picture", variant="primary", elem_id="new-face", min_width=120)
        gr.HTML("Or pick one:", elem_classes="hint")
        self.seeds = gr.State([])
        self.gallery = gr.Gallery(
            columns=6,
            allow_preview=False,
            show_label=False,
            container=False,
            buttons=[],
            height="auto",
            interactive=False,
            elem_id="gallery",
        )
        self.more = gr.Button("Others", size="sm", elem_id="more")

    def _lay_out_mix(self, G: Generator) -> None:
        self.mix_a, self.mix_b, self.mix_images, self.mix_new = self._pair("mix", 2, 9)
        gr.HTML("A, with these styles of B:", elem_classes="hint")
        with gr.Row(elem_classes="bands"):
            self.bands = {
                name: gr.Button(f"{name}\n{text}", size="sm", elem_id=f"band-{name}", min_width=90)
                for name, text in BAND_TEXTS.items()
            }
        self.layers = gr.CheckboxGroup(
            layer_names(G), value=_band(G, "coarse"), label=LABELS["layers"], elem_id="layers", container=False
        )

    def _lay_out_between(self) -> None:
        self.between_a, self.between_b, self.between_images, self.between_new = self._pair("between", 6, 21)
        self.position = gr.Slider(0, 1, value=0.5, step=0.01, label=LABELS["position"], elem_id="position", buttons=[])

    def _lay_out_look(self, G: Generator) -> None:
        with gr.Group(elem_id="look"):
            self.psi = gr.Slider(
                -MAX_PSI,
                MAX_PSI,
                value=G.recommended_truncation["truncation_psi"],
                step=0.05,
                label=LABELS["truncation_psi"],
                info="0 is the average picture, 1 full variety, below 0 the opposite.",
                elem_id="psi",
            )
            self.cutoff = gr.Slider(
                0,
                G.num_ws,
                value=G.num_ws,
                step=1,
                label=LABELS["truncation_cutoff"],
                info="Counted from the coarsest; the others keep full variety.",
                elem_id="cutoff",
            )
            with gr.Row(elem_id="noise-row"):
                self.noise = gr.Radio(NOISE, value="const", label=LABELS["noise_mode"], elem_id="noise")
                self.noise_seed = seed_field(LABELS["noise_seed"], 0, "noise-seed", visible=False)
            self.label = gr.Slider(
                0,
                max(1, G.label_dim - 1),
                value=0,
                step=1,
                label=LABELS["label"],
                info=class_names(G),
                visible=G.label_dim > 0,
                elem_id="label",
            )
            with gr.Accordion("Edit", open=False, elem_id="edit"):
                self.no_edits = gr.HTML(
                    no_edits(self.first),
                    visible=not self.studio.directions.get(self.first),
                    elem_id="no-edits",
                    elem_classes="hint",
                )
                self.sliders = [self._direction_slider(name) for name in self.edits]

    def _direction_slider(self, name: str) -> Any:
        """The control of an editing direction."""
        visible = name in self.studio.directions.get(self.first, {})
        return gr.Slider(-3, 3, value=0, step=0.1, label=name, visible=visible, elem_id=f"edit-{name}")

    def _pair(self, name: str, seed_a: int, seed_b: int) -> tuple[Any, Any, list[Any], Any]:
        """Two seeds with their images, and a button that draws both anew."""
        seeds, shown = [], []
        with gr.Row(elem_classes="pair"):
            for side, seed in (("a", seed_a), ("b", seed_b)):
                with gr.Column(min_width=110):
                    shown.append(
                        gr.Image(
                            show_label=False,
                            container=False,
                            buttons=[],
                            elem_classes="source",
                            elem_id=f"{name}-{side}",
                        )
                    )
                    seeds.append(seed_field(f"{LABELS['seed']} {side.upper()}", seed, f"{name}-seed-{side}"))
            new = gr.Button("New pair", variant="primary", elem_id=f"{name}-new", min_width=100)
        return seeds[0], seeds[1], shown, new

    # What happens.

    def _connect(self) -> None:
        for control in (self.what, self.model, self.layers, self.noise):
            strict(control)
        for control in (self.position, self.psi, self.cutoff, self.label, *self.sliders):
            as_typed(control)
        look = [self.model, self.psi, self.cutoff, self.noise, self.noise_seed, self.label, *self.sliders]
        own = [self.seed, self.mix_a, self.mix_b, self.layers, self.between_a, self.between_b, self.position]
        # Answers from Gradio's queue share one stream per page. Its end may reach a busy browser after the next event
        # has joined it; that event's answer is then lost. Without the queue, each event is one request with one answer.
        shared: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
        pictures = [self.picture, self.caption, self.save, *self.mix_images, *self.between_images]
        show: dict[str, Any] = {
            "fn": self._in_turn(self.show_or_tell),
            "inputs": [self.what, *self.photo.inputs, *own, *look],
            "outputs": [*pictures, *self.photo.outputs],
            **shared,
        }
        # While a slider moves, only its last position counts.
        moved = [control.input for control in (*self.photo.inputs, *own, *look[1:])]
        gr.on(moved, **show, trigger_mode="always_last")
        public = {"fn": self._in_turn(self.show), "api_visibility": "public", "queue": True}
        gr.on([], **{**shared, **public}, inputs=[self.what, *own, *look], outputs=pictures, api_name="picture")
        take = {"inputs": [self.photo.sent, self.model], "outputs": self.photo.taken, **shared}
        photo = "async (_, model) => [await window.stylegan_photo(), model]"
        self.photo.send.click(self._in_turn(self.photo.take), **take, js=photo).then(**show)

        outputs = [self.gallery, self.seeds]
        suggest = {"fn": self._in_turn(self.suggest), "inputs": look, "outputs": outputs, **shared}
        self._connect_buttons(show, shared)
        self.more.click(**suggest)
        changed = [self.title, self.licence, self.cutoff, self.layers, self.label, self.no_edits, *self.sliders]
        changed += self.photo.changed
        choose = {"fn": self._in_turn(self.choose), "inputs": self.model, "outputs": changed, **shared}
        self.model.input(**choose).then(**show).then(**suggest)
        self.blocks.unload(self.ended)
        self.blocks.load(**show).then(**suggest)

    def _connect_buttons(self, show: dict[str, Any], quiet: dict[str, Any]) -> None:
        """What first sets a control, and then shows the image."""
        # Few enough digits to be remembered.
        draw = "() => Math.floor(Math.random() * 1e5)"
        draw_two = "() => [0, 0].map(() => Math.floor(Math.random() * 1e5))"
        self.new_face.click(None, None, self.seed, js=draw, **quiet).then(**show)
        self.mix_new.click(None, None, [self.mix_a, self.mix_b], js=draw_two, **quiet).then(**show)
        self.between_new.click(None, None, [self.between_a, self.between_b], js=draw_two, **quiet).then(**show)
        tabs = {"face": self.face_tab, "mix": self.mix_tab, "between": self.between_tab, "photo": self.photo_tab}
        for name, tab in tabs.items():
            tab.select(None, None, self.what, js=f"() => '{name}'", **quiet).then(**show)
        for name, button in self.bands.items():
            choose = self._in_turn(lambda _, model, name=name: _band(self.studio.generator(model), name))
            button.click(choose, self.model, self.layers, **quiet).then(**show)
        self.noise.input(lambda mode: gr.update(visible=mode in DRAWN_NOISE), self.noise, self.noise_seed, **quiet)
        self.gallery.select(self.chosen, self.seeds, self.seed, **quiet).then(**show)

    def _in_turn(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Calls the function with the session first, in its turn; errors become messages on the page."""

        async def call(request: gr.Request, *arguments: Any) -> Any:
            session = str(request.session_hash)
            try:
                return await self.turns.take(session, function, session, *arguments)
            except asyncio.CancelledError as error:
                raise gr.Error("This page was left.", print_exception=False) from error
            except StyleGANError as error:
                raise gr.Error(str(error), print_exception=False) from error
            except Exception as error:
                logger.warning("%s: %s", type(error).__name__, error)
                raise gr.Error("This picture cannot be made.", print_exception=False) from error

        return call

    def ended(self, request: gr.Request) -> None:
        """A browser has left."""
        session = str(request.session_hash)
        self.turns.forget(session)
        self.photo.forget(session)
        self.kept.forget(session)

    def show_or_tell(self, session: str, what: str, photo_seed: Any, photo_layers: Any, *values: Any) -> list[Any]:
        """As `show`, and the photo; an error takes the caption's place until the next image."""
        of_photo = [gr.skip()] * len(self.photo.outputs)
        try:
            look = self._look(list(values[OWN:]))
            photo = self.photo.photos.get(session, look.model) if what == "photo" else None
            if photo is None:
                return [*self.show(session, what, *values), *of_photo]
            if photo_seed is None or (look.noise_mode in DRAWN_NOISE and look.noise_seed is None):
                return [*_told(NO_SEED), *of_photo]
            shown, of_photo = self.photo.show(session, photo, photo_seed, photo_layers, look)
            return [*shown, *[gr.skip()] * 4, *of_photo]
        except InputError as error:
            return [*_told(str(error)), *of_photo]

    def show(self, session: str, what: str, *values: Any) -> list[Any]:
        """Values of all controls -> image, caption, file to save, and the images of the two pairs.

        what: in the tab of photos, the first seed's image is shown until there is a photo.
        """
        seed, mix_a, mix_b, layers, between_a, between_b, position, *rest = values
        look, skip = self._look(rest), gr.skip()
        every = (seed, mix_a, mix_b, between_a, between_b, look.noise_seed)
        check_seeds([one for one in every if one is not None])
        seeds = {"mix": [mix_a, mix_b], "between": [between_a, between_b]}.get(what, [seed])
        if None in seeds or (look.noise_mode in DRAWN_NOISE and look.noise_seed is None):
            return _told(NO_SEED)
        made: list[Image.Image]
        if what == "mix":
            made = self.studio.mix(seeds, layers, look)
            beside = [*self.kept.keep(session, made[1:]), skip, skip]
        elif what == "between":
            made = self.studio.between(seeds, position, look)
            beside = [skip, skip, *self.kept.keep(session, made[1:])]
        else:
            made, beside = self.studio.faces(seeds, look), [skip] * 4
        path = self.kept.keep(session, made[:1])[0]
        return [path, caption(made[0]), path, *beside]

    def suggest(self, session: str, *values: Any) -> tuple[list[Any], list[int]]:
        """Some faces from fresh seeds to pick from, and their seeds."""
        look = self._look(list(values))
        count = 12 if self.studio.generator(look.model).img_resolution <= 128 else 6
        seeds = [secrets.randbelow(100_000) for _ in range(count)]
        return self.kept.keep(session, self.studio.faces(seeds, look)), seeds

    def chosen(self, seeds: list[int], event: gr.SelectData) -> int:
        """The seed of the face that was picked."""
        index: int = event.index
        return seeds[index]

    def choose(self, session: str, model: str) -> list[Any]:
        """What the controls offer for a model."""
        G = self.studio.generator(model)
        names = self.studio.directions.get(model, {})
        return [
            title(G, self.studio.models[model]),
            licence(G),
            gr.update(maximum=G.num_ws, value=G.num_ws),
            gr.update(choices=layer_names(G), value=_band(G, "coarse")),
            gr.update(maximum=max(1, G.label_dim - 1), value=0, info=class_names(G), visible=G.label_dim > 0),
            gr.update(value=no_edits(model), visible=not names),
            *[gr.update(visible=name in names, value=0) for name in self.edits],
            *self.photo.chosen(session, model),
        ]

    def _look(self, values: list[Any]) -> Look:
        model, psi, cutoff, noise, noise_seed, label, *strengths = values
        G = self.studio.generator(model)
        edits = self.studio.directions.get(model, {})
        return Look(
            model=model,
            truncation_psi=psi,
            truncation_cutoff=None if cutoff == G.num_ws else cutoff,
            noise_mode=noise,
            noise_seed=noise_seed,
            label=label,
            strengths=tuple(pair for pair in zip(self.edits, strengths, strict=True) if pair[0] in edits),
        )


def _told(message: str) -> list[Any]:
    """What `show` returns instead of an image: the message, and everything else as it was."""
    return [gr.skip(), f'<span class="wrong" role="alert">{escape(message)}</span>', *[gr.skip()] * 5]


def _band(G: Generator, name: str) -> list[int]:
    return layer_indices(name, G.num_ws)
