"""The static page (examples/web): the pictures of the library, made in the browser."""

import json

import numpy as np
import pytest

from stylegan import Generator, latents

from .static_page import check_same, ready
from .window import Browser, check_in_view, pixels

pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=1)]  # A rerun is told of in pytest's last line.


@pytest.fixture
def page(browser: Browser, web_address: str) -> Browser:
    browser.open(web_address)
    ready(browser)
    return browser


def test_it_opens_with_a_face_that_takes_after_two(page: Browser, default: Generator) -> None:
    a, b = default.ws([5]), default.ws([9])
    for selector, ws in (
        ("#picture", default.mix_styles(a, b, "coarse")),
        ("#picture-a", a),
        ("#picture-b", b),
    ):
        check_same(pixels(page, selector), default.render(ws, output_type="np")[0])
    assert page.run("return document.querySelectorAll('#layers input:checked').length") == 4
    page.screenshot("web")


CONTROLS = ("#strength", "#psi", "#cutoff", "#noise-strength")


def test_the_picture_stays_in_view_while_sliders_move(page: Browser) -> None:
    for control in CONTROLS:
        check_in_view(page, "#picture", control)


@pytest.mark.parametrize("seed", [5, 0, 4294967295])
def test_a_seed_shows_the_library_s_picture(page: Browser, default: Generator, seed: int) -> None:
    page.click('[data-band="none"]')
    page.type("#seed-a", seed)
    ready(page)
    check_same(pixels(page, "#picture"), default.sample(seeds=[seed], output_type="np")[0])


def test_every_control_does_what_the_library_does(page: Browser, default: Generator) -> None:
    page.type("#seed-a", 3)
    page.type("#seed-b", 9)
    page.click('[data-band="coarse"]')
    page.click("#layers label:nth-child(10)")
    page.put("#psi", -0.5)
    page.put("#cutoff", 6)
    page.put("#strength", 0.25)
    page.type("#noise-seed", 4)
    page.put("#noise-strength", 0.5)
    ready(page)

    a, b = default.ws([3, 9], truncation_psi=-0.5, truncation_cutoff=6).split(1)
    noise = [map * 0.5 for map in default.noise([4])]
    mixed = default.mix_styles(a, a.lerp(b, 0.25), [0, 1, 2, 3, 9])
    for selector, ws in (("#picture", mixed), ("#picture-a", a), ("#picture-b", b)):
        img = default.synthesis(ws, noise=noise)
        check_same(pixels(page, selector), (img * 127.5 + 128).clamp(0, 255).byte()[0].permute(1, 2, 0).numpy())


def test_another_model_can_be_chosen(page: Browser, tiny: Generator) -> None:
    names = "return [...document.querySelectorAll('#model option')].map((option) => option.value)"
    assert page.run(names) == ["faces-128", "small"]
    page.run("document.body.dataset.state = 'old'")
    page.run("const m = document.querySelector('#model'); m.value = 'small'; m.dispatchEvent(new Event('change'))")
    ready(page)
    made = tiny.render(tiny.ws([5], truncation_psi=0.7), output_type="np")
    check_same(pixels(page, "#picture-a"), made[0])
    assert page.run("return document.querySelector('#about').innerText").startswith("small")


def test_new_face_shows_another_face(page: Browser) -> None:
    before = pixels(page, "#picture")
    page.click("#new-a")
    ready(page)
    assert np.abs(pixels(page, "#picture").astype(int) - before).mean() > 5


def test_draws_are_those_of_the_library(page: Browser) -> None:
    script = """const [seed, done] = arguments;
    import('./latents.js').then((m) => done(JSON.stringify(
        [[...m.zFromSeed(seed, 1001)], ...m.noiseFromSeed(seed, 4).map((map) => [...map])])))"""
    for seed in (0, 7, 123456789, 4294967295):
        drawn = json.loads(page.driver.execute_async_script(script, seed))
        maps = latents.noise_from_seeds([seed], [(4, 4), (4, 4), (8, 8), (8, 8)])
        for got, expected in zip(drawn, [latents.z_from_seeds([seed], 1001), *maps], strict=True):
            # The logarithm of another computer may differ in its last bit, which float32 hides but for a few numbers.
            np.testing.assert_allclose(np.array(got, np.float32), expected.flatten().numpy(), rtol=2e-7)


def test_what_cannot_be_drawn_from_is_marked_and_not_drawn(page: Browser) -> None:
    before = pixels(page, "#picture")
    page.put("#seed-a", 4294967296)
    assert page.run("return document.querySelector('#seed-a').matches(':invalid')")
    assert (pixels(page, "#picture") == before).all()
    page.type("#seed-a", 5)
    ready(page)


def test_a_phone_shows_everything_in_its_width(phone: Browser, web_address: str) -> None:
    phone.open(web_address)
    ready(phone)
    assert phone.run("return document.documentElement.scrollWidth") <= 390
    phone.screenshot("web-phone")
    for control in CONTROLS:
        check_in_view(phone, "#picture", control)
    assert phone.run("return scrollY") > 0
