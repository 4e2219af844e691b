"""The dashboard starts on the shipped checkpoints and shows itself."""

from playwright.sync_api import expect

from .conftest import REPO


def test_first_screen(app, page):
    page.goto(app.url)
    expect(page).to_have_title("DALI Studio")
    expect(page.get_by_test_id("stAppViewContainer")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_link_that_is_the_first_to_be_opened_shows_the_whole_app(chromium, serve, page, console):
    """Nobody has opened the dashboard's root since the server's start."""
    page.goto(f"{serve(REPO / 'checkpoints').url}/training")
    expect(page.get_by_role("heading", level=1)).to_have_text("Training")
    expect(page.get_by_role("link", name="Latent space")).to_be_visible()
    # Opened below the root, Streamlit's page first asks for its own service there and is told that it is not.
    console.errors[:] = [e for e in console.errors if "/training/_stcore/" not in e]
