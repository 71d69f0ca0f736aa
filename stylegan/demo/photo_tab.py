"""The tab of photos: its layout, and what happens in it."""

import dataclasses
import hashlib
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from .. import images
from ..errors import InputError
from ..latents.files import Latents
from ..weights.hub.cache import sha256_of
from .controls import as_typed, layer_names, seed_field, strict
from .kept import PHOTO, KeptImages
from .photo import Photo, Photos, encode_photo, read_data_url
from .studio import Look, Studio
from .words import LABELS, caption, no_encoder

CHANGES = ("seed", "layers")  # What an image stores about a change to a photo, besides the directions.

# `page.js` sends the chosen photo as a data URL: the server takes no files.
_CHOOSE = """
<div class="choose">
  <label class="button">Choose a photo<input id="photo-file" type="file" accept="image/*"></label>
  <button class="button" id="photo-camera" type="button">Camera</button>
</div>
<video id="photo-video" muted playsinline hidden></video>
"""


class PhotoTab:
    """The controls, laid out where it is made, and the functions behind them."""

    def __init__(self, studio: Studio, kept: KeptImages, model: str, *, limit: int):
        self.studio, self.kept, self.photos = studio, kept, Photos(limit=limit)
        G, can = studio.generator(model), studio.encoder(model) is not None
        self.no_encoder = gr.HTML(no_encoder(model), visible=not can, elem_id="no-encoder", elem_classes="hint")
        with gr.Column(visible=can) as self.controls:
            gr.HTML(_CHOOSE, elem_id="photo-choose")
            self.sent = as_typed(gr.Textbox(visible=False))
            self.send = gr.Button(visible="hidden", elem_id="photo-send")
            self.note = gr.HTML(elem_id="photo-note", elem_classes="hint")
            with gr.Row(elem_classes="pair"):
                with gr.Column(min_width=110):
                    gr.HTML("The photo, cropped:", elem_classes="hint")
                    self.square = _image("photo-square", "The photo, cropped")
                with gr.Column(min_width=110):
                    gr.HTML("As the model makes it:", elem_classes="hint")
                    self.made = _image("photo-made", "The photo as the model makes it")
            gr.HTML("The photo as A, with these styles of a seed as B:", elem_classes="hint")
            with gr.Row(elem_classes="pair"):
                with gr.Column(min_width=110, scale=1):
                    self.beside = _image("photo-beside", "The picture of the seed")
                    self.seed = seed_field(LABELS["seed"], 9, "photo-seed")
                with gr.Column(min_width=110, scale=3):
                    self.layers = strict(
                        gr.CheckboxGroup(
                            layer_names(G), value=[], label=LABELS["layers"], elem_id="photo-layers", container=False
                        )
                    )
            self.save = gr.DownloadButton("Save latents", elem_id="photo-save", size="sm")
        self.taken = [self.note, self.square, self.made]  # Outputs of `take`,
        self.inputs, self.outputs = [self.seed, self.layers], [self.beside, self.save]  # `show`,
        self.changed = [self.no_encoder, self.controls, *self.taken, self.layers]  # and `chosen`.

    def take(self, session: str, sent: Any, model: str) -> list[Any]:
        """A photo as a data URL -> values of note, crop and reconstruction; it replaces the last one."""
        encoder = self.studio.encoder(model)
        try:
            if encoder is None:
                raise InputError(f"{model} has no encoder")
            photo = encode_photo(read_data_url(sent), self.studio.generator(model), encoder, model=model)
        except InputError as error:
            return [f'<span class="wrong" role="alert">{escape(str(error))}</span>', gr.skip(), gr.skip()]
        self.photos.put(session, photo)
        self.kept.forget(session, photos_only=True)
        of = _digest(photo.latents)
        square = images.remember(photo.square, {"name": PHOTO, "target": of})
        made = images.remember(photo.made, {"name": PHOTO, "reconstruction": of})
        return [escape(photo.note), *self.kept.keep(session, [square, made])]

    def show(self, session: str, photo: Photo, seed: int, layers: list[int], look: Look) -> tuple[list[Any], list[Any]]:
        """The photo with a seed's styles, edited -> image, caption, file to save; the seed's image, latents."""
        device = self.studio.generator(look.model).device
        ws, made, beside = self.studio.with_photo(photo.latents.ws.to(device), seed, layers, look)
        facts = photo.latents.facts
        info = {str(key): value for key, value in made.info.items()}
        changes = {key: info[key] for key in info if key in CHANGES or key.startswith("direction ")}
        if changes:
            facts = {key: facts[key] for key in ("method", "settings")} | changes
        latents = dataclasses.replace(photo.latents, ws=ws.cpu(), facts=facts)
        saved = self.kept.keep_latents(session, latents, _digest(latents))
        kept = {"latents": Path(saved).name, "latents_sha256": sha256_of(Path(saved)), "name": PHOTO}
        path, seed_path = self.kept.keep(session, [images.remember(made, kept), beside])
        return [path, caption(made), path], [seed_path, saved]

    def chosen(self, session: str, model: str) -> list[Any]:
        """The controls for a newly chosen model; the last model's photo is dropped."""
        G, can = self.studio.generator(model), self.studio.encoder(model) is not None
        self.forget(session)
        return [
            gr.update(value=no_encoder(model), visible=not can),
            gr.update(visible=can),
            "",
            None,
            None,
            gr.update(choices=layer_names(G), value=[]),
        ]

    def forget(self, session: str) -> None:
        """Drop the photo and everything made from it."""
        self.photos.forget(session)
        self.kept.forget(session, photos_only=True)


def _digest(latents: Latents) -> str:
    return hashlib.sha256(latents.ws.cpu().numpy().tobytes()).hexdigest()[:32]


def _image(name: str, text: str) -> Any:
    return gr.Image(
        show_label=False,
        container=False,
        buttons=[],
        interactive=False,
        elem_classes="source",
        elem_id=name,
        alt_text=text,
    )
